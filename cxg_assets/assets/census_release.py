"""The release of the Census in use: observed, not made."""

import dagster as dg

from cxg_assets.assets.failures import as_failure
from cxg_assets.assets.keys import CENSUS_GROUP, CENSUS_RELEASE
from cxg_assets.metadata import release_metadata
from cxg_assets.resources.census import CensusResource


@dg.observable_source_asset(key=CENSUS_RELEASE, group_name=CENSUS_GROUP)
def census_release(census: CensusResource) -> dg.ObserveResult:
    """The build of the Census that the census resource names.

    Its data version is the build date and a digest of the SOMA URI and the build's own summary, so that observing a new
    build turns everything downstream stale.
    """
    with as_failure():
        release = census.release()
    return dg.ObserveResult(data_version=dg.DataVersion(release.version), metadata=release_metadata(release))
