"""The reference of metadata and checks names what a finished ingest has on record, and nothing else."""

import re
from collections.abc import Iterable
from pathlib import Path

import dagster as dg
import pytest

from cxg_assets.cli.project import dagster_instance
from cxg_assets.definitions import defs as project
from cxg_assets.names import (
    CENSUS_RELEASE,
    census_index_key,
    chunk_plan_key,
    dataset_key,
    filtered_subset_key,
    h5ad_chunks_key,
)
from cxg_assets_tests.cli.conftest import SUBSET

PAGE = (Path(__file__).parents[2] / "docs" / "reference" / "metadata.md").read_text()
SECTIONS = dict(re.findall(r"^## (.*?)\n(.*?)(?=^## |\Z)", PAGE, flags=re.MULTILINE | re.DOTALL))

OF_A_STORED_CHUNK = {"already_stored", "figures_when_written", "split", "nnz_<name>"}
"""There where a run found the chunk stored; the last two with a split and with several layers."""

OF_A_QUALITY = {"quality", "n_obs_before_quality", "n_not_kept", "n_outliers"}
OF_A_SAMPLE = {"sample", "n_obs_before_sample", "groups"}
OF_A_SPLIT = {"split", "parts"}
OF_A_VOCABULARY = {"n_padded", "padded"}
OF_CHOICES = OF_A_QUALITY | OF_A_SAMPLE | OF_A_SPLIT | OF_A_VOCABULARY
OF_ZARR = {"collections"}
OF_LAYERS = {"further_layers", "obs_embeddings", "obsm_layers"}
OF_A_NEW_RELEASE = {"since_release", "cells_since_release", "datasets_since_release"}
OF_SHUFFLED_CELLS = {"datasets_per_512_cells"}
"""There where the YAML has these; `ui/test_choices.py` and `assets/test_zarr.py` look at such subsets."""

OF_S3 = {"download"}
"""There where the destination is in S3."""

OF_A_CLUSTER = {"ray_dashboard"}
"""Not there when the run has no Ray with a dashboard."""


def documented(heading: str) -> set[str]:
    """Keys in the first column of the table below a heading."""
    rows = re.findall(r"^\| (`.*?) \|", SECTIONS[heading], flags=re.MULTILINE)
    return {key for row in rows for key in re.findall(r"`([^`]+)`", row)}


def of_events(events: Iterable[dg.AssetMaterialization | dg.AssetObservation | None]) -> set[str]:
    [event] = events
    assert event is not None
    return set(event.metadata)


@pytest.fixture
def recorded(finished_home: Path) -> dict[str, set[str]]:
    """Keys of the latest event, by heading."""
    with dagster_instance() as instance:

        def made(key: dg.AssetKey) -> set[str]:
            records = instance.fetch_materializations(key, limit=1).records
            return of_events(record.asset_materialization for record in records)

        def observed(key: dg.AssetKey) -> set[str]:
            records = instance.fetch_observations(key, limit=1).records
            return of_events(record.asset_observation for record in records)

        release = observed(CENSUS_RELEASE)
        return {
            "`census_release`": release,
            "`<organism>/census_index`": made(census_index_key("homo_sapiens")) - release | {"dagster/uri"},
            "`<subset>/filtered_subset`": made(filtered_subset_key(SUBSET)) | OF_CHOICES,
            "`<subset>/chunk_plan`": made(chunk_plan_key(SUBSET)) | OF_A_SPLIT | OF_SHUFFLED_CELLS | OF_LAYERS,
            "`<subset>/h5ad_chunks`, a partition": made(h5ad_chunks_key(SUBSET)) | OF_A_STORED_CHUNK | OF_S3,
            "A run over chunks": observed(h5ad_chunks_key(SUBSET)) | OF_A_CLUSTER,
            "`<subset>/dataset`": made(dataset_key(SUBSET))
            | OF_CHOICES - OF_A_VOCABULARY
            | OF_ZARR
            | OF_S3
            | OF_A_NEW_RELEASE,
        }


def test_every_key_is_in_the_reference_and_no_other(recorded: dict[str, set[str]]) -> None:
    assert {heading: documented(heading) for heading in recorded} == recorded


def test_every_check_is_in_the_reference_with_what_it_does_when_it_fails() -> None:
    graph = project.resolve_asset_graph()
    severities = {True: "blocks", False: "warns"}
    specs = [graph.get_check_spec(key) for key in graph.asset_check_keys if key.asset_key.path[0] != "immune_markers"]
    names = {"homo_sapiens": "<organism>", "mus_musculus": "<organism>", SUBSET: "<subset>"}
    defined = {
        ("/".join(names.get(part, part) for part in spec.asset_key.path), spec.name, severities[spec.blocking])
        for spec in specs
    }
    assert set(re.findall(r"^\| `(.*?)` \| `(\w+)` \| (\w+) \|", SECTIONS["Checks"], flags=re.MULTILINE)) == defined
