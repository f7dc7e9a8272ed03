"""Asks whether a build of the public Census was retracted."""

from cxg_assets.ingest.census.release import Release
from cxg_assets.ingest.census.release_directory import DIRECTORY_URL, find_retraction
from cxg_assets.ingest.finding import Finding


def verify_release(release: Release, *, is_public: bool, is_fresh: bool) -> Finding:
    """Whether a release was retracted; one that is fresh was observed just now, and would have been refused.

    Raises:
        CxgError: The release directory cannot be read.
    """
    facts = {"census_build": release.build, "looked_at": f"{DIRECTORY_URL}release.json"}
    if not is_public:
        where = f"{release.uri} is not a release of the public Census, and cannot be retracted"
        return Finding(facts=facts | {"looked_at": where})
    retraction = "" if is_fresh else find_retraction(release.build)
    if retraction is None:
        # Weekly builds are deleted after some weeks: their data is right, but cannot be made again.
        return Finding(facts=facts | {"listed": "not any more"})
    wrong = f"build {release.build} was {retraction}" if retraction else ""
    return Finding.of([wrong], "then observe census_release again", facts)
