"""The asset of an export: what is published, as Parquet, in a step of its own."""

import dagster as dg
import pandas as pd

from cxg_assets.code_location import complete
from cxg_assets.components.census_subset import subset_definitions
from cxg_assets.ingest.layout import dataset_path, exported_chunk_path
from cxg_assets.names import parquet_key
from cxg_assets.resources.census import CensusResource
from cxg_assets.resources.store import S3Resource, StoreResource
from cxg_assets_tests.cli.test_metadata_page import documented
from cxg_assets_tests.platforms import Platform, failure_text


def export(platform: Platform) -> dg.ExecuteInProcessResult:
    key = parquet_key(platform.spec.name)
    definitions = complete(
        subset_definitions(platform.spec, "", exports=["parquet"]),
        census=CensusResource(uri=platform.census_uri),
        store=StoreResource(url=platform.store_url, s3=S3Resource()),
        workers=1,
    )
    job = dg.define_asset_job("export", [key], executor_def=dg.in_process_executor)
    merged = dg.Definitions.merge(definitions, dg.Definitions(jobs=[job]))
    return merged.resolve_job_def("export").execute_in_process(instance=platform.instance, raise_on_error=False)


def made(platform: Platform) -> dict[str, object]:
    [record] = platform.instance.fetch_materializations(parquet_key(platform.spec.name), limit=1).records
    assert record.asset_materialization is not None
    return {name: value.value for name, value in record.asset_materialization.metadata.items()}


def test_an_export_is_recorded_and_made_once(published: Platform) -> None:
    assert export(published).success

    first, plan = made(published), published.plan
    assert set(first) == documented("`<subset>/parquet`")
    assert first["plan_id"] == plan.header.plan_id
    assert (first["n_files"], first["n_written"]) == (len(plan.chunks), len(plan.chunks))
    assert first["n_obs"] == first["dagster/row_count"] == plan.header.subset.n_obs
    folder = published.file(plan.chunks[0]).parents[2]
    paths = [
        exported_chunk_path(published.spec.name, plan.header.plan_id, chunk.split, chunk.key, chunk.fingerprint)
        for chunk in plan.chunks
    ]
    cells = pd.concat([pd.read_parquet(folder / path, columns=["soma_joinid"]) for path in paths])
    assert cells["soma_joinid"].is_unique
    assert len(cells) == first["n_obs"]

    assert export(published).success
    assert made(published) == first | {"n_written": 0}


def test_what_is_not_published_is_refused_with_what_to_do(stored: Platform) -> None:
    assert not stored.store.exists(dataset_path(stored.spec.name))

    result = export(stored)

    assert not result.success
    assert f"{stored.spec.name} is not published" in failure_text(result)


def test_a_subset_without_exports_has_no_such_asset(prepared: Platform) -> None:
    keys = prepared.definitions.resolve_asset_graph().get_all_asset_keys()

    assert parquet_key(prepared.spec.name) not in keys
