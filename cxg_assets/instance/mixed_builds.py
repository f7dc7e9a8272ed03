"""Refuses to go on with another build of the Census than before, when nobody said so."""

from dagster import DagsterInstance

from cxg_assets.ingest.census.release import Release
from cxg_assets.ingest.errors import BadInput
from cxg_assets.ingest.plan.published import read_dataset
from cxg_assets.ingest.spec import SubsetSpec
from cxg_assets.ingest.storage.store import Store
from cxg_assets.instance.provenance import latest_materialization
from cxg_assets.names import census_index_key
from cxg_assets.ui.metadata import release_from


def refuse_mixed_builds(release: Release, spec: SubsetSpec, instance: DagsterInstance | None, store: Store) -> None:
    """Refuses an alias like `stable` that leads to another build than the one in use; a build by its name is fine.

    Args:
        release: What is asked for, as it is now.
        spec: The subset.
        instance: Knows which build the subset's index was made from.
        store: The subset's destination; where no instance knows, what is published there counts.

    Raises:
        BadInput: The alias has moved.
    """
    is_alias = release.region is not None and release.name != release.build
    if not is_alias:
        return
    indexed = None if instance is None else _indexed(instance, spec.experiment)
    before = indexed or _published(store, spec.name)
    if before is None or before.region is None or before.version == release.version:
        return
    raise BadInput(
        f"census_version: {release.name} is build {release.build} now; {spec.name} was made from build {before.build}, "
        f"and a dataset comes from one build. Give --census-version {before.build} to continue with that one, or "
        f"--census-version {release.build} to build everything from the new one"
    )


def _indexed(instance: DagsterInstance, experiment: str) -> Release | None:
    made = latest_materialization(instance, census_index_key(experiment))
    return None if made is None else release_from(made.metadata)


def _published(store: Store, subset: str) -> Release | None:
    try:
        return read_dataset(store, subset).header.subset.release
    except FileNotFoundError:
        return None
