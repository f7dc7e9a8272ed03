"""What is other in a subset since the release of which a dataset of it was published before."""

from collections.abc import Callable

from cxg_assets.ingest.census.census import CensusLocator
from cxg_assets.ingest.census.release import Release
from cxg_assets.ingest.compare.changes import ReleaseChanges
from cxg_assets.ingest.errors import CxgError
from cxg_assets.ingest.plan.published import read_dataset
from cxg_assets.ingest.quantities import counted
from cxg_assets.ingest.selection.index import CensusIndex, load_index
from cxg_assets.ingest.selection.subset import Subset
from cxg_assets.ingest.spec import SubsetSpec
from cxg_assets.ingest.storage.store import Store

MAX_OBS = 10_000_000
"""Cells of either release up to which they are compared wherever a dataset is published: of so many that takes 1.25 GB
and 13 s of CPU (docs/performance.md)."""


def changes_since_published(
    spec: SubsetSpec, subset: Subset, locate: Callable[[Release], CensusLocator], destination: Store, index_store: Store
) -> ReleaseChanges | None:
    """Compares the release of a subset with that of the dataset that is published until now.

    Args:
        spec: The subset; its filter selects in both.
        subset: What was selected for the new dataset.
        locate: Says where a release is.
        destination: Where the dataset is.
        index_store: Where the indexes are.

    Returns:
        None where nothing is published, or of the same build.

    Raises:
        CxgError: They cannot be compared, or are too many to be compared here.
    """
    try:
        before = read_dataset(destination, spec.name).header.subset
    except FileNotFoundError:
        return None
    if before.release.version == subset.release.version:
        return None
    from cxg_assets.ingest.compare.releases import Edition, compare_releases  # numba

    editions: list[Edition] = []
    for one in (before, subset):
        try:
            index = load_index(index_store, one.release.version, spec.experiment)
        except FileNotFoundError as error:
            raise CxgError(f"the index of build {one.release.build} is not there") from error
        if (n_obs := _at_most(one, index)) > MAX_OBS:
            raise CxgError(f"{counted(n_obs, 'cell')} of build {one.release.build} are more than {MAX_OBS:,}")
        editions.append(Edition(index=index, census=locate(one.release)))
    first, second = editions
    return compare_releases(spec, first, second, index_store)


def _at_most(subset: Subset, index: CensusIndex) -> int:
    """Cells that pass the filter, at most: more than are kept where more than the filter selects."""
    selection = subset.selection
    is_filter_alone = selection.sample is None and selection.quality is None and selection.max_obs is None
    return subset.n_obs if is_filter_alone else index.n_obs
