"""Tables as Dagster shows them: columns with type and meaning, and the columns that they come from."""

from collections.abc import Iterable
from typing import Any

import dagster as dg
import pyarrow as pa

from cxg_assets.ingest.plan.chunk_plan import CHUNK_SCHEMA
from cxg_assets.ingest.spec import SPLIT

OBS_DESCRIPTIONS = {
    "soma_joinid": "The cell's number in this build of the Census; means nothing in another build",
    "dataset_id": "The source dataset in CELLxGENE Discover",
    "assay": "How it was sequenced (EFO label)",
    "cell_type": "Cell type (CL label)",
    "development_stage": "Development stage of the donor",
    "disease": "Disease (MONDO label), or normal",
    "donor_id": "The donor within its dataset",
    "is_primary_data": "True for one copy of each cell: datasets of the corpus share cells",
    "observation_joinid": "The cell within its dataset, the same in every build",
    "self_reported_ethnicity": "Ethnicity as the donor reports it",
    "sex": "Sex of the donor (PATO label)",
    "suspension_type": "cell, nucleus or na",
    "tissue": "Tissue (UBERON label)",
    "tissue_type": "tissue, organoid or cell culture",
    "tissue_general": "The organ that the tissue is part of",
    "raw_sum": "Sum of the cell's raw counts",
    "nnz": "Genes that the cell has counts of",
    "raw_mean_nnz": "Mean of the cell's counts that are not zero",
    "raw_variance_nnz": "Variance of the cell's counts that are not zero",
    "n_measured_vars": "Genes that the cell's dataset has measured",
    SPLIT: "Part of the split",
}
"""Of the obs columns of current builds (CELLxGENE Census schema 2)."""

_ONTOLOGY_SUFFIX = "_ontology_term_id"

_CHUNK_DESCRIPTIONS = {
    "key": "Partition key",
    "row_start": "First row in the plan's obs file, or the subset's where the plan has none",
    "row_stop": "One past the last row",
    "nnz": "Non-zeros that obs expects in X of all genes",
    "n_tiles": "Rows of X tiles that the cells lie in",
    "first_joinid": "Least soma_joinid",
    "last_joinid": "Greatest soma_joinid",
    "fingerprint": "SHA-256 over everything that decides the file's bytes",
    "split": "Part of the split that all its cells belong to",
    "pool": "Pool that it is read from together with others; none in census order",
}

_CHUNK_SOURCES = {"first_joinid": "soma_joinid", "last_joinid": "soma_joinid", "nnz": "nnz"}
"""Columns of the chunk table, and the column of the subset that each is made of."""

_NEVER_NULL = {"soma_joinid", *_CHUNK_DESCRIPTIONS} - {"split", "pool"}


def obs_schema(schema: pa.Schema) -> dg.TableSchema:
    """Columns of a table of cells, with their real types."""
    return _table_schema(schema, {name: _describe_obs(name) for name in schema.names}, unique={"soma_joinid"})


def chunk_obs_schema(obs_columns: Iterable[str]) -> dg.TableSchema:
    """Columns of obs in the chunk files, soma_joinid first, as far as a YAML tells: their types are the subset's."""
    joinid = dg.TableColumn("soma_joinid", "int64", _describe_obs("soma_joinid"), _constraints("soma_joinid", True))
    others = [dg.TableColumn(name, "as in filtered_subset", _describe_obs(name)) for name in obs_columns]
    return dg.TableSchema(columns=[joinid, *others])


def chunk_table_schema() -> dg.TableSchema:
    """Columns of the chunk plan."""
    return _table_schema(CHUNK_SCHEMA, _CHUNK_DESCRIPTIONS, unique={"key", "fingerprint"})


def same_columns(upstream: dg.AssetKey, names: Iterable[str]) -> dg.TableColumnLineage:
    """Lineage of columns that are those of the same name upstream."""
    return dg.TableColumnLineage({name: [dg.TableColumnDep(upstream, name)] for name in names})


def chunk_table_lineage(subset: dg.AssetKey, subset_columns: Iterable[str]) -> dg.TableColumnLineage:
    """Lineage of the chunk plan, from the columns of the subset's obs file; one of an older build has no nnz."""
    known = set(subset_columns)
    return dg.TableColumnLineage(
        {name: [dg.TableColumnDep(subset, source)] for name, source in _CHUNK_SOURCES.items() if source in known}
    )


def place_metadata(destination: str, path: str) -> dict[str, Any]:
    """What is known of an asset's place before it is made; nothing of one in the default store, which differs."""
    if not destination:
        return {}
    return {"dagster/uri": f"{destination.rstrip('/')}/{path}", **storage_metadata(destination)}


def storage_metadata(uri: str) -> dict[str, Any]:
    """Which storage a URI is in: `s3` or `file`."""
    return {"dagster/storage_kind": uri.partition("://")[0]}


def _describe_obs(name: str) -> str | None:
    if name.endswith(_ONTOLOGY_SUFFIX):
        return f"Ontology term of {name.removesuffix(_ONTOLOGY_SUFFIX)}"
    return OBS_DESCRIPTIONS.get(name)


def _table_schema(schema: pa.Schema, descriptions: dict[str, Any], unique: set[str]) -> dg.TableSchema:
    return dg.TableSchema(
        columns=[
            dg.TableColumn(
                field.name,
                _type_of(field.type),
                descriptions.get(field.name),
                _constraints(field.name, field.name in unique, field.nullable),
            )
            for field in schema
        ]
    )


def _constraints(name: str, unique: bool, nullable: bool = True) -> dg.TableColumnConstraints:
    return dg.TableColumnConstraints(nullable=nullable and name not in _NEVER_NULL, unique=unique)


def _type_of(kind: pa.DataType) -> str:
    """A type in short: `large_string, as a dictionary of int16` instead of all that Arrow says."""
    if not isinstance(kind, pa.DictionaryType):
        return str(kind)
    return f"{kind.value_type}, as {'an ordered' if kind.ordered else 'a'} dictionary of {kind.index_type}"
