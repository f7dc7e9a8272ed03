"""The attributes of a YAML that choose among the cells that pass, and divide them: `sample` and `split`."""

from pathlib import Path
from typing import Annotated, Any

import dagster as dg
from pydantic import Field, WithJsonSchema

from cxg_assets.components.beside_the_yaml import beside_the_yaml
from cxg_assets.components.gene_attributes import as_names
from cxg_assets.ingest.errors import BadInput, shown
from cxg_assets.ingest.sampling import Sample, Split
from cxg_assets.ingest.selection.list_files import read_values


def _held_out(context: dg.ResolutionContext, lists: dict[str, Any]) -> dict[str, list[str]]:
    """The values of each part, of which some may be in files."""
    values: dict[str, list[str]] = {}
    for part, listed in lists.items():
        attribute = f"split.held_out.{part}"
        if isinstance(listed, dict) and listed.keys() == {"file"}:
            file = beside_the_yaml(context, str(context.resolve_value(listed["file"])), attribute)
            values[part] = list(read_values(Path(file), attribute))
        elif isinstance(listed, list) and all(isinstance(value, str) for value in listed):
            values[part] = [str(context.resolve_value(value)) for value in listed]
        else:
            raise BadInput(f"{attribute}: {shown(listed)} is no list; write [value, ...] or {{file: name.txt}}")
    return values


class SampleAttributes(dg.Model, dg.Resolvable):
    """Which of the cells that pass the filter are kept. With one seed a smaller sample lies inside a larger one."""

    by: list[str] | str = Field(
        default=[], description="obs columns that make groups.", examples=[["cell_type", "tissue"]]
    )
    at_least: int | None = Field(default=None, description="Leave out groups with fewer cells.", examples=[100])
    min_donors: int | None = Field(
        default=None, description="Leave out groups with fewer distinct donor_id.", examples=[3]
    )
    at_most: int | None = Field(default=None, description="Keep this many cells of each group.", examples=[1000])
    fraction: float | None = Field(
        default=None, description="Keep this share of what is left, above 0 and up to 1.", examples=[0.1]
    )
    n_obs: int | None = Field(
        default=None, description="Instead of fraction: keep this many cells of what is left.", examples=[1000000]
    )
    seed: int = Field(default=0, description="Decides which cells are drawn.", examples=[0])

    def sample(self) -> Sample:
        """The engine's value; raises BadInput where a value is outside what the attribute allows."""
        values: dict[str, Any] = self.model_dump()
        values["by"] = as_names(self.by)
        return Sample(**values)


_LIST_SCHEMA = {"type": "array", "items": {"type": "string"}}
_FILE_SCHEMA = {
    "type": "object",
    "properties": {"file": {"type": "string"}},
    "required": ["file"],
    "additionalProperties": False,
}


class SplitAttributes(dg.Model, dg.Resolvable):
    """Into which parts the cells are divided, with no group in two of them: by shares, or by values held out."""

    by: list[str] | str = Field(
        default=[],
        description="obs columns whose combined values stay together. Default: each cell is drawn by itself.",
        examples=[["donor_id"]],
    )
    shares: dict[str, float] = Field(
        default={},
        description="Share of the cells of each part; they sum to 1.",
        examples=[{"train": 0.8, "validation": 0.1, "test": 0.1}],
    )
    held_out: Annotated[
        dict[str, list[str]],
        dg.Resolver(_held_out, model_field_type=dict[str, Any]),
        WithJsonSchema({"type": "object", "additionalProperties": {"anyOf": [_LIST_SCHEMA, _FILE_SCHEMA]}}),
    ] = Field(
        default={},
        description="Instead of shares: values of the one column of by that make a part, as a list or as "
        "{file: name.txt} with one on each line, in the folder of the YAML file or below. All other cells are train.",
        examples=[{"test": ["donor_1", "donor_2"]}],
    )
    stratify: str | None = Field(
        default=None,
        description="obs column of which each part gets each value in the same shares.",
        examples=["cell_type"],
    )
    seed: int = Field(default=0, description="Decides which groups or cells a part gets.", examples=[0])

    def split(self) -> Split:
        """The engine's value; raises BadInput where a value is outside what the attribute allows."""
        values: dict[str, Any] = self.model_dump()
        values["by"] = as_names(self.by)
        values["held_out"] = {part: tuple(listed) for part, listed in self.held_out.items()}
        return Split(**values)
