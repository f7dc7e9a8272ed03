"""A dataset of a new release tells what is other since the release before; where it cannot, it is published as well."""

from dataclasses import replace

from cxg_assets.ingest.layout import dataset_path, index_json_path, index_path
from cxg_assets.ingest.plan.published import read_dataset
from cxg_assets.ingest.records import encode
from cxg_assets.ingest.selection.index import load_index
from cxg_assets_tests.platforms import Platform

HUMAN, NAME = "homo_sapiens", "blood_normal"


def test_cells_since_the_release_before_are_on_the_page_of_the_dataset(published: Platform) -> None:
    store, now = published.store, read_dataset(published.store, NAME)
    release = now.header.subset.release
    before = replace(release, build="2020-01-01", fingerprint="0" * 64)
    older = replace(now, header=replace(now.header, subset=replace(now.header.subset, release=before)))
    store.put(dataset_path(NAME), encode(older))

    assert published.publish().success  # of the release before there is no index any more
    assert "since_release" not in published.dataset_events()[0].metadata

    store.put(dataset_path(NAME), encode(older))
    index = load_index(store, release.version, HUMAN)
    store.put(index_path(before.version, HUMAN), store.get(index_path(release.version, HUMAN)))
    store.put(index_json_path(before.version, HUMAN), encode(replace(index, release=before)))
    assert published.publish().success

    metadata = published.dataset_events()[0].metadata
    assert str(metadata["since_release"].value).startswith("since Census build 2020-01-01: 0 new cells, 0 gone, 0 with")
    assert {"cells_since_release", "datasets_since_release"} <= set(metadata)
