"""Checks of a published dataset against its plan and its store."""

from collections.abc import Sequence

import dagster as dg

from cxg_assets.assets.failures import as_failure
from cxg_assets.assets.keys import dataset_key
from cxg_assets.ingest.dataset import read_dataset
from cxg_assets.ingest.manifest import read_manifest, total
from cxg_assets.ingest.pipeline import landed_sizes, load_plan
from cxg_assets.resources.store import StoreResource


def build_dataset_checks(subset: str, destination: str) -> Sequence[dg.AssetChecksDefinition]:
    """The checks of one subset's dataset.

    Args:
        subset: Name of the subset.
        destination: URL of its store; empty for the default store.
    """

    @dg.asset_check(asset=dataset_key(subset), description="Every file of the manifest is there, with its size.")
    def files_are_there(store: StoreResource) -> dg.AssetCheckResult:
        with as_failure():
            opened = store.locator(destination).open()
            published = read_dataset(opened, subset)
            sizes = landed_sizes(opened, load_plan(opened, subset, published.plan_id))
            manifest = read_manifest(opened.get(published.manifest_path))
        wrong = [row["chunk"] for row in manifest.to_pylist() if sizes.get(row["chunk"]) != row["n_bytes"]]
        return dg.AssetCheckResult(
            passed=not wrong, metadata={"n_files": manifest.num_rows, "n_wrong": len(wrong), "wrong": wrong[:20]}
        )

    @dg.asset_check(
        asset=dataset_key(subset),
        description="The files' cells add up to the subset, and each joinid range comes after the one before.",
    )
    def cells_add_up(store: StoreResource) -> dg.AssetCheckResult:
        with as_failure():
            opened = store.locator(destination).open()
            published = read_dataset(opened, subset)
            manifest = read_manifest(opened.get(published.manifest_path))
        n_obs = total(manifest, "n_obs")
        first, last = manifest["first_joinid"].to_numpy(), manifest["last_joinid"].to_numpy()
        in_order = bool((first <= last).all() and (first[1:] > last[:-1]).all())
        return dg.AssetCheckResult(
            passed=n_obs == published.n_obs and in_order,
            metadata={"n_obs": n_obs, "expected_n_obs": published.n_obs, "joinids_in_order": in_order},
        )

    return [files_are_there, cells_add_up]
