"""The path from a Census to a plan, each step from store to store. What is there already is not made again.

release → index → subset → plan → chunks (worker.py) → dataset (dataset.py)
"""

import contextlib
from collections.abc import Callable
from dataclasses import replace

from cxg_assets.ingest.census.census import CensusLocator
from cxg_assets.ingest.census.release import Release
from cxg_assets.ingest.layout import (
    index_json_path,
    index_path,
    plan_folder,
    plan_path,
    subset_json_path,
    subset_obs_path,
    subset_var_path,
)
from cxg_assets.ingest.plan.chunk_plan import ChunkPlan, make_plan, read_plan, write_plan
from cxg_assets.ingest.selection.index import CensusIndex, write_index
from cxg_assets.ingest.selection.subset import FilteredSubset, write_subset
from cxg_assets.ingest.spec import SubsetSpec
from cxg_assets.ingest.storage.feather import feather_source
from cxg_assets.ingest.storage.follow_up import follow_up
from cxg_assets.ingest.storage.scratch import scratch_folder
from cxg_assets.ingest.storage.store import Store
from cxg_assets.ingest.storage.stored import Listed


def make_index(census: CensusLocator, release: Release, organism: str, store: Store) -> CensusIndex:
    """Makes sure that a release's index is in the store.

    Args:
        census: Where the release is.
        release: Which it is.
        organism: As the Census spells it.
        store: The default store.

    Raises:
        BadInput: The Census has no such organism, or is another build now.
    """
    json_path = index_json_path(release.version, organism)
    if store.exists(json_path):
        return CensusIndex.from_json(store.get(json_path))
    with scratch_folder() as folder, census.open() as opened:
        file = folder / "index.feather"
        index = write_index(opened, release, organism, file)
        # Minutes may have passed, and whoever finds this index takes it for this release's.
        release.confirm(census)
        store.put_file(index_path(release.version, organism), file)
    store.put(json_path, index.to_json())
    return index


def as_indexed(release: Release, organism: str, store: Store) -> Release:
    """The same release as of the time when its index was read, if there is one in the store.

    Whatever follows from an index is read as of its time: to open the Census at that time from the start is to open it
    once.

    Args:
        release: As it was read now.
        organism: As the Census spells it.
        store: The default store.
    """
    json_path = index_json_path(release.version, organism)
    if not store.exists(json_path):
        return release
    index = CensusIndex.from_json(store.get(json_path))
    return replace(release, timestamp_ms=index.release.timestamp_ms)


def load_index(store: Store, release_version: str, organism: str) -> CensusIndex:
    """What is known of an index that was made.

    Raises:
        FileNotFoundError: It was not.
    """
    return CensusIndex.from_json(store.get(index_json_path(release_version, organism)))


def make_subset(
    spec: SubsetSpec,
    index: CensusIndex,
    index_store: Store,
    census: CensusLocator,
    store: Store,
    warn: Callable[[str], None] | None = None,
) -> FilteredSubset:
    """Filters an index into a subset at the destination.

    Args:
        spec: The subset.
        index: The census index of its organism.
        index_store: Where the index is.
        census: Where the release is; only var is read, and where the X layers are.
        store: The destination.
        warn: Told of labels that the filters overlook, see `label_traps`.

    Raises:
        BadInput: The spec does not fit this Census, or selects nothing.
    """
    with census.open() as opened:
        var, layers = opened.var(spec.organism), opened.layers(spec.organism)
    with scratch_folder() as folder:
        obs_file, var_file = folder / "obs.feather", folder / "var.feather"
        index_source = feather_source(index_store, index_path(index.release.version, spec.organism))
        subset = write_subset(spec, index, index_source, var, layers, obs_file, var_file, warn)
        store.put_file(subset_obs_path(spec.name, subset.fingerprint), obs_file)
        store.put_file(subset_var_path(spec.name, subset.fingerprint), var_file)
    store.put(subset_json_path(spec.name, subset.fingerprint), subset.to_json())
    return subset


def load_subset(store: Store, subset: str, fingerprint: str) -> FilteredSubset:
    """What is known of a subset that was made.

    Raises:
        FileNotFoundError: It was not.
    """
    return FilteredSubset.from_json(store.get(subset_json_path(subset, fingerprint)))


def store_plan(spec: SubsetSpec, subset: FilteredSubset, store: Store) -> ChunkPlan:
    """Plans the chunks of a subset and stores the plan.

    Raises:
        BadInput: The spec selects something else than the subset has; there would be too many chunks; the Census does
            not have the spec's layer.
    """
    obs, var = (
        feather_source(store, path(spec.name, subset.fingerprint)) for path in (subset_obs_path, subset_var_path)
    )
    plan = make_plan(spec, subset, obs, var)
    with scratch_folder() as folder:
        plan_file = folder / "plan.parquet"
        write_plan(plan, plan_file)
        store.put_file(plan_path(spec.name, plan.header.plan_id), plan_file)
    return plan


def load_plan(store: Store, subset: str, plan_id: str) -> ChunkPlan:
    """Reads a stored plan.

    Raises:
        FileNotFoundError: It is not there any more; plan ids are told of plans that were stored.
    """
    with contextlib.ExitStack() as stack:
        try:
            file = stack.enter_context(store.local_copy(plan_path(subset, plan_id)))
        except FileNotFoundError as error:
            raise _removed(store, subset, plan_id) from error
        return read_plan(file)


def require_plan(store: Store, subset: str, plan_id: str) -> None:
    """Makes sure that a plan that was read is there still.

    Raises:
        FileNotFoundError: It was removed meanwhile, and so may its chunks have been.
    """
    if not store.exists(plan_path(subset, plan_id)):
        raise _removed(store, subset, plan_id)


def _removed(store: Store, subset: str, plan_id: str) -> FileNotFoundError:
    return FileNotFoundError(
        f"{store.uri(plan_path(subset, plan_id))} is not there: plan {plan_id} of {subset} was removed after it was "
        f"made, by cxg-assets prune or by hand; {follow_up(store, 'ingest', subset)} plans anew and makes what is "
        "missing"
    )


def stored_chunks(store: Store, plan: ChunkPlan) -> dict[str, Listed]:
    """Sizes and times of the plan's chunks that are stored, by chunk key; one request for a thousand objects."""
    objects = store.objects(plan_folder(plan.header.subset, plan.header.plan_id))
    paths = {plan.path(chunk): chunk.key for chunk in plan.chunks}
    return {paths[path]: listed for path, listed in objects.items() if path in paths}


def landed_sizes(store: Store, plan: ChunkPlan) -> dict[str, int]:
    """Sizes in bytes of the plan's chunks that are stored, by chunk key; one request for a thousand objects."""
    return {key: listed.n_bytes for key, listed in stored_chunks(store, plan).items()}
