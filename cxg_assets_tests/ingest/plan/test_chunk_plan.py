"""A plan puts every cell in exactly one chunk, in order, and comes back as it was stored."""

import json
import tempfile
from collections.abc import Callable
from dataclasses import asdict, replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cxg_assets.ingest.census.release import Release
from cxg_assets.ingest.census.tiles import NNZ_PER_CELL, TILE
from cxg_assets.ingest.errors import BadInput, CxgError
from cxg_assets.ingest.filters.value_filter import parse_filter
from cxg_assets.ingest.genes.select import parse_gene_filter
from cxg_assets.ingest.plan.chunk_plan import ChunkPlan, read_plan, write_plan
from cxg_assets.ingest.plan.making import MAX_CHUNKS, check_n_chunks, make_plan
from cxg_assets.ingest.selection.selection import Selection
from cxg_assets.ingest.selection.subset import Subset
from cxg_assets.ingest.spec import GeneSelection, SubsetSpec
from cxg_assets.ingest.storage.feather import ROWS_PER_BATCH, write_feather

RELEASE = Release(
    name="stable",
    build="2025-11-08",
    uri="s3://census/soma",
    region="us-west-2",
    schema_version="2.4.0",
    fingerprint="f" * 64,
    timestamp_ms=1,
)
LAYERS = {"raw": "s3://census/soma/raw", "normalized": "s3://census/soma/normalized"}
SPEC = SubsetSpec(name="blood", organism="homo_sapiens", chunk_size=10)


def selection_of(spec: SubsetSpec) -> Selection:
    """The selection of a spec, on obs and var that have the columns of these tests."""
    text = pa.dictionary(pa.int32(), pa.string())
    obs = pa.schema([("nnz", pa.int64()), ("tissue", text), ("is_primary_data", pa.bool_())])
    value_filter = None if spec.value_filter is None else parse_filter(spec.value_filter, obs)
    return Selection.of(spec, value_filter, parse_gene_filter(spec.genes, pa.schema([("nnz", pa.int64())])))


def plan_of(
    joinids: np.ndarray, *, nnz: np.ndarray | None = None, gene_joinids: tuple[int, ...] = (0, 1, 2), **changes: Any
) -> ChunkPlan:
    """The plan of a subset that has just these cells and genes."""
    release, layers = changes.pop("release", RELEASE), changes.pop("layers", LAYERS)
    spec = replace(SPEC, **changes)
    columns = {"soma_joinid": joinids.astype(np.int64)} | ({} if nnz is None else {"nnz": nnz.astype(np.int64)})
    ids = [f"ENSG{joinid}" for joinid in gene_joinids]
    obs, var = pa.table(columns), pa.table({"soma_joinid": pa.array(gene_joinids, pa.int64()), "feature_id": ids})
    subset = Subset(
        name=spec.name,
        release=release,
        selection=selection_of(spec),
        fingerprint="5" * 64,
        n_obs=obs.num_rows,
        n_obs_before=10**6,
        n_vars=var.num_rows,
        n_vars_before=10,
        layers=layers,
    )
    with tempfile.TemporaryDirectory() as folder:
        obs_path, var_path = Path(folder) / "obs.feather", Path(folder) / "var.feather"
        write_feather(obs_path, obs.to_batches(), obs.schema)
        write_feather(var_path, var.to_batches(), var.schema)
        return make_plan(spec, subset, obs_path, var_path, Path(folder) / "ordered.feather")


def fingerprints(plan: ChunkPlan) -> list[str]:
    return [chunk.fingerprint for chunk in plan.chunks]


def assert_partitions(plan: ChunkPlan, joinids: np.ndarray, nnz: np.ndarray, chunk_size: int) -> None:
    assert [chunk.row_start for chunk in plan.chunks] == list(range(0, len(joinids), chunk_size))
    assert plan.chunks[-1].row_stop == len(joinids)
    assert all(before.row_stop == after.row_start for before, after in pairwise(plan.chunks))
    assert all(chunk.n_obs == chunk_size for chunk in plan.chunks[:-1])
    assert [chunk.key for chunk in plan.chunks] == [f"{number:05d}" for number in range(len(plan.chunks))]
    for chunk in plan.chunks:
        rows = slice(chunk.row_start, chunk.row_stop)
        assert (chunk.first_joinid, chunk.last_joinid) == (joinids[rows].min(), joinids[rows].max())
        assert chunk.nnz == nnz[rows].sum()
        assert chunk.n_tiles == len(set(joinids[rows] // TILE))
    assert plan.header.subset.n_obs == len(joinids)


@settings(max_examples=60, deadline=None)
@given(
    joinids=st.lists(st.integers(0, 10**6), min_size=1, max_size=80, unique=True),
    chunk_size=st.integers(1, 100),
    ordered=st.booleans(),
)
def test_every_cell_is_in_one_chunk_in_order(joinids: list[int], chunk_size: int, ordered: bool) -> None:
    cells = np.array(sorted(joinids) if ordered else joinids)
    nnz = cells % 1_000

    assert_partitions(plan_of(cells, nnz=nnz, chunk_size=chunk_size), cells, nnz, chunk_size)


@pytest.mark.parametrize("chunk_size", [9_999, ROWS_PER_BATCH - 1, ROWS_PER_BATCH, ROWS_PER_BATCH + 1, 10**6])
def test_chunks_do_not_depend_on_the_batches_of_the_file(chunk_size: int) -> None:
    cells = np.arange(0, 2 * (2 * ROWS_PER_BATCH + 77), 2)

    assert_partitions(plan_of(cells, nnz=cells % 7, chunk_size=chunk_size), cells, cells % 7, chunk_size)


@settings(max_examples=60, deadline=None)
@given(joinids=st.lists(st.integers(0, 50_000), min_size=1, max_size=60, unique=True), chunk_size=st.integers(1, 70))
def test_amplification_counts_each_tile_of_a_pass_once(joinids: list[int], chunk_size: int) -> None:
    cells = np.sort(joinids)

    plan = plan_of(cells, chunk_size=chunk_size)

    assert plan.amplification == pytest.approx(len(set(cells // TILE)) * TILE / len(cells))


def test_a_census_without_nnz_is_planned_with_the_usual_number() -> None:
    assert [chunk.nnz for chunk in plan_of(np.arange(15)).chunks] == [10 * NNZ_PER_CELL, 5 * NNZ_PER_CELL]


@pytest.mark.parametrize(
    "change",
    [
        {"layer": "normalized"},
        {"compression": "none"},
        {"genes_text": "fixed"},
        {"format": "zarr", "compression": "lz4"},
        {"organism": "mus_musculus"},
        {"name": "other"},
        {"value_filter": "nnz > 1"},
        {"obs_columns": ("tissue",)},
        {"gene_joinids": (0, 1)},
        {"genes": GeneSelection(value_filter="nnz >= 10")},
        {"release": replace(RELEASE, fingerprint="e" * 64)},
        {"release": replace(RELEASE, build="2025-12-01")},
    ],
    ids=str,
)
def test_what_all_chunks_share_moves_every_fingerprint_and_the_plan(change: dict[str, Any]) -> None:
    before, after = plan_of(np.arange(25)), plan_of(np.arange(25), **change)

    assert set(fingerprints(before)) & set(fingerprints(after)) == set()
    assert before.header.plan_id != after.header.plan_id


def test_one_cell_more_moves_only_the_chunks_from_there_on() -> None:
    before, after = plan_of(np.arange(0, 60, 2)), plan_of(np.append(np.arange(0, 38, 2), np.arange(37, 60, 2)))

    assert fingerprints(before)[:1] == fingerprints(after)[:1]
    assert fingerprints(before)[1:] != fingerprints(after)[1:]
    assert before.header.plan_id != after.header.plan_id


def test_the_provenance_tells_the_selection_of_genes() -> None:
    by_filter = plan_of(np.arange(5), genes=GeneSelection(value_filter="nnz >= 10"))
    by_id = plan_of(np.arange(5), genes=GeneSelection(feature_ids=("ENSG1", "ENSG2", "ENSG3")))

    assert plan_of(np.arange(5)).header.provenance["genes"] == "all 3"
    assert by_filter.header.provenance["genes"] == "3 with nnz >= 10"
    assert by_id.header.provenance["genes"] == "3 of 3 listed"


def test_when_the_census_was_read_does_not_move_anything() -> None:
    later = plan_of(np.arange(25), release=replace(RELEASE, timestamp_ms=2, name="2025-11-08"))

    assert fingerprints(later) == fingerprints(plan_of(np.arange(25)))
    assert later.header.plan_id == plan_of(np.arange(25)).header.plan_id


def test_the_plan_tells_workers_where_x_is() -> None:
    assert plan_of(np.arange(5)).header.x_uri == "s3://census/soma/raw"
    assert plan_of(np.arange(5), layer="normalized").header.x_uri == "s3://census/soma/normalized"
    with pytest.raises(BadInput, match="census s3://census/soma has no X/normalized for homo_sapiens; it has raw"):
        plan_of(np.arange(5), layer="normalized", layers={"raw": "s3://census/soma/raw"})


@pytest.mark.parametrize(
    "genes", [None, GeneSelection(value_filter="nnz >= 10"), GeneSelection(feature_ids=("ENSG1", "ENSG2", "ENSG3"))]
)
def test_a_stored_plan_comes_back(tmp_path: Path, genes: GeneSelection | None) -> None:
    plan = plan_of(np.arange(25), obs_columns=("tissue", "assay"), value_filter="nnz > 1", genes=genes)

    write_plan(plan, tmp_path / "plan.parquet")

    assert read_plan(tmp_path / "plan.parquet") == plan


def test_a_stored_plan_is_a_table_that_anybody_can_read(tmp_path: Path) -> None:
    plan = plan_of(np.arange(25))

    write_plan(plan, tmp_path / "plan.parquet")

    assert pq.read_table(tmp_path / "plan.parquet").to_pylist() == [asdict(chunk) for chunk in plan.chunks]


def test_another_parquet_file_is_not_taken_for_a_plan(tmp_path: Path) -> None:
    pq.write_table(pa.table({"a": [1]}), tmp_path / "other.parquet")

    with pytest.raises(CxgError, match=r"other\.parquet is not a chunk plan of this version of cxg_assets"):
        read_plan(tmp_path / "other.parquet")


def test_chunks_are_found_by_key_and_come_in_plan_order() -> None:
    plan = plan_of(np.arange(55))

    assert [chunk.key for chunk in plan.chunks_of(["00004", "00000", "00002"])] == ["00000", "00002", "00004"]
    assert plan.chunks_of([]) == ()


def test_a_key_that_is_not_in_the_plan_is_bad_input() -> None:
    plan = plan_of(np.arange(55))

    with pytest.raises(BadInput, match=f"chunk 00006 is not in plan {plan.header.plan_id} of blood .00000 to 00005."):
        plan.chunks_of(["00001", "00006"])


def test_more_chunks_than_dagster_recommends_are_refused_with_a_size_that_fits(
    spec: Callable[..., SubsetSpec],
) -> None:
    n_obs = 105_000_000

    with pytest.raises(BadInput, match=r"chunk_size: 1,000 makes 105,000 chunks .* a chunk_size of 1,050 or more fits"):
        check_n_chunks(spec(chunk_size=1_000), n_obs)
    check_n_chunks(spec(chunk_size=1_050), n_obs)
    check_n_chunks(spec(chunk_size=1), MAX_CHUNKS)
    with pytest.raises(BadInput, match="a chunk_size of 2 or more fits"):
        check_n_chunks(spec(chunk_size=1), MAX_CHUNKS + 1)


def test_a_plan_of_another_chunk_format_can_be_read_and_no_chunk_is_made_of_it(tmp_path: Path) -> None:
    plan = plan_of(np.arange(20))
    path = tmp_path / "plan.parquet"
    write_plan(plan, path)
    table = pq.read_table(path)
    [(key, text)] = (table.schema.metadata or {}).items()
    header = json.loads(text)
    flat = {"subset": plan.header.subset.name, "subset_fingerprint": plan.header.subset.fingerprint}
    of_subset = header.pop("subset")
    header |= flat | {name: of_subset[name] for name in ("release", "selection", "n_obs", "n_vars")}
    del header["encoding_version"]  # as plans were before chunks of format 4
    pq.write_table(table.replace_schema_metadata({key: json.dumps(header).encode()}), path)

    before = read_plan(path)

    assert before.chunks == plan.chunks
    plan.require_known_format()
    with pytest.raises(BadInput, match="is of chunks of format 3, this version of cxg_assets writes format"):
        before.require_known_format()
