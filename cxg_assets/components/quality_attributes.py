"""The attributes of `quality` in a subset's YAML; as those of `attributes.py`, they are described here once."""

from pathlib import Path
from typing import Annotated, Any

import dagster as dg
from pydantic import Field, InstanceOf, WithJsonSchema

from cxg_assets.components.beside_the_yaml import beside_the_yaml
from cxg_assets.ingest.errors import BadInput, shown
from cxg_assets.ingest.metrics import KINDS, Outliers, Quality, QualityColumn
from cxg_assets.ingest.selection.list_files import read_gene_file

_SETS = ("feature_name", "feature_ids", "file")
"""What a set of genes can be given by."""

_OF_OUTLIERS = ("columns", "by", "n_mads")

_NAMES = {"anyOf": [{"type": "string"}, {"type": "array", "items": {"type": "string"}}]}
_SET = {
    "type": "object",
    "additionalProperties": False,
    "minProperties": 1,
    "maxProperties": 1,
    "properties": {
        "feature_name": {**_NAMES, "description": "Patterns of feature_name with *, ? and [...], in its own case."},
        "feature_ids": {**_NAMES, "description": "Ensembl ids as in var, without version."},
        "file": {"type": "string", "description": "A text file with a feature_id on each line, beside the YAML file."},
    },
}
_COLUMNS = {
    "type": "object",
    "additionalProperties": {
        "type": "object",
        "additionalProperties": False,
        "minProperties": 1,
        "maxProperties": 1,
        "properties": {
            "share": {**_SET, "description": "Counts of these genes as a share of all counts of the cell."},
            "nnz": {**_SET, "description": "How many of these genes have counts in the cell."},
            "counts": {**_SET, "description": "Counts of these genes."},
        },
    },
}
_OUTLIERS = {
    "anyOf": [
        {
            "type": "object",
            "additionalProperties": False,
            "required": ["columns"],
            "properties": {
                "columns": {**_NAMES, "description": "Columns of numbers: of quality.columns, or of obs."},
                "by": {**_NAMES, "description": "obs columns that make groups. Default: all cells are one."},
                "n_mads": {
                    "type": "number",
                    "exclusiveMinimum": 0,
                    "default": 5,
                    "description": "Median absolute deviations from the median of the group.",
                },
            },
        },
        {"type": "null"},
    ]
}


def _columns(context: dg.ResolutionContext, given: dict[str, Any]) -> list[QualityColumn]:
    """The columns, with the genes of files; checked here, as Dagster does not say where in a column a mistake is."""
    columns = []
    for name, said in context.resolve_value(given).items():
        where = f"quality.columns.{name}"
        [(kind, genes)] = _mapping(where, said, KINDS, "{share: {feature_name: MT-*}}", only_one=True)
        where = f"{where}.{kind}"
        [(by, listed)] = _mapping(where, genes, _SETS, "{feature_name: MT-*}", only_one=True)
        if by == "file":
            listed = read_gene_file(Path(beside_the_yaml(context, str(listed), f"{where}.file")), f"{where}.file")
            by = "feature_ids"
        columns.append(QualityColumn(name=name, kind=kind, **{by: _names(f"{where}.{by}", listed)}))
    return columns


def _outliers(context: dg.ResolutionContext, given: dict[str, Any] | None) -> Outliers | None:
    if given is None:
        return None
    where = "quality.outliers"
    values = dict(_mapping(where, context.resolve_value(given), _OF_OUTLIERS, "{columns: [raw_sum], n_mads: 5}"))
    names = {name: _names(f"{where}.{name}", values[name]) for name in ("columns", "by") if name in values}
    return Outliers(**{"columns": (), **values, **names})


def _mapping(where: str, said: Any, names: tuple[str, ...], example: str, *, only_one: bool = False) -> list[Any]:
    """Names and values of a part of the YAML; raises BadInput where it is none, or has another name."""
    if not isinstance(said, dict):
        raise BadInput(f"{where}: {shown(said)} is wrong; write it like {example}")
    for name in said:
        if name not in names:
            raise BadInput(f"{where}: there is no attribute {shown(name)}; it can have {', '.join(names)}")
    if only_one and len(said) != 1:
        raise BadInput(f"{where}: give one of {', '.join(names)}; write it like {example}")
    return list(said.items())


def _names(where: str, listed: Any) -> tuple[str, ...]:
    names = tuple(listed) if isinstance(listed, list | tuple) else (listed,)
    if not names or not all(isinstance(name, str) for name in names):
        raise BadInput(f"{where}: {shown(listed)} is neither a name nor a list of names")
    return names


class QualityAttributes(dg.Model, dg.Resolvable):
    """Quality of the cells that pass the filter, by their counts in X/raw: further obs columns, and who is kept."""

    columns: Annotated[
        list[InstanceOf[QualityColumn]],
        dg.Resolver(_columns, model_field_type=dict[str, Any]),
        WithJsonSchema(_COLUMNS),
    ] = Field(
        default=[],
        description="Further obs columns of the chunks: share, nnz or counts of a set of genes, by patterns of "
        "feature_name, feature_ids or a file.",
        examples=[{"mt_share": {"share": {"feature_name": "MT-*"}}}],
    )
    keep: str | None = Field(
        default=None,
        description="Keep the cells that pass a filter over these columns and obs.",
        examples=["mt_share < 0.2"],
    )
    outliers: Annotated[
        InstanceOf[Outliers] | None,
        dg.Resolver(_outliers, model_field_type=dict[str, Any] | None),
        WithJsonSchema(_OUTLIERS),
    ] = Field(
        default=None,
        description="Leave out cells that are further from the median of their group than n_mads median absolute "
        "deviations, in one of the columns.",
        examples=[{"columns": ["mt_share", "raw_sum"], "by": "dataset_id", "n_mads": 5}],
    )

    def quality(self) -> Quality:
        """The engine's value; raises BadInput where a value is outside what the attribute allows."""
        return Quality(columns=tuple(self.columns), keep=self.keep, outliers=self.outliers)
