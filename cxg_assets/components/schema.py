"""JSON schema of a subset's `defs.yaml`, for editors: completion, hover help, and wrong values underlined.

Of draft 07, which the YAML language server (VS Code's YAML extension, and others) knows best. Dagster's own schema of a
component says less: it lacks the descriptions of optional attributes, and takes any text everywhere, for a template.
"""

from typing import Any

from cxg_assets.components.census_subset import CensusSubset

TYPE = "cxg_assets.CensusSubset"

_TEMPLATE = {"type": "string", "pattern": r"\{\{", "title": "template"}
"""What Dagster evaluates; it may stand for any value."""

_SHOWN = ("title", "description", "default", "examples")
"""What editors show of an attribute, whatever its value."""


def subset_schema() -> dict[str, Any]:
    """The schema, made from the component's attributes."""
    attributes = CensusSubset.model_json_schema(ref_template="#/definitions/{model}")
    definitions = attributes.pop("$defs", {})
    for definition in definitions.values():
        _let_in_templates(definition)
    _let_in_templates(attributes)
    attributes["anyOf"] = [{"required": [name]} for name in ("organism", "organisms")]
    return {
        "$schema": "http://json-schema.org/draft-07/schema#",
        "title": "A subset of the CELLxGENE Census",
        "description": attributes["description"],
        "type": "object",
        "additionalProperties": False,
        "required": ["type", "attributes"],
        "properties": {
            "type": {"const": TYPE, "description": "The component of cxg_assets that this file declares."},
            "attributes": attributes,
            "post_processing": {"type": "object", "description": "Dagster's: changes of the assets that are made."},
            "requirements": {"type": "object", "description": "Dagster's: variables that must be set."},
            "template_vars_module": {"type": "string", "description": "Dagster's: a module of template variables."},
        },
        "definitions": definitions,
    }


def _let_in_templates(schema: dict[str, Any]) -> None:
    """Lets every property be a template too, in place. What limits a value must not limit the template."""
    for name, declared in schema["properties"].items():
        shown = {key: declared.pop(key) for key in _SHOWN if key in declared}
        limits = {key: declared.pop(key) for key in ("pattern", "minimum") if key in declared}
        allowed = declared.pop("anyOf", None) or [declared]
        for one in allowed:
            if one.get("type") in ("string", "integer"):
                one.update(limits)
        schema["properties"][name] = {**shown, "anyOf": [*allowed, _TEMPLATE]}
