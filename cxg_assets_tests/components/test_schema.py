"""The JSON schema that editors use takes what loads, and underlines what does not."""

import json
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml

from cxg_assets.components.attributes import Genes
from cxg_assets.components.census_subset import CensusSubset
from cxg_assets.components.commented_yaml import subset_yaml
from cxg_assets.components.defs_folder import PACKAGE_DEFS
from cxg_assets.components.schema import subset_schema
from cxg_assets_tests.cli.command import cxg_assets

SHIPPED = PACKAGE_DEFS / "subset.schema.json"
RECIPES = Path(__file__).parents[2] / "docs" / "recipes"
EXAMPLES = sorted([*PACKAGE_DEFS.glob("*/defs.yaml"), *RECIPES.glob("*/defs.yaml")])


@pytest.fixture(scope="module")
def validator() -> jsonschema.Draft7Validator:
    schema = json.loads(SHIPPED.read_text())
    jsonschema.Draft7Validator.check_schema(schema)
    return jsonschema.Draft7Validator(schema)


def wrong_at(validator: jsonschema.Draft7Validator, declared: Any) -> set[str]:
    """Paths of what an editor underlines."""
    return {".".join(map(str, error.absolute_path)) for error in validator.iter_errors(declared)}


def declare(**attributes: Any) -> dict[str, Any]:
    base = {"name": "sample", "organism": "homo_sapiens"}
    return {"type": "cxg_assets.CensusSubset", "attributes": base | attributes}


def test_the_shipped_schema_is_current() -> None:
    outcome = cxg_assets("schema")
    assert outcome.exit_code == 0
    assert json.loads(outcome.stdout) == subset_schema()
    assert SHIPPED.read_text() == outcome.stdout, "run: cxg-assets schema > cxg_assets/defs/subset.schema.json"


@pytest.mark.parametrize("file", EXAMPLES, ids=lambda file: file.parent.name)
def test_every_yaml_that_ships_is_valid(validator: jsonschema.Draft7Validator, file: Path) -> None:
    assert wrong_at(validator, yaml.safe_load(file.read_text())) == set()


def test_a_new_subset_is_valid_and_names_the_schema(validator: jsonschema.Draft7Validator) -> None:
    text = subset_yaml("sample", value_filter="nnz > 5")
    assert wrong_at(validator, yaml.safe_load(text)) == set()
    first = text.splitlines()[0]
    assert first.startswith("# yaml-language-server: $schema=")
    # Relative to the YAML, in a checkout as in an installed package.
    assert (PACKAGE_DEFS / "sample" / first.partition("=")[2]).resolve() == SHIPPED.resolve()


@pytest.mark.parametrize(
    ("attributes", "where"),
    [
        ({"chunk_size": "lots"}, "attributes.chunk_size"),
        ({"chunk_size": 0}, "attributes.chunk_size"),
        ({"max_obs": -1}, "attributes.max_obs"),
        ({"obs_columns": "assay"}, "attributes.obs_columns"),
        ({"organism": "homo sapiens"}, "attributes.organism"),
        ({"layer": "scaled"}, "attributes.layer"),
        ({"format": "n5"}, "attributes.format"),
        ({"compression": "bzip2"}, "attributes.compression"),
        ({"destination": "ftp://host"}, "attributes.destination"),
        ({"genes": 5}, "attributes.genes"),
        ({"genes": {"value_fliter": "nnz > 5"}}, "attributes.genes"),
        ({"chunk_sise": 5}, "attributes"),
        ({"owners": "me"}, "attributes.owners"),
    ],
)
def test_a_wrong_value_is_underlined(
    validator: jsonschema.Draft7Validator, attributes: dict[str, Any], where: str
) -> None:
    assert wrong_at(validator, declare(**attributes)) == {where}


def test_what_is_missing_and_another_type_are_underlined(validator: jsonschema.Draft7Validator) -> None:
    assert wrong_at(validator, {"type": "cxg_assets.CensusSubset", "attributes": {"name": "x"}}) == {"attributes"}
    assert wrong_at(validator, declare() | {"type": "cxg_assets.CensusSubst"}) == {"type"}


def test_a_template_may_stand_for_any_value(validator: jsonschema.Draft7Validator) -> None:
    template = "{{ env('X') }}"
    for attribute in CensusSubset.model_fields:
        assert wrong_at(validator, declare(**{attribute: template})) == set()
    for attribute in Genes.model_fields:
        assert wrong_at(validator, declare(genes={attribute: template})) == set()


def test_every_attribute_has_hover_help() -> None:
    schema = subset_schema()
    attributes = schema["properties"]["attributes"]["properties"]
    assert set(attributes) == set(CensusSubset.model_fields)
    assert set(schema["definitions"]["Genes"]["properties"]) == set(Genes.model_fields)
    for declared in (*attributes.values(), *schema["definitions"]["Genes"]["properties"].values()):
        assert declared["description"]
