"""A subset of format zarr goes through Dagster as one of h5ad does: recorded, checked, published, repaired."""

import pytest

from cxg_assets.ingest.dataset.load import load_dataset
from cxg_assets.ingest.formats import ZARR
from cxg_assets.ingest.plan.published import read_dataset
from cxg_assets.ingest.verify.dataset import verify
from cxg_assets.names import dataset_key, h5ad_chunks_key
from cxg_assets_tests.assets.ui import stale_assets
from cxg_assets_tests.platforms import Platform, failure_text, publish_all

SHARD = "X/indices/c/0"


@pytest.mark.usefixtures("workers")
def test_a_subset_becomes_zarr_by_an_edit_and_is_published_checked_and_made_again(published: Platform) -> None:
    before = {chunk.key: published.file(chunk).read_bytes() for chunk in published.plan.chunks}
    of_h5ad = {chunk.key: published.file(chunk) for chunk in published.plan.chunks}
    cells = load_dataset(published.store, published.spec.name).chunk("00001")
    edited = published.changed(format=ZARR, compression="")
    name = edited.spec.name
    assert stale_assets(edited)["chunk_plan"] == ["CODE"]

    publish_all(edited)

    # The h5ad files of the other plan stay as they are.
    assert {key: file.read_bytes() for key, file in of_h5ad.items()} == before
    store, dataset = edited.store, read_dataset(edited.store, name)
    assert verify(store, dataset, None) == []
    told = edited.dataset_events()[0].metadata
    assert (told["format"].value, told["collections"].value) == (ZARR, list(dataset.collections))
    latest = {event.partition: event.metadata for event in edited.chunk_events()[: len(edited.plan.chunks)]}
    for chunk in edited.plan.chunks:
        assert latest[chunk.key]["uri"].value == store.uri(edited.plan.path(chunk))
    assert (load_dataset(store, name).chunk("00001").X != cells.X).nnz == 0  # type: ignore[union-attr]
    specs = edited.definitions.resolve_asset_graph()
    assert specs.get(h5ad_chunks_key(name)).kinds == {"ray", ZARR}
    assert specs.get(dataset_key(name)).kinds == {ZARR}

    damaged = edited.file(edited.plan.chunks[2]) / SHARD
    whole = damaged.read_bytes()
    damaged.write_bytes(whole[:-1] + bytes([whole[-1] ^ 1]))
    result = edited.publish()
    assert not result.success
    assert f"{SHARD} has SHA-256" in failure_text(result)

    # A killed writer: without its marker it is missing, and only that is made.
    (edited.file(edited.plan.chunks[2]) / "zarr.json").unlink()
    n_events = len(edited.chunk_events())
    assert edited.make_missing().success
    assert [event.partition for event in edited.chunk_events()[: -n_events or None]] == ["00002"]
    assert damaged.read_bytes() == whole
    assert edited.publish().success
