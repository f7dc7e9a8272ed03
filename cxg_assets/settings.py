"""Where things are when nobody says otherwise, and the environment variables that say it.

Read when it is needed, never at import, so that one process can work in two places.
"""

import os
from pathlib import Path

from cxg_assets.ingest.storage.url import absolute_path, as_url
from cxg_assets.project_folder import LOCAL_FOLDER, project_folder


def project() -> Path:
    """The folder that `home` lies in, and that relative paths of YAML files and of `CXG_STORE_URL` begin at.

    That of `CXG_HOME` if that is a `.cxg`; else it is found from the current folder upwards.
    """
    asked = os.environ.get("CXG_HOME")
    if asked and Path(asked).name == LOCAL_FOLDER:
        return Path(asked).absolute().parent
    return project_folder(Path.cwd())


def home() -> Path:
    """`CXG_HOME`: the folder that holds everything local; the `.cxg` of the project by default."""
    asked = os.environ.get("CXG_HOME")
    return Path(asked).absolute() if asked else project() / LOCAL_FOLDER


def how_home_was_found() -> str:
    """Why `home` is where it is, in words."""
    if os.environ.get("CXG_HOME"):
        return "as CXG_HOME says"
    return "in the current folder" if project() == Path.cwd() else "found from the current folder upwards"


def is_home_elsewhere() -> bool:
    """Whether `home` is in a folder that nobody named."""
    return not os.environ.get("CXG_HOME") and project() != Path.cwd()


def default_store_url() -> str:
    """`CXG_STORE_URL`: where index and chunks go, a URL or a path; a folder in `home` by default."""
    asked = os.environ.get("CXG_STORE_URL")
    # Resolved, since the URL of a store has no .. in it.
    return as_url(asked, project()) if asked else (home() / "store").resolve().as_uri()


def store_encryption() -> str:
    """`CXG_STORE_ENCRYPTION`: server-side encryption in S3, `AES256` or `aws:kms`; the bucket's default by default."""
    return os.environ.get("CXG_STORE_ENCRYPTION", "")


def store_kms_key_id() -> str:
    """`CXG_STORE_KMS_KEY_ID`: the key of `aws:kms`; the account's own by default."""
    return os.environ.get("CXG_STORE_KMS_KEY_ID", "")


def store_class() -> str:
    """`CXG_STORE_CLASS`: storage class of chunks in S3, like `INTELLIGENT_TIERING`; `STANDARD` by default."""
    return os.environ.get("CXG_STORE_CLASS", "")


def store_addressing() -> str:
    """`CXG_STORE_ADDRESSING`: how a bucket is addressed, `path` (the default) or `virtual`."""
    return os.environ.get("CXG_STORE_ADDRESSING", "")


def census_uri() -> str:
    """`CXG_CENSUS_URI`: SOMA URI of the Census, or its path; empty when it is not set."""
    asked = os.environ.get("CXG_CENSUS_URI", "")
    return asked if "://" in asked or not asked else str(absolute_path(asked, project()))


def census_version() -> str:
    """`CXG_CENSUS_VERSION`: release name of the public Census; empty when it is not set."""
    return os.environ.get("CXG_CENSUS_VERSION", "")


def census_mirror() -> str:
    """`CXG_CENSUS_MIRROR`: the public Census's mirror to read from; the one that it calls its default by default."""
    return os.environ.get("CXG_CENSUS_MIRROR", "")


def census_endpoint_url() -> str:
    """`CXG_CENSUS_ENDPOINT_URL`: S3 that the Census is in, if it is another than that of the destination."""
    return os.environ.get("CXG_CENSUS_ENDPOINT_URL", "")


def census_region() -> str:
    """`CXG_CENSUS_REGION`: AWS region of a Census that is given by its URI."""
    return os.environ.get("CXG_CENSUS_REGION", "")


def census_profile() -> str:
    """`CXG_CENSUS_PROFILE`: AWS profile whose keys the Census is read with."""
    return os.environ.get("CXG_CENSUS_PROFILE", "")


def pool() -> str:
    """`CXG_POOL`: what runs the workers, `ray` (the default) or `local`: processes of this machine without Ray."""
    return os.environ.get("CXG_POOL", "")


def demo_census_path() -> Path:
    """The demo census, used when neither of the two names a Census."""
    return home() / "demo-census"


def dagster_home() -> Path:
    """`DAGSTER_HOME`: the Dagster instance that the command and the UI share; a folder in `home` by default."""
    return Path(os.environ.get("DAGSTER_HOME") or home() / "dagster").absolute()
