"""A dataset says what changed since the one that was published before it."""

from collections.abc import Callable
from dataclasses import replace

import pytest

from cxg_assets.ingest.dataset.changes import changes
from cxg_assets.ingest.dataset.publish import publish
from cxg_assets.ingest.layout import card_path
from cxg_assets.ingest.plan.published import Dataset, read_dataset
from cxg_assets.ingest.quantities import size
from cxg_assets.ingest.spec import SubsetSpec
from cxg_assets_tests.conftest import BLOOD_NORMAL, Ingest
from cxg_assets_tests.ingested import Ingested

MakeSpec = Callable[..., SubsetSpec]


def publish_all(made: Ingested) -> Dataset:
    return publish(made.store, made.plan, made.reports, made.census)


@pytest.fixture
def published(ingest: Ingest, spec: MakeSpec, store_url: str) -> list[tuple[Ingested, Dataset]]:
    """Two datasets of a subset, one after the other."""
    specs = (spec(value_filter=BLOOD_NORMAL, max_obs=300), spec(value_filter=BLOOD_NORMAL, max_obs=250, chunk_size=50))
    made = [ingest(of_one, store_url) for of_one in specs]
    return [(one, publish_all(one)) for one in made]


def test_a_dataset_says_what_changed_in_its_pointer_and_its_card(published: list[tuple[Ingested, Dataset]]) -> None:
    (_, first), (made, second) = published

    assert first.changes == ()
    assert second.changes == (
        f"since {first.published_at}, plan {first.header.plan_id}",
        "cells: 300 → 250 (-50)",
        f"files: {first.n_chunks} → 5 ({5 - first.n_chunks:+})",
        f"non-zeros: {first.nnz:,} → {second.nnz:,} ({second.nnz - first.nnz:+,})",
        f"size: {size(first.n_bytes)} → {size(second.n_bytes)}",
        "max_obs: 300 → 250",
        f"chunk_size: {first.header.chunk_size} → 50",
    )
    assert read_dataset(made.store, "blood_normal") == second
    card = made.store.get(card_path("blood_normal", second.header.plan_id)).decode()
    listed = "\n".join(f"- {line}" for line in second.changes)
    assert f"\n## Changes\n\n{listed}\n\n## Load it\n" in card


def test_a_plan_that_is_published_again_says_what_it_said(published: list[tuple[Ingested, Dataset]]) -> None:
    _, (made, second) = published
    assert publish_all(made).changes == second.changes


def test_another_release_and_other_choices_are_named(published: list[tuple[Ingested, Dataset]]) -> None:
    (_, first), (_, second) = published
    subset = second.header.subset
    rebuilt = replace(
        subset,
        release=replace(subset.release, build="2030-01-01"),
        selection=replace(subset.selection, value_filter="x" * 500, max_obs=None),
    )

    said = changes(first, replace(second, header=replace(second.header, subset=rebuilt, format="zarr")))

    assert f"Census build: {first.header.subset.release.build} → 2030-01-01" in said
    assert "max_obs: 300 → no limit" in said
    assert "format: h5ad → zarr" in said
    [line] = [line for line in said if line.startswith("value_filter")]
    assert line.endswith("x…")
    assert len(line) < 500


def test_nothing_is_said_of_a_dataset_of_which_the_settings_are_not_known(
    published: list[tuple[Ingested, Dataset]],
) -> None:
    (_, first), (_, second) = published
    subset = first.header.subset
    unknown = replace(subset, selection=replace(subset.selection, is_complete=False))
    assert changes(replace(first, header=replace(first.header, subset=unknown)), second) == ()
