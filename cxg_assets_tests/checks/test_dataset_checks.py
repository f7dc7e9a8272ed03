"""The checks that a dataset must pass: each fails for its own reason, and then nothing is published."""

import hashlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import dagster as dg
import h5py
import pytest

from cxg_assets.ingest.chunks.report import ChunkReport
from cxg_assets.ingest.layout import index_json_path
from cxg_assets.ingest.plan.chunk_plan import Chunk
from cxg_assets.ingest.plan.stored import stored_sizes
from cxg_assets.ingest.verify.chunks import N_COMPARED, sampled_chunks
from cxg_assets.instance.partitions import chunk_record
from cxg_assets.names import census_index_key, dataset_key, h5ad_chunks_key
from cxg_assets.ui.checks import CHECKED_VERSION, FILES_ARE_THERE, GATE, ROW_COUNT
from cxg_assets.ui.metadata import chunk_metadata
from cxg_assets_tests.checks.conftest import NAME, damaged, execute, gate, latest, local, only, pointer
from cxg_assets_tests.platforms import Platform, failure_text


def sample(platform: Platform) -> tuple[Chunk, ...]:
    """The chunks that are looked into, in the order in which they are."""
    return sampled_chunks(platform.plan, stored_sizes(platform.store, platform.plan))


def refused(platform: Platform, name: str) -> str:
    """Publishes in vain, and returns what is said; what was published before must stay."""
    before = pointer(platform)
    result = platform.publish()
    assert not result.success
    assert pointer(platform) == before
    assert gate(platform) == only(name)
    said = failure_text(result)
    assert f"check {name} failed" in said
    return said


@contextmanager
def reported(platform: Platform, chunk: Chunk, **changes: Any) -> Iterator[None]:
    """Records a chunk once more, with another report; at the end again with its own."""
    key = h5ad_chunks_key(NAME)
    own = chunk_record(platform.instance, platform.plan, platform.store).reports[chunk.key]
    tags = next(dict(event.tags or {}) for event in platform.chunk_events() if event.partition == chunk.key)

    def record(report: ChunkReport) -> None:
        platform.instance.report_runless_asset_event(
            dg.AssetMaterialization(key, partition=chunk.key, metadata=chunk_metadata(report), tags=tags)
        )

    record(replace(own, **changes))
    try:
        yield
    finally:
        record(own)


@contextmanager
def rewritten(platform: Platform, chunk: Chunk, change: Callable[[Any], None]) -> Iterator[None]:
    """Changes what is in a chunk's file, and reports size and checksum of what came of it."""
    with damaged(platform.file(chunk)) as file:
        with h5py.File(file, "r+") as opened:
            change(opened)
        data = file.read_bytes()
        with reported(platform, chunk, n_bytes=len(data), sha256=hashlib.sha256(data).hexdigest()):
            yield


def test_all_checks_pass_on_what_is_published_and_say_what_they_looked_at(published: Platform) -> None:
    assert gate(published) == {check.name: True for check in GATE}
    for check in GATE:
        evaluation = latest(published, check.key(dataset_key(NAME)))
        assert evaluation.severity is dg.AssetCheckSeverity.ERROR
        assert evaluation.metadata[CHECKED_VERSION].value == published.plan.header.plan_id
    looked_at = latest(published, GATE[2].key(dataset_key(NAME))).metadata["looked_at"].value
    assert sorted(looked_at) == [chunk.key for chunk in published.plan.chunks]  # type: ignore[arg-type]
    compared = latest(published, GATE[4].key(dataset_key(NAME))).metadata
    assert compared["looked_at"].value == [chunk.key for chunk in sample(published)[:N_COMPARED]]


def test_every_check_that_a_dataset_must_pass_is_blocking_and_described(published: Platform) -> None:
    [definition] = [a for a in published.definitions.assets or () if getattr(a, "keys", None) == {dataset_key(NAME)}]
    assert isinstance(definition, dg.AssetsDefinition)
    specs = {spec.name: spec for spec in definition.check_specs}
    assert list(specs) == [check.name for check in GATE]
    assert all(spec.blocking and "nothing is published" in (spec.description or "") for spec in specs.values())


def test_a_chunk_that_is_gone_fails_all_chunks_stored(published: Platform) -> None:
    chunk = sample(published)[-1]
    with damaged(published.file(chunk)) as file:
        file.unlink()
        said = refused(published, "all_chunks_stored")
    assert f"chunk {chunk.key}: missing: {published.store.uri(published.plan.path(chunk))} is not there" in said
    assert "write the missing chunks" in said


def test_a_report_of_another_number_of_cells_fails_manifest_sums(published: Platform) -> None:
    chunk = sample(published)[-1]
    with reported(published, chunk, n_obs=chunk.n_obs - 1):
        said = refused(published, "manifest_sums_to_subset")
    assert "the chunks have n_obs 229, the subset 230" in said


def test_a_changed_byte_fails_checksums(published: Platform) -> None:
    chunk = sample(published)[0]
    with damaged(published.file(chunk)) as file:
        data = file.read_bytes()
        fingerprint = chunk.fingerprint.encode()
        assert fingerprint in data
        file.write_bytes(data.replace(fingerprint, fingerprint[::-1]))
        said = refused(published, "checksums")
    assert f"chunk {chunk.key}: " in said
    assert f"cxg-assets verify {NAME} --repair makes it again" in said


def test_genes_in_another_order_fail_gene_order(published: Platform) -> None:
    def swap(file: Any) -> None:
        genes = file["var/soma_joinid"]
        first, second = genes[:2]
        genes[:2] = [second, first]

    chunk = sample(published)[N_COMPARED]
    with rewritten(published, chunk, swap):
        said = refused(published, "gene_order_equal")
    assert f"chunk {chunk.key}: " in said


def test_other_counts_than_the_census_has_fail_cells_equal_census(published: Platform) -> None:
    def count_one_more(file: Any) -> None:
        file["X/data"][:] += 1

    chunk = sample(published)[0]
    with rewritten(published, chunk, count_one_more):
        said = refused(published, "cells_equal_census")
    assert "X differs from the Census in its data" in said


def test_a_failed_check_of_the_index_keeps_a_dataset_that_was_made_from_it_from_being_published(
    published: Platform,
) -> None:
    index, before = census_index_key("homo_sapiens"), pointer(published)
    about = local(published, index_json_path(published.plan.header.subset.release.version, "homo_sapiens"))
    with damaged(about) as file:
        file.write_text(file.read_text().replace('"n_obs": 2600', '"n_obs": 2599'))
        assert execute(published, ROW_COUNT.key(index)) == {ROW_COUNT.name: False}
        said = failure_text(published.publish())
    assert f"check {ROW_COUNT.name} of homo_sapiens/census_index failed" in said
    assert pointer(published) == before

    assert execute(published, ROW_COUNT.key(index)) == {ROW_COUNT.name: True}
    assert published.publish().success


def test_a_published_file_that_is_gone_is_seen_at_any_time(published: Platform) -> None:
    key = FILES_ARE_THERE.key(dataset_key(NAME))
    assert execute(published, key) == {FILES_ARE_THERE.name: True}
    with damaged(published.file(published.plan.chunks[2])) as file:
        file.unlink()
        assert execute(published, key) == {FILES_ARE_THERE.name: False}
    assert latest(published, key).severity is dg.AssetCheckSeverity.WARN


@pytest.fixture(autouse=True)
def mended(published: Platform) -> Iterator[None]:
    """Nothing that a test damages stays damaged."""
    files = {path: path.read_bytes() for path in local(published, NAME).rglob("*.h5ad")}
    yield
    assert {path: path.read_bytes() for path in files} == files


def test_a_chunk_that_tells_of_another_origin_fails_cells_equal_census(published: Platform) -> None:
    def tell_otherwise(file: Any) -> None:
        file["uns/cxg_assets/value_filter"][()] = "tissue_general == 'lung'"

    with rewritten(published, sample(published)[0], tell_otherwise):
        said = refused(published, "cells_equal_census")
    assert 'uns says that its value_filter is "tissue_general == \'lung\'", the plan says "tissue_general ==' in said
