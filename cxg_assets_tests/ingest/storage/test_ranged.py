"""Of an index or a subset in S3 only the columns and batches that are needed are read, and all of one object."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from pyarrow import feather

from cxg_assets.ingest.dataset.load import load_table
from cxg_assets.ingest.errors import CxgError, StoreError
from cxg_assets.ingest.layout import index_path, subset_obs_path, subset_var_path
from cxg_assets.ingest.plan.making import store_plan
from cxg_assets.ingest.selection.index import CensusIndex
from cxg_assets.ingest.selection.subset import Subset, write_subset
from cxg_assets.ingest.storage.feather import ROWS_PER_BATCH, FeatherFile, FeatherSource, feather_source, write_feather
from cxg_assets.ingest.storage.store import Store
from cxg_assets.ingest.verify.selection import joinid_batches, verify_subset
from cxg_assets_tests.big_obs import write_big_index
from cxg_assets_tests.ingest.plan.test_chunk_plan import LAYERS, RELEASE, SPEC
from cxg_assets_tests.servers.strict_s3 import ONCE, QUICKLY, Failure, Rules, StrictS3

N_OBS = 1_000_000
N_BATCHES = -(-N_OBS // ROWS_PER_BATCH)
COLUMNS = ("cell_type", "assay", "disease", "tissue", "donor_id")
VAR = pa.table({"soma_joinid": pa.array([0, 1, 2]), "feature_id": pa.array(["a", "b", "c"])})
INDEX = index_path(RELEASE.version, SPEC.organism)


@pytest.fixture(scope="module")
def index_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("big") / "index.feather"
    write_big_index(path, N_OBS)
    return path


@pytest.fixture
def store(server: StrictS3, index_file: Path) -> Store:
    """A store in S3 with the index."""
    opened = server.locator().open(QUICKLY)
    opened.put(INDEX, index_file)
    server.obey(Rules())
    return opened


def about(index_file: Path) -> CensusIndex:
    names = feather.read_table(index_file, columns=["soma_joinid"]).schema.names
    return CensusIndex(
        release=RELEASE, organism=SPEC.organism, n_obs=N_OBS, n_bytes=index_file.stat().st_size, columns=tuple(names)
    )


def n_read(server: StrictS3, name: str) -> tuple[int, int]:
    """How often parts of an object were asked for since the last rules, and how many bytes; never the whole of it."""
    asked = [asked for asked in server.requests("GET") if asked.path.endswith(name)]
    n_bytes = 0
    for request in asked:
        start, stop = request.headers["range"].removeprefix("bytes=").split("-")
        n_bytes += int(stop) - int(start) + 1 if start else int(stop)
    return len(asked), n_bytes


def a_tissue(index_file: Path) -> str:
    """The filter by which the primary cells of one tissue pass: that of the first of them in the second half."""
    columns = ["tissue_general", "is_primary_data"]
    obs = feather.read_table(index_file, columns=columns).slice(N_OBS // 2)
    [label] = obs.filter(obs["is_primary_data"]).slice(0, 1)["tissue_general"].to_pylist()
    return f"tissue_general == '{label}' and is_primary_data == True"


def select(
    folder: Path, source: FeatherSource, index: CensusIndex, value_filter: str | None, max_obs: int | None = None
) -> Subset:
    """Writes a subset's files into a folder."""
    spec = replace(SPEC, value_filter=value_filter, obs_columns=COLUMNS, max_obs=max_obs)
    return write_subset(spec, index, source, VAR, LAYERS, folder / "obs", folder / "var")


def put(store: Store, subset: Subset, folder: Path) -> None:
    store.put(subset_obs_path(SPEC.name, subset.fingerprint), folder / "obs")
    store.put(subset_var_path(SPEC.name, subset.fingerprint), folder / "var")


def look_at(server: StrictS3, store: Store, index_file: Path, folder: Path, value_filter: str | None) -> Subset:
    """Filters the index in S3 and checks the subset; counts bytes and requests of both."""
    index = about(index_file)
    subset = select(folder, feather_source(store, INDEX), index, value_filter)
    n_filter, of_filter = n_read(server, INDEX)
    put(store, subset, folder)
    findings = verify_subset(subset, SPEC.name, store, index, store)
    n_both, of_both = n_read(server, INDEX)

    assert all(finding.passed for finding in findings)
    assert findings.duplicates.facts["n_same_observation_joinid_in_dataset"] == 0
    assert of_both <= 0.35 * index.n_bytes
    assert of_filter <= 0.25 * index.n_bytes
    # Of each batch its description and what of it is needed: by the filter, by the look for the categories that occur,
    # by what is written, and by the check.
    assert n_filter <= 12 * N_BATCHES
    assert n_both <= 20 * N_BATCHES
    return subset


@pytest.mark.parametrize("what", ["a tissue", "primary cells", "all cells"])
def test_a_filter_and_the_check_of_its_subset_read_a_third_of_an_index_at_most(
    server: StrictS3, store: Store, index_file: Path, tmp_path: Path, what: str
) -> None:
    filters = {"a tissue": a_tissue(index_file), "primary cells": "is_primary_data == True", "all cells": None}

    subset = look_at(server, store, index_file, tmp_path, filters[what])

    assert (subset.n_obs > N_OBS / 2) is (what != "a tissue")


def test_so_they_do_for_a_tissue_of_an_index_that_does_not_say_whether_it_has_cells_twice(
    server: StrictS3, store: Store, index_file: Path, tmp_path: Path
) -> None:
    rows = feather.read_table(index_file)
    write_feather(tmp_path / "index", rows.combine_chunks().to_batches(), rows.schema)
    store.put(INDEX, tmp_path / "index")
    server.obey(Rules())

    look_at(server, store, tmp_path / "index", tmp_path, a_tissue(index_file))


def test_what_is_read_of_s3_is_what_is_read_of_a_folder(store: Store, index_file: Path, tmp_path: Path) -> None:
    index, value_filter = about(index_file), a_tissue(index_file)
    files: list[bytes] = []
    for place, source in {"s3": feather_source(store, INDEX), "folder": index_file}.items():
        (tmp_path / place).mkdir()
        select(tmp_path / place, source, index, value_filter)
        files.append((tmp_path / place / "obs").read_bytes())

    assert files[0] == files[1]


def test_the_first_cells_of_all_are_read_of_the_first_batch_alone(
    server: StrictS3, store: Store, index_file: Path, tmp_path: Path
) -> None:
    subset = select(tmp_path, feather_source(store, INDEX), about(index_file), None, max_obs=1_000)

    assert subset.n_obs == 1_000
    assert n_read(server, INDEX)[1] <= 0.3 * index_file.stat().st_size / N_BATCHES


def test_a_filter_that_has_found_enough_reads_no_further(
    server: StrictS3, store: Store, index_file: Path, tmp_path: Path
) -> None:
    select(tmp_path, feather_source(store, INDEX), about(index_file), "nnz > 0", max_obs=1_000)

    # Of the batch with the cells the columns; of few more the filter's alone, which was asked for meanwhile.
    assert n_read(server, INDEX)[1] <= 0.6 * index_file.stat().st_size / N_BATCHES


def test_a_plan_and_a_column_read_what_they_need_of_a_subset(
    server: StrictS3, store: Store, index_file: Path, tmp_path: Path
) -> None:
    subset = select(tmp_path, index_file, about(index_file), "is_primary_data == True")
    put(store, subset, tmp_path)
    obs_path, n_bytes = subset_obs_path(SPEC.name, subset.fingerprint), (tmp_path / "obs").stat().st_size
    local = feather.read_table(tmp_path / "obs")

    plan = store_plan(replace(SPEC, value_filter="is_primary_data == True", obs_columns=COLUMNS), subset, store)
    of_plan = n_read(server, obs_path)[1]
    server.obey(Rules())
    cell_types = load_table(store, obs_path, ["cell_type"])
    of_column = n_read(server, obs_path)[1]

    assert sum(chunk.nnz for chunk in plan.chunks) == int(local["nnz"].to_numpy().sum())
    assert cell_types.equals(local.select(["cell_type"]))
    assert np.array_equal(np.concatenate(list(joinid_batches(store, obs_path))), local["soma_joinid"].to_numpy())
    assert load_table(store, obs_path).equals(local)
    assert of_plan <= 0.65 * n_bytes
    assert of_column <= 0.35 * n_bytes


@pytest.mark.parametrize("rows_per_batch", [1_000, ROWS_PER_BATCH])
@pytest.mark.parametrize("compression", ["lz4", "zstd", None])
def test_files_of_any_equal_batches_and_any_codec_are_read(
    server: StrictS3, index_file: Path, tmp_path: Path, rows_per_batch: int, compression: str | None
) -> None:
    with FeatherFile(index_file) as opened:
        table = opened.rows(ROWS_PER_BATCH - 1_500, ROWS_PER_BATCH + 1_500)
    options = pa.ipc.IpcWriteOptions(compression=compression)
    with pa.ipc.new_file(str(tmp_path / "file"), table.schema, options=options) as writer:
        writer.write_table(table.combine_chunks(), max_chunksize=rows_per_batch)
    store = server.locator().open(ONCE)
    store.put("file", tmp_path / "file")

    for source in (feather_source(store, "file"), tmp_path / "file"):
        with FeatherFile(source, columns=("donor_id", "observation_joinid", "soma_joinid")) as opened:
            columns = opened.batch(0).schema.names
            assert (opened.n_rows, opened.read()) == (3_000, table.select(columns))
            assert opened.rows(999, 2_001).equals(table.select(columns).slice(999, 1_002))
            assert opened.pieces([(5, 7), (2_998, 3_000)])["soma_joinid"].to_pylist() == [
                table["soma_joinid"][row].as_py() for row in (5, 6, 2_998, 2_999)
            ]


def test_a_file_without_rows_and_its_categories_are_read(server: StrictS3, index_file: Path, tmp_path: Path) -> None:
    with FeatherFile(index_file) as opened:
        schema, no_rows = opened.schema, opened.no_rows()
    write_feather(tmp_path / "none", iter(()), schema)
    store = server.locator().open(ONCE)
    store.put("none", tmp_path / "none")

    assert no_rows.schema.equals(schema)
    assert no_rows["sex"].combine_chunks().dictionary.to_pylist() == ["sex 00000", "sex 00001", "sex 00002"]
    with FeatherFile(feather_source(store, "none")) as opened:
        assert (opened.n_rows, opened.read().schema) == (0, schema)


def test_a_busy_s3_is_asked_again_for_a_part(server: StrictS3, store: Store, index_file: Path) -> None:
    busy = Failure(status=503, code="SlowDown", methods=("GET",), times=5)
    server.obey(Rules(failures=(busy,)))

    with FeatherFile(feather_source(store, INDEX), columns=("soma_joinid",)) as opened:
        assert opened.rows(N_OBS - 2, N_OBS)["soma_joinid"].to_pylist() == [N_OBS - 2, N_OBS - 1]


def test_a_store_that_fails_on_the_way_is_named(server: StrictS3, store: Store) -> None:
    with FeatherFile(feather_source(store, INDEX), columns=("soma_joinid",)) as opened:
        opened.batch(0)
        server.obey(Rules(failures=(Failure(status=507, code="StorageFull", methods=("GET",)),)))
        with pytest.raises(StoreError, match=f"cannot read {store.uri(INDEX)}: .*StorageFull"):
            opened.batch(3)
        with pytest.raises(StoreError, match=f"cannot read {store.uri(INDEX)}: .*StorageFull"):
            opened.read()


def test_an_object_that_is_replaced_meanwhile_is_an_error_and_never_a_mix(
    store: Store, index_file: Path, tmp_path: Path
) -> None:
    with FeatherFile(feather_source(store, INDEX), columns=("nnz",)) as opened:
        opened.batch(0)
        write_big_index(tmp_path / "other", N_OBS, seed=1)
        store.put(INDEX, tmp_path / "other")
        with pytest.raises(StoreError, match=f"{store.uri(INDEX)} was replaced while it was read; run again"):
            opened.batch(1)


def test_what_is_not_there_and_what_is_no_feather_file_are_told(server: StrictS3) -> None:
    store = server.locator().open(ONCE)
    with pytest.raises(FileNotFoundError, match=f"{store.uri('no/file')} is not there"):
        feather_source(store, "no/file")
    for content in (b"ARROW1", bytes(100), b"x" * 100_000):
        store.put("damaged", content)
        with pytest.raises(CxgError, match=f"{store.uri('damaged')} is damaged"):
            list(joinid_batches(store, "damaged"))
    store.put("empty", b"")
    with pytest.raises(CxgError, match=f"cannot read {store.uri('empty')}: "):
        list(joinid_batches(store, "empty"))
