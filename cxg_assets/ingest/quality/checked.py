"""A quality that was checked against a Census: its sets of genes, its filter, the columns that it reads."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from fnmatch import fnmatchcase

import numpy as np
import pyarrow as pa

from cxg_assets.ingest.errors import BadInput, shown, shown_names
from cxg_assets.ingest.filters.value_filter import ValueFilter, parse_filter
from cxg_assets.ingest.metrics import Quality, QualityColumn

TYPES = {"share": pa.float64(), "nnz": pa.int64(), "counts": pa.float64()}
"""Of a column, by its kind: as obs has its `nnz` and `raw_sum`, so that a filter means the number that is written."""

N_NAMED = 5
"""How many unknown genes an error names before it only counts."""


@dataclass(frozen=True, kw_only=True, eq=False)
class CheckedQuality:
    """What is computed, of which genes, and which cells are kept.

    Attributes:
        quality: What was asked for.
        keep: Its filter, over obs and its own columns.
        genes: feature_ids of the set of each column, sorted.
        joinids: soma_joinids of the same genes, each (n,) int64, ascending.
    """

    quality: Quality
    keep: ValueFilter | None
    genes: Mapping[str, tuple[str, ...]]
    joinids: Mapping[str, np.ndarray] = field(repr=False)


def column_fields(quality: Quality | None) -> list[pa.Field]:
    """The columns that a quality adds to obs, in order."""
    columns = () if quality is None else quality.columns
    return [pa.field(column.name, TYPES[column.kind]) for column in columns]


def check_quality(quality: Quality, obs_schema: pa.Schema, var: pa.Table) -> CheckedQuality:
    """Checks a quality against a Census.

    Args:
        quality: What was asked for.
        obs_schema: Schema of the Census's obs.
        var: All genes, with `soma_joinid`, `feature_id` and `feature_name`.

    Raises:
        BadInput: A column has the name of one of obs, a set has no genes or unknown ones, the filter is wrong, or
            outliers are looked for in what is not there or is no number.
    """
    for column in quality.columns:
        if column.name in obs_schema.names:
            raise BadInput(f"{column.where}: obs of this Census has a column {column.name}; choose another name")
    joinid_of = dict(zip(var["feature_id"].to_pylist(), var["soma_joinid"].to_pylist(), strict=True))
    genes = {column.name: _genes_of(column, var) for column in quality.columns}
    joinids = {name: np.sort([joinid_of[gene] for gene in ids]).astype(np.int64) for name, ids in genes.items()}
    schema = pa.schema([*obs_schema, *column_fields(quality)])
    keep = None if quality.keep is None else parse_filter(quality.keep, schema, where="quality.keep")
    _check_outliers(quality, obs_schema, schema)
    return CheckedQuality(quality=quality, keep=keep, genes=genes, joinids=joinids)


def _check_outliers(quality: Quality, obs_schema: pa.Schema, schema: pa.Schema) -> None:
    outliers = quality.outliers
    if outliers is None:
        return
    for attribute, listed, there in (("columns", outliers.columns, schema), ("by", outliers.by, obs_schema)):
        if unknown := [name for name in listed if name not in there.names]:
            what = "obs has" if attribute == "by" else "obs and quality.columns have"
            raise BadInput(
                f"quality.outliers.{attribute}: {what} no {shown_names(unknown)}; there are {', '.join(there.names)}"
            )
    for name in outliers.columns:
        kind = schema.field(name).type
        if not (pa.types.is_integer(kind) or pa.types.is_floating(kind)):
            raise BadInput(f"quality.outliers.columns: {shown(name)} is a column of {kind}; name columns of numbers")


def _genes_of(column: QualityColumn, var: pa.Table) -> tuple[str, ...]:
    where, ids = f"{column.where}.{column.kind}", var["feature_id"].to_pylist()
    if column.feature_ids:
        unknown = sorted(set(column.feature_ids) - set(ids))
        if unknown:
            raise BadInput(
                f"{where}.feature_ids: {len(unknown)} of {len(column.feature_ids)} are not in var of this Census: "
                f"{shown_names(unknown, N_NAMED)}; give feature_id values (Ensembl ids without version)"
            )
        return tuple(sorted(set(column.feature_ids)))
    names = [str(name) for name in var["feature_name"].to_pylist()]
    for pattern in column.feature_name:
        if not any(fnmatchcase(name, pattern) for name in names):
            alike = [name for name in names if fnmatchcase(name.lower(), pattern.lower())]
            hint = f"in another case there are {len(alike)}, like {alike[0]}" if alike else "write it like MT-*"
            raise BadInput(f"{where}.feature_name: no gene of {len(names):,} has a name like {shown(pattern)}; {hint}")
    is_in = [any(fnmatchcase(name, pattern) for pattern in column.feature_name) for name in names]
    return tuple(sorted(gene for gene, is_one in zip(ids, is_in, strict=True) if is_one))
