"""How the arrays of a census are stored: Arrow schemas and TileDB settings.

Facts of the Census's own builder (schema 2.4.0): columns and their order, types, tile extents, capacity, cell and tile
order, filter pipelines. One thing differs on purpose: the real builder compresses with zstd 9, 13 and 19, the demo with
`ZSTD_LEVEL` everywhere, because it is built on a laptop and not once a release. The format is the same and decoding
costs the same.
"""

from typing import Any

import pyarrow as pa

CENSUS_SCHEMA_VERSION = "2.4.0"
DATASET_SCHEMA_VERSION = "7.0.0"

TILE_EXTENT = 2048
CAPACITY = 1 << 16
ZSTD_LEVEL = 3

_ZSTD: dict[str, Any] = {"_type": "ZstdFilter", "level": ZSTD_LEVEL}
_PLAIN = [_ZSTD]
_SHUFFLED = ["ByteShuffleFilter", _ZSTD]
_DELTA = ["DoubleDeltaFilter", _ZSTD]

WRITER_CONFIG: dict[str, Any] = {"sm.check_global_order": "false", "sm.check_coord_dups": "false"}
"""TileDB settings for writing: blocks of X are made in global order and without duplicates, so a check (a third of the
writing time) would find nothing. A test proves the order."""


def _with_ids(*columns: str) -> tuple[str, ...]:
    return tuple(name for column in columns for name in (column, f"{column}_ontology_term_id"))


_STATISTICS_COLUMNS = ("raw_sum", "nnz", "raw_mean_nnz", "raw_variance_nnz", "n_measured_vars")
OBS_COLUMNS = (
    *("soma_joinid", "dataset_id"),
    *_with_ids("assay", "cell_type", "development_stage", "disease"),
    *("donor_id", "is_primary_data", "observation_joinid"),
    *_with_ids("self_reported_ethnicity", "sex"),
    "suspension_type",
    *_with_ids("tissue"),
    "tissue_type",
    *_with_ids("tissue_general"),
    *_STATISTICS_COLUMNS,
)

SPATIAL_COLUMNS = ("in_tissue", "array_row", "array_col")
_AFTER_TISSUE_TYPE = OBS_COLUMNS.index("tissue_type") + 1
SPATIAL_OBS_COLUMNS = (*OBS_COLUMNS[:_AFTER_TISSUE_TYPE], *SPATIAL_COLUMNS, *OBS_COLUMNS[_AFTER_TISSUE_TYPE:])
"""Of `census_spatial_sequencing`."""

_OBS_OTHERS = {
    "soma_joinid": pa.int64(),
    "is_primary_data": pa.bool_(),
    "observation_joinid": pa.large_string(),
    "raw_sum": pa.float64(),
    "nnz": pa.int64(),
    "raw_mean_nnz": pa.float64(),
    "raw_variance_nnz": pa.float64(),
    "n_measured_vars": pa.int64(),
}
OBS_TEXT_COLUMNS = tuple(column for column in OBS_COLUMNS if column not in _OBS_OTHERS)
"""Dictionaries in current releases, plain text in older ones."""

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


def obs_schema(text_types: dict[str, pa.DataType], *, is_spatial: bool = False) -> pa.Schema:
    """Return the schema of obs, given the type of each of `OBS_TEXT_COLUMNS`: a dictionary or a large string."""
    types = {**_OBS_OTHERS, **dict.fromkeys(SPATIAL_COLUMNS, pa.int64()), **text_types}
    return pa.schema([(column, types[column]) for column in (SPATIAL_OBS_COLUMNS if is_spatial else OBS_COLUMNS)])


def obs_storage(*, text_as_dictionary: bool, is_spatial: bool = False) -> dict[str, Any]:
    """Return the `platform_config` of obs."""
    text = _PLAIN if text_as_dictionary else ["DictionaryFilter", _ZSTD]
    return _dataframe_storage(
        {
            **dict.fromkeys((*_STATISTICS_COLUMNS, *(SPATIAL_COLUMNS if is_spatial else ())), _SHUFFLED),
            **dict.fromkeys(OBS_TEXT_COLUMNS, text),
            **dict.fromkeys(("is_primary_data", "observation_joinid"), _PLAIN),
        }
    )


def var_storage() -> dict[str, Any]:
    """Return the `platform_config` of var."""
    return _dataframe_storage(
        {
            **dict.fromkeys(("feature_id", "feature_name", "feature_type"), _PLAIN),
            **dict.fromkeys(("feature_length", "nnz", "n_measured_obs"), _SHUFFLED),
        }
    )


def x_storage(layer: str) -> dict[str, Any]:
    """Return the `platform_config` of an X layer, `raw` or `normalized`."""
    return {
        "tiledb": {
            "create": {
                "capacity": CAPACITY,
                "dims": {
                    "soma_dim_0": {"tile": TILE_EXTENT, "filters": _PLAIN},
                    "soma_dim_1": {"tile": TILE_EXTENT, "filters": _SHUFFLED},
                },
                "attrs": {"soma_data": {"filters": _SHUFFLED if layer == "raw" else _PLAIN}},
                "cell_order": "row-major",
                "tile_order": "row-major",
                "allows_duplicates": True,
            }
        }
    }


def _dataframe_storage(filters: dict[str, list[Any]]) -> dict[str, Any]:
    return {
        "tiledb": {
            "create": {
                "capacity": CAPACITY,
                "dims": {"soma_joinid": {"filters": _DELTA}},
                "attrs": {column: {"filters": pipeline} for column, pipeline in filters.items()},
                "offsets_filters": _DELTA,
                "allows_duplicates": True,
            }
        }
    }
