"""What each asset says of itself in the UI: before it is made from its YAML, and then from its files."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import dagster as dg
import pandas as pd
import pyarrow as pa
from pyarrow import feather, parquet

from cxg_assets.code_location import complete
from cxg_assets.components.census_subset import subset_definitions
from cxg_assets.names import (
    CENSUS_RELEASE,
    census_index_key,
    chunk_plan_key,
    dataset_key,
    filtered_subset_key,
    h5ad_chunks_key,
)
from cxg_assets.ui.descriptions import OwnersAndTags
from cxg_assets_tests.platforms import Platform

NAME = "blood_normal"
INDEX, SUBSET, PLAN = census_index_key("homo_sapiens"), filtered_subset_key(NAME), chunk_plan_key(NAME)
MADE = (INDEX, SUBSET, PLAN, h5ad_chunks_key(NAME), dataset_key(NAME))


def recorded(platform: Platform, key: dg.AssetKey) -> Mapping[str, Any]:
    """Metadata of an asset's latest materialization, as plain values."""
    event = platform.instance.get_latest_materialization_event(key)
    assert event is not None
    assert event.asset_materialization is not None
    return {name: item.value for name, item in event.asset_materialization.metadata.items()}


def file_of(metadata: Mapping[str, Any]) -> Path:
    return Path(metadata["dagster/uri"].removeprefix("file://"))


def asset_specs(definitions: dg.Definitions) -> dict[dg.AssetKey, dg.AssetSpec]:
    return {spec.key: spec for spec in definitions.resolve_all_asset_specs()}


def test_the_table_of_the_index_is_the_file(prepared: Platform) -> None:
    said = recorded(prepared, INDEX)
    table = feather.read_table(file_of(said), memory_map=False)
    assert said["dagster/row_count"] == table.num_rows
    assert said["dagster/size_bytes"] == file_of(said).stat().st_size
    assert said["dagster/storage_kind"] == "file"
    assert [column.name for column in said["dagster/column_schema"].columns] == table.column_names


def test_the_table_of_the_subset_is_the_file(prepared: Platform) -> None:
    said = recorded(prepared, SUBSET)
    table = feather.read_table(file_of(said), memory_map=False)
    columns = {column.name: column for column in said["dagster/column_schema"].columns}
    assert list(columns) == table.column_names
    for name, column in columns.items():
        kind = table.schema.field(name).type
        plain = kind.value_type if isinstance(kind, pa.DictionaryType) else kind
        assert column.type.split(",")[0] == str(plain)
        assert column.description
    assert columns["soma_joinid"].constraints == dg.TableColumnConstraints(nullable=False, unique=True)
    assert said["dagster/row_count"] == said["n_obs"] == table.num_rows
    assert said["dagster/size_bytes"] == file_of(said).stat().st_size


def test_a_subset_says_what_was_selected_from_what(prepared: Platform, census: Any) -> None:
    said = recorded(prepared, SUBSET)
    human = census["census_data"]["homo_sapiens"]
    var = human.ms["RNA"].var.read().concat().to_pandas()
    assert said["resolved_filter"] == "tissue_general == 'blood' and disease == 'normal' and is_primary_data == True"
    assert (said["n_obs"], said["n_obs_before"]) == (230, human.obs.count)
    assert said["n_vars_before"] == len(var)
    assert said["n_vars"] == int(((var["n_measured_obs"] >= 10) & (var["nnz"] >= 10)).sum())
    assert said["gene_selection"] == f"{said['n_vars']} with n_measured_obs >= 10 and nnz >= 10"
    assert said["max_obs"] == 230


def test_columns_of_the_subset_come_from_the_index_and_those_of_the_plan_from_the_subset(prepared: Platform) -> None:
    lineage = recorded(prepared, SUBSET)["dagster/column_lineage"].deps_by_column
    assert set(lineage) == {column.name for column in recorded(prepared, SUBSET)["dagster/column_schema"].columns}
    assert all(deps == [dg.TableColumnDep(INDEX, name)] for name, deps in lineage.items())
    of_plan = recorded(prepared, PLAN)["dagster/column_lineage"].deps_by_column
    assert {name: deps[0].column_name for name, deps in of_plan.items()} == {
        "first_joinid": "soma_joinid",
        "last_joinid": "soma_joinid",
        "nnz": "nnz",
    }


def test_the_table_of_the_plan_is_the_file(prepared: Platform) -> None:
    said = recorded(prepared, PLAN)
    schema = parquet.read_schema(file_of(said))
    assert [(c.name, c.type) for c in said["dagster/column_schema"].columns] == [(f.name, str(f.type)) for f in schema]
    assert said["dagster/row_count"] == len(pd.read_parquet(file_of(said))) == 6


def test_every_asset_has_a_description_kinds_a_group_and_a_link_to_code_that_is_there(prepared: Platform) -> None:
    specs = asset_specs(prepared.definitions)
    for key in (CENSUS_RELEASE, *MADE):
        spec = specs[key]
        assert len(spec.description or "") > 100
        assert spec.kinds
        assert spec.group_name in ("census", NAME)
        links = spec.metadata["dagster/code_references"].code_references
        assert [Path(link.file_path).stem for link in links] == [key.path[-1]]
        assert all(Path(link.file_path).is_file() for link in links)


def test_descriptions_are_in_the_words_of_the_subset(prepared: Platform) -> None:
    specs = asset_specs(prepared.definitions)
    assert f"`{prepared.spec.value_filter}`" in (specs[SUBSET].description or "")
    assert "genes that pass `n_measured_obs >= 10 and nnz >= 10`" in (specs[SUBSET].description or "")
    assert "40 cells per file" in (specs[PLAN].description or "")
    chunks = specs[h5ad_chunks_key(NAME)]
    assert "layer `raw`" in (chunks.description or "")
    assert "compressed with gzip" in (chunks.description or "")
    columns = [column.name for column in chunks.metadata["dagster/column_schema"].columns]
    assert columns == ["soma_joinid", *prepared.spec.obs_columns]


def test_owners_and_tags_are_on_all_assets_of_the_subset_and_tags_on_its_runs(prepared: Platform) -> None:
    labels = OwnersAndTags(owners=("team:cell-models", "me@lab.org"), tags={"project": "blood"})
    definitions = complete(subset_definitions(prepared.spec, "s3://bucket/prefix", labels))
    specs = asset_specs(definitions)
    for key in MADE[1:]:
        assert list(specs[key].owners) == ["team:cell-models", "me@lab.org"]
        assert specs[key].tags["project"] == "blood"
        assert specs[key].metadata["dagster/uri"].startswith(f"s3://bucket/prefix/{NAME}")
        assert specs[key].metadata["dagster/storage_kind"] == "s3"
    assert not specs[INDEX].owners
    for job in (f"{NAME}_ingest", f"{NAME}_missing_chunks", f"{NAME}_publish"):
        assert definitions.resolve_job_def(job).tags["project"] == "blood"
