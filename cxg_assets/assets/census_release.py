"""The release of the Census in use: observed, not made."""

import dagster as dg

from cxg_assets.instance.step_failures import as_failure
from cxg_assets.names import CENSUS_GROUP, CENSUS_RELEASE
from cxg_assets.resources.census import CensusResource
from cxg_assets.ui.metadata import release_metadata


def build_census_release(automation_condition: dg.AutomationCondition) -> dg.SourceAsset:
    """The release asset. Dagster takes the condition of what is observed here only."""

    @dg.observable_source_asset(
        key=CENSUS_RELEASE,
        group_name=CENSUS_GROUP,
        description=(
            "The build of the CELLxGENE Census that all subsets are cut from.\n\n"
            "`CXG_CENSUS_URI` or `CXG_CENSUS_VERSION` names it; without them it is the demo census. It is observed, "
            "not made: a name like `stable` is resolved to a build here, once, and all that follows is of it. "
            "Retracted builds are refused. The data version is the build date and a digest of the SOMA URI and of the "
            "build's own summary, so that observing a new build turns everything downstream stale."
        ),
        automation_condition=automation_condition,
        tags={"dagster/kind/tiledb": ""},
        # Dagster links to the code of what is made, not of what is observed.
        metadata={
            "dagster/code_references": dg.CodeReferencesMetadataValue(
                code_references=[dg.LocalFileCodeReference(file_path=__file__)]
            )
        },
    )
    def census_release(census: CensusResource) -> dg.ObserveResult:
        with as_failure():
            release = census.release()
        return dg.ObserveResult(data_version=dg.DataVersion(release.version), metadata=release_metadata(release))

    return census_release
