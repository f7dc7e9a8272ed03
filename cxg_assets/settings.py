"""Where things are when nobody says otherwise, and the environment variables that say it.

Read when it is needed, never at import, so that one process can work in two places.
"""

import os
from pathlib import Path


def home() -> Path:
    """`CXG_HOME`: the folder that holds everything local; `.cxg` in the current folder by default."""
    return Path(os.environ.get("CXG_HOME") or ".cxg").absolute()


def default_store_url() -> str:
    """`CXG_STORE_URL`: where index and chunks go; a folder in `home` by default."""
    return os.environ.get("CXG_STORE_URL") or (home() / "store").as_uri()


def census_uri() -> str:
    """`CXG_CENSUS_URI`: SOMA URI of the Census; empty when it is not set."""
    return os.environ.get("CXG_CENSUS_URI", "")


def census_version() -> str:
    """`CXG_CENSUS_VERSION`: release name of the public Census; empty when it is not set."""
    return os.environ.get("CXG_CENSUS_VERSION", "")


def demo_census_path() -> Path:
    """The demo census, used when neither of the two names a Census."""
    return home() / "demo-census"


def dagster_home() -> Path:
    """`DAGSTER_HOME`: the Dagster instance that the command and the UI share; a folder in `home` by default."""
    return Path(os.environ.get("DAGSTER_HOME") or home() / "dagster").absolute()
