"""Feather files come back as they were written, whatever batches they came in."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from cxg_assets.ingest.errors import CxgError
from cxg_assets.ingest.storage.feather import ROWS_PER_BATCH, FeatherFile, write_feather

N_ROWS = 2 * ROWS_PER_BATCH + 1_000


def make_table(n_rows: int) -> pa.Table:
    rng = np.random.default_rng(n_rows)
    codes = pa.array(rng.integers(0, 3, n_rows), pa.int8(), mask=np.arange(n_rows) % 10 == 7)
    categories = pa.array(["blood", "眼", "never used"], pa.large_string())
    return pa.table(
        {
            "soma_joinid": pa.array(np.arange(n_rows)),
            "tissue": pa.DictionaryArray.from_arrays(codes, categories),
            "donor_id": pa.array([f"donor {row % 11}" for row in range(n_rows)], pa.large_string()),
            "is_primary_data": pa.array(rng.random(n_rows) < 0.5),
        }
    )


@pytest.fixture(scope="module")
def table() -> pa.Table:
    return make_table(N_ROWS)


@pytest.fixture(scope="module")
def file(table: pa.Table, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("feather") / "table.feather"
    write_feather(path, table.to_batches(max_chunksize=50_000), table.schema)
    return path


@pytest.mark.parametrize("batch_size", [999, ROWS_PER_BATCH - 1, ROWS_PER_BATCH, ROWS_PER_BATCH + 1, N_ROWS])
def test_every_batch_but_the_last_has_the_same_number_of_rows(table: pa.Table, tmp_path: Path, batch_size: int) -> None:
    path = tmp_path / "table.feather"

    n_rows = write_feather(path, table.to_batches(max_chunksize=batch_size), table.schema)

    assert n_rows == N_ROWS
    with FeatherFile(path) as written:
        sizes = [written.batch(number).num_rows for number in range(written.n_batches)]
        assert sizes == [ROWS_PER_BATCH, ROWS_PER_BATCH, 1_000]
        assert written.schema.equals(table.schema)
        assert written.read().equals(table)


def test_the_file_is_the_same_however_the_rows_came(table: pa.Table, file: Path, tmp_path: Path) -> None:
    write_feather(tmp_path / "other", table.to_batches(max_chunksize=70_001), table.schema)

    assert (tmp_path / "other").read_bytes() == file.read_bytes()


@pytest.mark.parametrize(
    ("start", "stop"),
    [
        (0, 1),
        (5, 900),
        (ROWS_PER_BATCH - 1, ROWS_PER_BATCH),
        (ROWS_PER_BATCH - 1, ROWS_PER_BATCH + 1),
        (ROWS_PER_BATCH, 2 * ROWS_PER_BATCH),
        (10, N_ROWS),
        (N_ROWS - 1, N_ROWS),
    ],
)
def test_rows_are_those_asked_for(table: pa.Table, file: Path, start: int, stop: int) -> None:
    with FeatherFile(file) as opened:
        assert opened.rows(start, stop).equals(table.slice(start, stop - start))


def test_pieces_are_one_behind_the_other_and_hold_on_to_no_more_than_their_rows(table: pa.Table, file: Path) -> None:
    places = [(5, 105), (ROWS_PER_BATCH - 50, ROWS_PER_BATCH + 50), (ROWS_PER_BATCH + 60, ROWS_PER_BATCH + 160)]
    with FeatherFile(file) as opened:
        before = pa.total_allocated_bytes()
        rows = opened.pieces(places)
        kept = pa.total_allocated_bytes() - before

    assert rows.equals(pa.concat_tables([table.slice(start, stop - start) for start, stop in places]))
    assert kept <= 100 * rows.num_rows  # a batch has some megabytes


def test_batches_may_be_smaller(table: pa.Table, tmp_path: Path) -> None:
    write_feather(tmp_path / "small", table.to_batches(max_chunksize=70_001), table.schema, rows_per_batch=10_000)

    with FeatherFile(tmp_path / "small") as opened:
        sizes = [batch.num_rows for batch in opened.batches()]
        assert sizes == [10_000] * (N_ROWS // 10_000) + [N_ROWS % 10_000]
        assert (opened.rows_per_batch, opened.n_rows) == (10_000, N_ROWS)
        assert opened.rows(9_990, 30_010).equals(table.slice(9_990, 20_020))


def test_only_the_columns_asked_for_are_read(table: pa.Table, file: Path) -> None:
    with FeatherFile(file, columns=("is_primary_data", "soma_joinid")) as opened:
        assert set(opened.batch(0).schema.names) == {"is_primary_data", "soma_joinid"}
        assert opened.rows(7, 9)["soma_joinid"].to_pylist() == [7, 8]
        assert opened.schema.names == table.schema.names


def test_dictionaries_keep_all_categories_and_missing_values(table: pa.Table, file: Path) -> None:
    with FeatherFile(file) as opened:
        column = opened.rows(ROWS_PER_BATCH - 5, ROWS_PER_BATCH + 5)["tissue"].combine_chunks()

    assert column.dictionary.to_pylist() == ["blood", "眼", "never used"]
    assert column.to_pylist() == table["tissue"].slice(ROWS_PER_BATCH - 5, 10).to_pylist()
    assert None in column.to_pylist()


def test_no_rows_make_a_file_that_still_has_its_schema(table: pa.Table, tmp_path: Path) -> None:
    assert write_feather(tmp_path / "none", iter(()), table.schema) == 0

    with FeatherFile(tmp_path / "none") as opened:
        assert opened.n_batches == 0
        assert opened.read().schema.equals(table.schema)


def test_categories_that_change_on_the_way_are_refused(tmp_path: Path) -> None:
    def batches() -> Iterator[pa.RecordBatch]:
        for categories in (["a", "b"], ["a", "b", "c"]):
            tissue = pa.DictionaryArray.from_arrays(pa.array([0, 1], pa.int8()), pa.array(categories))
            yield pa.RecordBatch.from_arrays([tissue], names=["tissue"])

    schema = pa.schema([("tissue", pa.dictionary(pa.int8(), pa.string()))])
    with pytest.raises(CxgError, match=r"obs\.feather: the categories of tissue changed while it was written"):
        write_feather(tmp_path / "obs.feather", batches(), schema)
