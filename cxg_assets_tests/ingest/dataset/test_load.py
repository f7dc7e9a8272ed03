"""What was published is read back as it is in the files, from a folder and from S3, and nothing else is."""

import gc
import json
import shutil
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import anndata
import boto3
import h5py
import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest

from cxg_assets.ingest.chunks.worker import IngestJob
from cxg_assets.ingest.dataset import load
from cxg_assets.ingest.dataset.inventory import take_inventory
from cxg_assets.ingest.dataset.publish import publish
from cxg_assets.ingest.errors import BadInput, CxgError
from cxg_assets.ingest.layout import dataset_path, manifest_path, subset_json_path, subset_obs_path
from cxg_assets.ingest.plan.chunk_plan import ChunkPlan
from cxg_assets.ingest.plan.making import store_plan
from cxg_assets.ingest.plan.published import read_dataset
from cxg_assets.ingest.plan.spans import Span
from cxg_assets.ingest.selection.subset import load_subset
from cxg_assets.ingest.spec import SubsetSpec
from cxg_assets.ingest.storage import scratch
from cxg_assets.ingest.storage.store import Store, StoreLocator
from cxg_assets.ingest.verify.dataset import verify
from cxg_assets_tests.conftest import BLOOD_NORMAL, S3_SETTINGS, Ingest
from cxg_assets_tests.ingested import Ingested, run_spans


@dataclass(frozen=True)
class Published:
    """One published subset in two places; the files of the folder are the reference for both."""

    folder: Ingested
    store: Store

    @property
    def plan(self) -> ChunkPlan:
        return self.folder.plan

    @property
    def keys(self) -> list[str]:
        return [chunk.key for chunk in self.plan.chunks]

    @property
    def files(self) -> list[Any]:
        return [self.folder.read(chunk) for chunk in self.plan.chunks]


@pytest.fixture(scope="module")
def in_folder(ingest: Ingest, spec: Callable[..., SubsetSpec], tmp_path_factory: pytest.TempPathFactory) -> Ingested:
    small = spec(value_filter=BLOOD_NORMAL, chunk_size=40, max_obs=230)
    made = ingest(small, tmp_path_factory.mktemp("load").as_uri())
    publish(made.store, made.plan, made.reports, made.census)
    return made


@pytest.fixture(scope="module")
def in_s3(in_folder: Ingested, ingest: Ingest, s3_endpoint: str) -> Ingested:
    settings = replace(S3_SETTINGS, endpoint_url=s3_endpoint)
    client = boto3.client(
        "s3",
        endpoint_url=s3_endpoint,
        region_name=settings.region,
        aws_access_key_id=settings.access_key_id,
        aws_secret_access_key=settings.secret_access_key,
    )
    client.create_bucket(Bucket="loads")
    made = ingest(in_folder.spec, StoreLocator(url="s3://loads/store", s3=settings))
    publish(made.store, made.plan, made.reports, made.census)
    return made


@pytest.fixture(params=["folder", "s3"])
def published(request: pytest.FixtureRequest, in_folder: Ingested, in_s3: Ingested) -> Published:
    return Published(in_folder, in_folder.store if request.param == "folder" else in_s3.store)


@pytest.fixture
def damaged(in_folder: Ingested, tmp_path: Path) -> Ingested:
    """A copy of the folder that a test may change."""
    shutil.copytree(Path(in_folder.store.url.removeprefix("file://")), tmp_path / "copy")
    return replace(in_folder, store=StoreLocator(url=(tmp_path / "copy").as_uri()).open())


@pytest.fixture
def temporary(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A folder for temporary files of the test's own."""
    folder = tmp_path / "temporary"
    folder.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(folder))
    yield folder
    gc.collect()


def of(ingested: Any) -> load.LoadedDataset:
    """The chunks of its plan, whatever is published."""
    return load.LoadedDataset(store=ingested.store, plan=ingested.plan)


def assert_same(loaded: Any, expected: Any) -> None:
    pd.testing.assert_frame_equal(loaded.obs, expected.obs)
    pd.testing.assert_frame_equal(loaded.var, expected.var)
    assert loaded.X.dtype == expected.X.dtype
    assert (loaded.X != expected.X).nnz == 0
    assert loaded.uns == expected.uns


def test_the_published_plan_is_the_one_that_dataset_json_names(published: Published) -> None:
    assert load.load_dataset(published.store, "blood_normal").plan == published.plan


def test_a_chunk_in_memory_is_what_read_h5ad_reads(published: Published) -> None:
    dataset = load.load_dataset(published.store, "blood_normal")
    for key, expected in zip(published.keys, published.files, strict=True):
        assert_same(dataset.chunk(key), expected)


def test_a_lazy_chunk_decodes_only_when_asked_and_gives_the_same(published: Published) -> None:
    lazy: Any = of(published).chunk("00002", lazy=True)
    expected = published.files[2]
    assert type(lazy.X).__module__.startswith("dask.")
    read = lazy.to_memory()
    assert (read.X != expected.X).nnz == 0
    # to_memory drops categories without a cell.
    pd.testing.assert_frame_equal(read.obs.astype(str), expected.obs.astype(str))


@pytest.mark.parametrize("in_memory", [False, True], ids=["in files", "in memory"])
def test_the_collection_is_all_chunks_joined_in_plan_order(published: Published, in_memory: bool) -> None:
    collection: Any = load.load_dataset(published.store, "blood_normal").cells(lazy=not in_memory)
    expected: Any = anndata.concat(published.files, merge="same")
    assert collection.shape == expected.shape == (230, published.plan.header.subset.n_vars)
    assert collection.obs_names.is_unique
    assert list(collection.obs_names) == list(expected.obs_names)
    assert list(collection.var_names) == list(expected.var_names)
    pd.testing.assert_frame_equal(collection.obs, expected.obs)
    rows = np.random.default_rng(3).permutation(230)[:90]
    assert (collection[rows].X != expected[rows].X).nnz == 0


def test_a_local_copy_goes_with_what_was_opened(in_s3: Ingested, temporary: Path) -> None:
    opened: Any = load.load_dataset(in_s3.store, "blood_normal").cells()
    chunk: Any = of(in_s3).chunk("00000", lazy=True)
    table = load.open_table(in_s3.store, subset_obs_path("blood_normal", in_s3.subset.fingerprint))
    assert len(list(temporary.glob(f"{scratch.PREFIX}*"))) == len(in_s3.plan.chunks) + 2
    assert table.count_rows() == 230
    del opened, chunk, table
    gc.collect()
    assert list(temporary.iterdir()) == []


def test_a_table_is_the_obs_of_the_chunks(published: Published) -> None:
    path = subset_obs_path("blood_normal", published.folder.subset.fingerprint)
    frame = load.load_table(published.store, path).to_pandas()
    joined: Any = anndata.concat(published.files)
    expected = joined.obs.reset_index(drop=True)
    pd.testing.assert_frame_equal(frame[list(expected.columns)], expected)
    few = load.load_table(published.store, path, ["donor_id", "soma_joinid"])
    assert few.column_names == ["donor_id", "soma_joinid"]
    dataset = load.open_table(published.store, path)
    pd.testing.assert_frame_equal(dataset.to_table().to_pandas(), frame)


def test_a_column_that_is_not_there_is_named(published: Published) -> None:
    path = subset_obs_path("blood_normal", published.folder.subset.fingerprint)
    with pytest.raises(BadInput, match=r"^columns: there is no cell_typ; there are soma_joinid, cell_type, "):
        load.load_table(published.store, path, ["cell_typ"])


def test_what_is_not_published_is_said_to_be_not(store_url: str) -> None:
    with pytest.raises(BadInput, match=r"lung_t is not published at .* cxg-assets ingest lung_t writes and publishes"):
        load.load_dataset(StoreLocator(url=store_url).open(), "lung_t").cells()


def test_a_chunk_that_is_not_stored_is_named(damaged: Ingested) -> None:
    damaged.file(damaged.plan.chunks[3]).unlink()
    said = rf"blood_normal, plan {damaged.plan.header.plan_id}: chunk 00003 is not stored at {damaged.store.url}; "
    with pytest.raises(BadInput, match=said):
        of(damaged).chunk("00003")
    with pytest.raises(BadInput, match=said):
        of(damaged).chunk("00003", lazy=True)
    with pytest.raises(BadInput, match=said):
        load.load_dataset(damaged.store, "blood_normal").cells()


def test_a_chunk_of_another_plan_is_named(in_folder: Ingested) -> None:
    with pytest.raises(BadInput, match=r"chunk 00009 is not in plan"):
        of(in_folder).chunk("00009")


def test_a_file_that_is_another_chunk_is_refused(damaged: Ingested) -> None:
    first, second = damaged.plan.chunks[:2]
    shutil.copy(damaged.file(first), damaged.file(second))
    damaged.store.delete(manifest_path("blood_normal", damaged.plan.header.plan_id))
    for lazy in (False, True):
        with pytest.raises(CxgError, match=r"00001-.*h5ad has fingerprint .* it was made from other inputs"):
            of(damaged).chunk("00001", lazy=lazy)
    with pytest.raises(CxgError, match="it was made from other inputs"):
        load.load_dataset(damaged.store, "blood_normal").cells()


def test_a_value_that_was_changed_since_publishing_is_refused_in_memory(damaged: Ingested) -> None:
    with h5py.File(damaged.file(damaged.plan.chunks[1]), "r+") as file:
        counts: Any = file["X/data"]
        counts[0] += 1
    with pytest.raises(CxgError, match=r"SHA-256 .* was recorded: it is not the file that was published; cxg-assets"):
        of(damaged).chunk("00001")
    with pytest.raises(CxgError, match="is not the file that was published"):
        load.load_dataset(damaged.store, "blood_normal").cells(lazy=False)


def test_a_plan_that_was_not_published_has_no_checksums_to_compare_with(damaged: Ingested) -> None:
    damaged.store.delete(manifest_path("blood_normal", damaged.plan.header.plan_id))
    expected = anndata.read_h5ad(damaged.file(damaged.plan.chunks[1]))
    assert_same(of(damaged).chunk("00001"), expected)


def test_more_files_than_a_process_may_open_are_refused_before_any_is(
    in_folder: Ingested, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(load, "SPARE_FILES", 10**12)
    said = r"blood_normal has 6 files, and this process may open [0-9,]+; start it after `ulimit -n 1000000000006`"
    with pytest.raises(BadInput, match=said):
        load.load_dataset(in_folder.store, "blood_normal").cells()


def store_flat(ingested: Ingested, of_subset: dict[str, Any]) -> Path:
    """Stores plan and dataset.json as before they nested: what the subset is, field by field, beside their own.

    Args:
        ingested: A published subset.
        of_subset: How its selection was told.

    Returns:
        Its plan.parquet.
    """
    header, store = ingested.plan.header, ingested.store
    path = dataset_path(header.subset.name)
    dataset = json.loads(store.get(path))
    subset = dataset.pop("header")["subset"]
    flat = {
        "subset": header.subset.name,
        **{name: subset[name] for name in ("release", "n_obs", "n_vars")},
        **of_subset,
    }
    for name in ("labels", "n_labels_left_out", "changes"):  # of later versions
        del dataset[name]
    dataset |= flat | {"plan_id": header.plan_id, "layer": header.layer}
    store.put(path, json.dumps(dataset).encode())
    file = ingested.file(ingested.plan.chunks[0]).parent / "plan.parquet"
    table = pq.read_table(file)
    fields = json.loads((table.schema.metadata or {})[b"cxg_assets"])
    fields |= flat | {"subset_fingerprint": header.subset.fingerprint}
    pq.write_table(table.replace_schema_metadata({"cxg_assets": json.dumps(fields)}), file)
    return file


@pytest.fixture
def of_before(damaged: Ingested) -> Ingested:
    """The published subset as it was stored before plan and dataset.json had the selection."""
    header = damaged.plan.header
    selection = header.subset.selection
    told = {"organism": selection.organism, "value_filter": selection.value_filter, "genes": header.provenance["genes"]}
    file = store_flat(damaged, told)
    table = pq.read_table(file)
    fields = json.loads((table.schema.metadata or {})[b"cxg_assets"]) | {"obs_columns": selection.obs_columns}
    pq.write_table(table.replace_schema_metadata({"cxg_assets": json.dumps(fields)}), file)
    return damaged


@pytest.fixture
def of_flat_records(damaged: Ingested) -> Ingested:
    """The published subset as it was stored before records nested, with its selection."""
    subset = damaged.plan.header.subset
    path = subset_json_path(subset.name, subset.fingerprint)
    told = json.loads(damaged.store.get(path))
    del told["name"]
    damaged.store.put(path, json.dumps(told).encode())
    store_flat(damaged, {"selection": told["selection"]})
    return damaged


def test_what_was_published_before_records_nested_is_loaded_verified_planned_again_and_pruned(
    of_flat_records: Ingested,
) -> None:
    store, made = of_flat_records.store, of_flat_records.plan
    dataset = read_dataset(store, "blood_normal")
    loaded = load.load_dataset(store, "blood_normal")
    subset = load_subset(store, "blood_normal", made.header.subset.fingerprint)

    assert dataset.sums["n_obs"] == made.header.subset.n_obs
    assert dataset.header.subset.selection == loaded.plan.header.subset.selection == made.header.subset.selection
    assert loaded.plan.chunks == made.chunks
    assert loaded.cells(lazy=False).shape == (made.header.subset.n_obs, made.header.subset.n_vars)
    assert verify(store, dataset, of_flat_records.census) == []
    assert subset == of_flat_records.subset
    again = store_plan(of_flat_records.spec, subset, store)
    assert (again.header.plan_id, again.chunks) == (made.header.plan_id, made.chunks)
    other = store_plan(replace(of_flat_records.spec, chunk_size=7), subset, store)
    listed = take_inventory(store, "blood_normal", 0, older_than=timedelta(0))
    assert [entry.place for entry in listed.going] == [f"blood_normal/{other.header.plan_id}"]


def test_a_chunk_is_made_again_of_a_plan_of_before_records_nested(of_flat_records: Ingested) -> None:
    plan = load.load_dataset(of_flat_records.store, "blood_normal").plan
    chunk = plan.chunks[1]
    made = of_flat_records.store.get(plan.path(chunk))
    of_flat_records.store.delete(plan.path(chunk))
    plan.require_known_format()

    locator = StoreLocator(url=of_flat_records.store.url)
    run_spans(IngestJob(census=of_flat_records.census, store=locator, header=plan.header), [Span((chunk,))])

    assert of_flat_records.store.get(plan.path(chunk)) == made


def test_what_was_published_before_selections_were_kept_is_loaded_and_verified(of_before: Ingested) -> None:
    store = of_before.store
    collection = load.load_dataset(store, "blood_normal").cells(lazy=False)
    assert collection.shape == (of_before.plan.header.subset.n_obs, of_before.plan.header.subset.n_vars)
    assert load.load_dataset(store, "blood_normal").plan.chunks == of_before.plan.chunks
    assert verify(store, read_dataset(store, "blood_normal"), of_before.census) == []


def test_nothing_new_is_made_of_a_plan_that_does_not_say_what_selected_its_cells(of_before: Ingested) -> None:
    plan = load.load_dataset(of_before.store, "blood_normal").plan
    pointer = of_before.store.get(dataset_path("blood_normal"))

    with pytest.raises(BadInput, match="materialize filtered_subset and chunk_plan again"):
        plan.require_known_format()
    with pytest.raises(BadInput, match="made before plans kept what selected their cells"):
        publish(of_before.store, plan, of_before.reports, of_before.census)

    assert of_before.store.get(dataset_path("blood_normal")) == pointer
