"""How the arrays of a census are stored: Arrow schemas and TileDB settings.

Facts of the Census's own builder (schema 2.4.0): columns and their order, types, tile extents, capacity, cell and tile
order, filter pipelines. One thing differs on purpose: the real builder compresses with zstd 9, 13 and 19, the demo with
`ZSTD_LEVEL` everywhere, because it is built on a laptop and not once a release. The format is the same and decoding
costs the same.
"""

from typing import Any

import pyarrow as pa

from cxg_assets.demo.labels import LABELLED_COLUMNS, PLAIN_TEXT_COLUMNS

CENSUS_SCHEMA_VERSION = "2.4.0"
DATASET_SCHEMA_VERSION = "7.0.0"

TILE_EXTENT = 2048
CAPACITY = 1 << 16
ZSTD_LEVEL = 3

_ZSTD: dict[str, Any] = {"_type": "ZstdFilter", "level": ZSTD_LEVEL}
_SHUFFLED = ["ByteShuffleFilter", _ZSTD]
_DELTA = ["DoubleDeltaFilter", _ZSTD]

WRITER_CONFIG: dict[str, Any] = {"sm.check_global_order": "false", "sm.check_coord_dups": "false"}
"""TileDB settings for writing: blocks of X are made in global order and without duplicates, so a check (a third of the
writing time) would find nothing. A test proves the order."""

OBS_COLUMNS = (
    "soma_joinid",
    "dataset_id",
    "assay",
    "assay_ontology_term_id",
    "cell_type",
    "cell_type_ontology_term_id",
    "development_stage",
    "development_stage_ontology_term_id",
    "disease",
    "disease_ontology_term_id",
    "donor_id",
    "is_primary_data",
    "observation_joinid",
    "self_reported_ethnicity",
    "self_reported_ethnicity_ontology_term_id",
    "sex",
    "sex_ontology_term_id",
    "suspension_type",
    "tissue",
    "tissue_ontology_term_id",
    "tissue_type",
    "tissue_general",
    "tissue_general_ontology_term_id",
    "raw_sum",
    "nnz",
    "raw_mean_nnz",
    "raw_variance_nnz",
    "n_measured_vars",
)
OBS_TEXT_COLUMNS = (
    *LABELLED_COLUMNS,
    *(f"{column}_ontology_term_id" for column in LABELLED_COLUMNS),
    *PLAIN_TEXT_COLUMNS,
)
"""Dictionaries in current releases, plain text in older ones."""

_OBS_NUMBERS = {
    "soma_joinid": pa.int64(),
    "is_primary_data": pa.bool_(),
    "observation_joinid": pa.large_string(),
    "raw_sum": pa.float64(),
    "nnz": pa.int64(),
    "raw_mean_nnz": pa.float64(),
    "raw_variance_nnz": pa.float64(),
    "n_measured_vars": pa.int64(),
}

VAR_SCHEMA = pa.schema(
    [
        ("soma_joinid", pa.int64()),
        ("feature_id", pa.large_string()),
        ("feature_name", pa.large_string()),
        ("feature_type", pa.large_string()),
        ("feature_length", pa.int64()),
        ("nnz", pa.int64()),
        ("n_measured_obs", pa.int64()),
    ]
)


def obs_schema(text_types: dict[str, pa.DataType]) -> pa.Schema:
    """Return the schema of obs.

    Args:
        text_types: Type of each of `OBS_TEXT_COLUMNS`: a dictionary or a large string.
    """
    types = {**_OBS_NUMBERS, **text_types}
    return pa.schema([(column, types[column]) for column in OBS_COLUMNS])


def obs_storage(*, text_as_dictionary: bool) -> dict[str, Any]:
    """Return the `platform_config` of obs."""
    text = [_ZSTD] if text_as_dictionary else ["DictionaryFilter", _ZSTD]
    numbers = ("raw_sum", "nnz", "raw_mean_nnz", "raw_variance_nnz", "n_measured_vars")
    return _dataframe_storage(
        {
            **{column: {"filters": _SHUFFLED} for column in numbers},
            **{column: {"filters": text} for column in OBS_TEXT_COLUMNS},
            **{column: {"filters": [_ZSTD]} for column in ("is_primary_data", "observation_joinid")},
        }
    )


def var_storage() -> dict[str, Any]:
    """Return the `platform_config` of var."""
    return _dataframe_storage(
        {
            **{column: {"filters": [_ZSTD]} for column in ("feature_id", "feature_name", "feature_type")},
            **{column: {"filters": _SHUFFLED} for column in ("feature_length", "nnz", "n_measured_obs")},
        }
    )


def x_storage(layer: str) -> dict[str, Any]:
    """Return the `platform_config` of an X layer, `raw` or `normalized`."""
    return {
        "tiledb": {
            "create": {
                "capacity": CAPACITY,
                "dims": {
                    "soma_dim_0": {"tile": TILE_EXTENT, "filters": [_ZSTD]},
                    "soma_dim_1": {"tile": TILE_EXTENT, "filters": _SHUFFLED},
                },
                "attrs": {"soma_data": {"filters": _SHUFFLED if layer == "raw" else [_ZSTD]}},
                "cell_order": "row-major",
                "tile_order": "row-major",
                "allows_duplicates": True,
            }
        }
    }


def _dataframe_storage(attributes: dict[str, Any]) -> dict[str, Any]:
    return {
        "tiledb": {
            "create": {
                "capacity": CAPACITY,
                "dims": {"soma_joinid": {"filters": _DELTA}},
                "attrs": attributes,
                "offsets_filters": _DELTA,
                "allows_duplicates": True,
            }
        }
    }
