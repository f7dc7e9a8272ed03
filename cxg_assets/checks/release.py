"""The check of the release: it was not retracted since."""

from collections.abc import Iterator

import dagster as dg

from cxg_assets.checks.check import Check, results
from cxg_assets.ingest.census.release import Release
from cxg_assets.ingest.census.release_directory import DIRECTORY_URL, find_retraction
from cxg_assets.ingest.verify.audit import Audit
from cxg_assets.instance.step_failures import as_failure
from cxg_assets.names import CENSUS_RELEASE
from cxg_assets.resources.census import CensusResource
from cxg_assets.ui.metadata import release_from

NOT_RETRACTED = Check(
    name="release_not_retracted",
    description="The release directory of the public Census does not call the observed build retracted. One GET "
    "request, or none in the run that observes the release: that has just looked. Only builds of the public Census "
    "can be retracted.",
)


def build_release_check() -> dg.AssetChecksDefinition:
    """The check of `census_release`."""

    @dg.multi_asset_check(name="census_release_checks", specs=[NOT_RETRACTED.spec(CENSUS_RELEASE)])
    def census_release_checks(
        context: dg.AssetCheckExecutionContext, census: CensusResource
    ) -> Iterator[dg.AssetCheckResult]:
        records = context.instance.fetch_observations(CENSUS_RELEASE, limit=1).records
        observation = records[0].asset_observation if records else None
        release = None if observation is None else release_from(observation.metadata)
        if release is None:
            raise dg.Failure("census_release was never observed; observe it first", allow_retries=False)
        with as_failure():
            is_fresh = records[0].run_id == context.run.run_id
            audit = _audit(release, is_public=bool(census.asked_version), is_fresh=is_fresh)
        yield from results(CENSUS_RELEASE, [(NOT_RETRACTED, audit)], release.version)

    return census_release_checks


def just_observed(release: Release, *, is_public: bool) -> dg.AssetCheckEvaluation:
    """The result for a release that a step has found out itself; a retracted one would have been refused.

    Args:
        release: The release.
        is_public: It is a build of the public Census.
    """
    audit = _audit(release, is_public=is_public, is_fresh=True)
    return NOT_RETRACTED.evaluation(CENSUS_RELEASE, audit, release.version)


def _audit(release: Release, *, is_public: bool, is_fresh: bool) -> Audit:
    """Whether a release was retracted.

    Args:
        release: As it was observed.
        is_public: It is a build of the public Census.
        is_fresh: It was observed just now, and a retracted one would have been refused.

    Raises:
        CxgError: The release directory cannot be read.
    """
    facts = {"census_build": release.build}
    if not is_public:
        where = f"{release.uri} is no release of the public Census, and cannot be retracted"
        return Audit(facts=facts | {"looked_at": where})
    facts["looked_at"] = f"{DIRECTORY_URL}release.json"
    if is_fresh:
        return Audit(facts=facts)
    retraction = find_retraction(release.build)
    if retraction is None:
        # Weekly builds are deleted after some weeks: their data is right, but cannot be made again.
        return Audit(facts=facts | {"listed": "not any more"})
    if not retraction:
        return Audit(facts=facts)
    return Audit(wrong=f"build {release.build} was {retraction}; then observe census_release again", facts=facts)
