"""The checks of index, subset, plan and release: each fails for its own reason, while the others pass."""

from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import dagster as dg
import pyarrow as pa
import pytest
from pyarrow import feather

from cxg_assets.ingest.layout import index_json_path, index_path, plan_path, subset_obs_path
from cxg_assets.ingest.plan.chunk_plan import Chunk, write_plan
from cxg_assets.ingest.spec import SubsetSpec
from cxg_assets.ingest.storage.feather import write_feather
from cxg_assets.ingest.verify.selection import asks_for_primary
from cxg_assets.names import CENSUS_RELEASE, census_index_key, chunk_plan_key, filtered_subset_key
from cxg_assets.ui.checks import (
    COVERS_SUBSET,
    NO_DUPLICATES,
    NOT_EMPTY,
    NOT_RETRACTED,
    PRIMARY_ONLY,
    ROW_COUNT,
    SPLIT_KEEPS_GROUPS,
    SUBSET_CHECKS,
)
from cxg_assets_tests.assets.test_census_release import stable_platform
from cxg_assets_tests.checks.conftest import NAME, damaged, execute, latest, local
from cxg_assets_tests.platforms import Platform, failure_text
from cxg_assets_tests.servers.public_census import PublicCensus

INDEX = census_index_key("homo_sapiens")
KEYS = {
    **{check.name: check.key(filtered_subset_key(NAME)) for check in SUBSET_CHECKS},
    ROW_COUNT.name: ROW_COUNT.key(INDEX),
    COVERS_SUBSET.name: COVERS_SUBSET.key(chunk_plan_key(NAME)),
}


def failed(platform: Platform) -> list[str]:
    """Executes all checks up to the plan, and returns those that have not passed."""
    return sorted(name for name, passed in execute(platform, *KEYS.values()).items() if not passed)


def obs_file(platform: Platform) -> Path:
    return local(platform, subset_obs_path(NAME, platform.plan.header.subset.fingerprint))


def index_file(platform: Platform) -> Path:
    return local(platform, index_path(platform.plan.header.subset.release.version, "homo_sapiens"))


def write(table: pa.Table, file: Path) -> None:
    # Into a new file: the old one may be mapped still.
    file.unlink()
    write_feather(file, table.combine_chunks().to_batches(), table.schema)


def with_joinid(platform: Platform, row: int, joinid: int) -> pa.Table:
    """The subset's obs with another soma_joinid in one row."""
    obs = feather.read_table(obs_file(platform))
    joinids = obs["soma_joinid"].to_numpy().copy()
    joinids[row] = joinid
    return obs.set_column(0, "soma_joinid", pa.array(joinids))


def test_all_pass_after_a_run_to_the_plan_and_have_passed_in_it(prepared: Platform) -> None:
    for name, key in KEYS.items():
        evaluation = latest(prepared, key)
        assert evaluation.passed
        expected = dg.AssetCheckSeverity.WARN if name == NO_DUPLICATES.name else dg.AssetCheckSeverity.ERROR
        assert evaluation.severity is expected
    assert failed(prepared) == []


def test_an_index_with_another_number_of_rows_than_the_census_is_seen(prepared: Platform) -> None:
    about = local(prepared, index_json_path(prepared.plan.header.subset.release.version, "homo_sapiens"))
    with damaged(about) as file:
        file.write_text(file.read_text().replace('"n_obs": 2600', '"n_obs": 2599'))
        assert failed(prepared) == [ROW_COUNT.name]
    assert "the index has 2,599 rows, the Census counts 2,600 homo_sapiens cells" in str(
        latest(prepared, KEYS[ROW_COUNT.name]).description
    )


def test_a_subset_with_fewer_cells_than_were_selected_is_seen(prepared: Platform) -> None:
    with damaged(obs_file(prepared)) as file:
        write(feather.read_table(file).slice(0, 0), file)
        assert execute(prepared, *(KEYS[check.name] for check in SUBSET_CHECKS)) == {
            NOT_EMPTY.name: False, PRIMARY_ONLY.name: True, NO_DUPLICATES.name: True,
            SPLIT_KEEPS_GROUPS.name: True,
        }  # fmt: skip
    assert "the subset has no cells" in str(latest(prepared, KEYS[NOT_EMPTY.name]).description)


def test_a_cell_that_is_not_primary_is_seen_where_the_filter_asks_for_primary_cells(prepared: Platform) -> None:
    index = feather.read_table(index_file(prepared), columns=["soma_joinid", "is_primary_data"]).to_pandas()
    other = int(index.loc[~index["is_primary_data"], "soma_joinid"].iloc[0])
    with damaged(obs_file(prepared)) as file:
        write(with_joinid(prepared, 1, other), file)
        # The plan was made of other cells than the file has now.
        assert failed(prepared) == [COVERS_SUBSET.name, PRIMARY_ONLY.name]
    assert latest(prepared, KEYS[PRIMARY_ONLY.name]).metadata["n_not_primary"].value == 1


def test_a_cell_that_a_dataset_has_twice_is_a_warning_and_stops_nothing(prepared: Platform) -> None:
    joinids = feather.read_table(obs_file(prepared))["soma_joinid"].to_numpy()
    index = feather.read_table(index_file(prepared))
    frame = index.select(["soma_joinid", "dataset_id", "observation_joinid"]).to_pandas()
    selected = frame[frame["soma_joinid"].isin(joinids)]
    pair = selected.groupby("dataset_id", observed=True)["soma_joinid"].head(2).index[:2]
    assert selected.loc[pair, "dataset_id"].nunique() == 1
    frame.loc[pair[1], "observation_joinid"] = frame.loc[pair[0], "observation_joinid"]
    place = index.schema.get_field_index("observation_joinid")
    column = pa.array(frame["observation_joinid"], type=index.schema.field(place).type)
    about = local(prepared, index_json_path(prepared.plan.header.subset.release.version, "homo_sapiens"))
    with damaged(index_file(prepared)) as file, damaged(about):
        n_bytes = file.stat().st_size
        write(index.set_column(place, "observation_joinid", column), file)
        about.write_text(about.read_text().replace(f'"n_bytes": {n_bytes}', f'"n_bytes": {file.stat().st_size}'))
        assert failed(prepared) == [NO_DUPLICATES.name]
        assert prepared.run(f"{NAME}_ingest").success
    assert latest(prepared, KEYS[NO_DUPLICATES.name]).severity is dg.AssetCheckSeverity.WARN


def test_a_joinid_that_is_in_the_subset_twice_is_seen(prepared: Platform) -> None:
    with damaged(obs_file(prepared)) as file:
        joinids = feather.read_table(file)["soma_joinid"].to_numpy()
        write(with_joinid(prepared, 1, int(joinids[0])), file)
        assert failed(prepared) == [NO_DUPLICATES.name, COVERS_SUBSET.name]
    assert latest(prepared, KEYS[NO_DUPLICATES.name]).metadata["n_same_soma_joinid"].value == 1


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda chunk: {"row_start": chunk.row_start - 1}, "1 cell in several chunks"),
        (lambda chunk: {"row_start": chunk.row_start + 1}, "1 cell of the subset in no chunk"),
        (lambda _: {"fingerprint": "0" * 64}, ""),
    ],
    ids=["overlap", "gap", "another fingerprint"],
)
def test_a_plan_that_does_not_cover_the_subset_is_seen(
    prepared: Platform, change: Callable[[Chunk], Mapping[str, Any]], said: str
) -> None:
    plan = prepared.plan
    changed = replace(plan.chunks[1], **change(plan.chunks[1]))
    chunks = [*plan.chunks[:1], changed, *plan.chunks[2:]]
    with damaged(local(prepared, plan_path(NAME, plan.header.plan_id))) as file:
        write_plan(replace(plan, chunks=tuple(chunks)), file)
        assert failed(prepared) == ([COVERS_SUBSET.name] if said else [])
    assert said in str(latest(prepared, KEYS[COVERS_SUBSET.name]).description)


def test_two_chunks_of_one_fingerprint_are_seen(prepared: Platform) -> None:
    plan = prepared.plan
    twin = replace(plan.chunks[1], fingerprint=plan.chunks[0].fingerprint)
    with damaged(local(prepared, plan_path(NAME, plan.header.plan_id))) as file:
        write_plan(replace(plan, chunks=(plan.chunks[0], twin, *plan.chunks[2:])), file)
        assert failed(prepared) == [COVERS_SUBSET.name]
    assert "5 fingerprints for 6 chunks" in str(latest(prepared, KEYS[COVERS_SUBSET.name]).description)


def test_a_failed_check_of_the_index_stops_the_run_before_the_subset(prepared: Platform) -> None:
    about = local(prepared, index_json_path(prepared.plan.header.subset.release.version, "homo_sapiens"))
    n_before = len(prepared.instance.fetch_materializations(filtered_subset_key(NAME), limit=100).records)
    with damaged(about) as file:
        file.write_text(file.read_text().replace('"n_obs": 2600', '"n_obs": 2599'))
        said = failure_text(prepared.run(f"{NAME}_ingest"))
    assert f"check {ROW_COUNT.name} failed" in said
    assert "materialize census_index again" in said
    assert len(prepared.instance.fetch_materializations(filtered_subset_key(NAME), limit=100).records) == n_before


@pytest.mark.parametrize(
    ("value_filter", "asks"),
    [
        (None, False),
        ("tissue == 'lung'", False),
        ("is_primary_data == True", True),
        ("tissue == 'lung' and (is_primary_data == True)", True),
        ("is_primary_data != False and sex == 'male'", True),
        ("is_primary_data == False", False),
        ("is_primary_data == True or sex == 'male'", False),
        ("(is_primary_data == True and sex == 'male') or (is_primary_data == True and sex == 'female')", True),
        ("not is_primary_data == False", True),
    ],
)
def test_whether_a_filter_asks_for_primary_cells(value_filter: str | None, asks: bool) -> None:
    assert asks_for_primary(value_filter) is asks


def test_a_release_that_was_retracted_since_is_seen_when_the_check_is_executed(
    public: PublicCensus, tmp_path: Path, spec: Callable[..., SubsetSpec]
) -> None:
    key = NOT_RETRACTED.key(CENSUS_RELEASE)
    with stable_platform(tmp_path, public.uri, spec) as platform:
        platform.observe()
        assert latest(platform, key).passed
        n_asked = len(public.asked)
        assert execute(platform, key) == {NOT_RETRACTED.name: True}
        assert len(public.asked) == n_asked + 1
        public.releases["2025-11-08"]["flags"] = {"lts": True, "retracted": True}
        public.releases["2025-11-08"]["retraction"] = {"date": "2025-12-01", "reason": "wrong labels"}
        assert execute(platform, key) == {NOT_RETRACTED.name: False}
        assert "build 2025-11-08 was retracted on 2025-12-01: wrong labels" in str(latest(platform, key).description)


def test_a_census_that_was_given_by_its_uri_cannot_be_retracted(prepared: Platform) -> None:
    key = NOT_RETRACTED.key(CENSUS_RELEASE)
    assert execute(prepared, key) == {NOT_RETRACTED.name: True}
    assert "cannot be retracted" in str(latest(prepared, key).metadata["looked_at"].value)
