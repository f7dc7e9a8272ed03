"""Samples, splits and orders in metadata and descriptions."""

from collections.abc import Callable
from pathlib import Path

import dagster as dg
import pytest

from cxg_assets.code_location import complete
from cxg_assets.components.census_subset import subset_definitions
from cxg_assets.ingest.metrics import Quality, QualityColumn
from cxg_assets.ingest.sampling import Order, Sample, Split
from cxg_assets.ingest.spec import SubsetSpec
from cxg_assets.names import chunk_plan_key, filtered_subset_key
from cxg_assets.ui.metadata import chunk_metadata, plan_metadata, report_from, subset_metadata
from cxg_assets_tests.conftest import Ingest
from cxg_assets_tests.ingested import Ingested


@pytest.fixture(scope="module")
def chosen(ingest: Ingest, spec: Callable[..., SubsetSpec], tmp_path_factory: pytest.TempPathFactory) -> Ingested:
    wanted = spec(
        value_filter="is_primary_data == True",
        quality=Quality(
            columns=(QualityColumn(name="mt_share", kind="share", feature_name=("MT-*",)),), keep="mt_share < 0.1"
        ),
        sample=Sample(by=("cell_type",), at_least=10, at_most=50),
        split=Split(by=("donor_id",), shares={"train": 0.75, "test": 0.25}),
        order=Order(kind="shuffled", seed=2),
    )
    return ingest(wanted, tmp_path_factory.mktemp("chosen").as_uri())


def test_the_metadata_of_a_subset_and_its_plan_tell_sample_split_and_order(chosen: Ingested) -> None:
    subset = chosen.subset
    with chosen.census.open() as census:
        schema = census.obs("homo_sapiens").schema
    of_subset = subset_metadata(subset, "file:///obs.feather", 1, schema, [])
    of_plan = plan_metadata(chosen.plan, "file:///plan.parquet")

    assert subset.quality is not None
    assert subset.sampled is not None
    assert of_subset["quality"] == "mt_share (share of MT-*); keep mt_share < 0.1"
    assert of_subset["n_obs_before_quality"] - of_subset["n_not_kept"] == subset.sampled.n_obs
    assert of_subset["n_outliers"] == 0
    assert of_subset["sample"] == "by cell_type, at_least 10, at_most 50, seed 0"
    assert of_subset["n_obs_before_sample"] == subset.sampled.n_obs > subset.n_obs
    assert of_subset["groups"] == f"{subset.sampled.n_groups_kept} of {subset.sampled.n_groups} kept"
    columns = {column.name for column in of_subset["dagster/column_schema"].columns}
    assert {"split", "donor_id", "mt_share"} <= columns
    for metadata in (of_subset, of_plan):
        assert metadata["split"] == "by donor_id, shares train 0.75, test 0.25, seed 0"
        for part, n_obs in subset.parts.items():
            assert f"| {part} | {n_obs:,} cells, {100 * n_obs / subset.n_obs:.1f} % |" in metadata["parts"].value
    assert of_plan["order"].startswith("shuffled, seed 2, in pools of ")
    assert of_plan["datasets_per_512_cells"] > 1


def test_a_chunk_tells_its_part_and_its_report_comes_back(chosen: Ingested) -> None:
    for report in chosen.reports:
        metadata = chunk_metadata(report)
        assert metadata["split"] == report.split
        assert report.split in chosen.subset.parts
        recorded = dg.AssetMaterialization("chunk", metadata=metadata).metadata
        assert report_from(recorded) == report


def test_descriptions_tell_what_is_asked_for(chosen: Ingested, tmp_path: Path) -> None:
    graph = complete(subset_definitions(chosen.spec, "")).resolve_asset_graph()
    of_subset = graph.get(filtered_subset_key(chosen.spec.name)).description or ""
    of_plan = graph.get(chunk_plan_key(chosen.spec.name)).description or ""

    assert "- **Quality**: mt_share (share of MT-*); keep mt_share < 0.1." in of_subset
    assert "obs with `soma_joinid`, `cell_type`, `donor_id`, `is_primary_data`, `dataset_id`, `mt_share`" in of_subset
    assert "- **Sample**: by cell_type, at_least 10, at_most 50, seed 0." in of_subset
    assert "- **Split**: by donor_id, shares train 0.75, test 0.25, seed 0." in of_subset
    assert "part by part of the split, in the order of a seed (shuffled, seed 2)" in of_plan
