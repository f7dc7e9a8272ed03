"""Where things are when nobody says otherwise, and the environment variables that say it.

Read when it is needed, never at import, so that one process can work in two places.
"""

import math
from pathlib import Path

from pydantic import Field
from pydantic_settings import BaseSettings, SettingsConfigDict

from cxg_assets.ingest.errors import BadInput, shown
from cxg_assets.ingest.storage.url import absolute_path, as_url
from cxg_assets.project_folder import LOCAL_FOLDER, code_location_name, project_folder

WORKER_SILENCE = 300.0
"""A worker whose store is away says so after 240 s at most."""


class Variables(BaseSettings):
    """The environment variables, each with `CXG_` before its name; one that is empty counts as not set."""

    model_config = SettingsConfigDict(env_prefix="CXG_", env_ignore_empty=True)

    home: str = ""
    """The folder that holds everything local; the `.cxg` of the project by default."""
    pool: str = ""
    """What runs the workers, `ray` (the default) or `local`: processes of this machine without Ray."""

    workers: str = ""
    """Worker processes of a run; one for each CPU by default."""

    ray: str = ""
    """`kuberay`: each run asks Kubernetes for a Ray cluster; else the run's own, or the one of `RAY_ADDRESS`."""
    ray_runtime_env: str = ""
    """YAML file of what a run brings along to a cluster, Ray's `runtime_env`."""
    kuberay_cluster: str = ""
    """YAML file of the RayCluster that a run asks Kubernetes for."""
    kuberay_context: str = ""
    """Context of the kubeconfig; its current one by default."""
    kuberay_host: str = ""
    """Where the head is reached; the name of its service in Kubernetes by default."""
    kuberay_timeout: str = ""
    """Seconds until that cluster must be ready, 600 by default."""

    worker_silence: str = ""
    """Seconds without a word after which a worker is replaced, `WORKER_SILENCE` by default."""

    store_url: str = ""
    """Where index and chunks go, a URL or a path; a folder in `home` by default."""
    store_encryption: str = ""
    """Server-side encryption in S3, `AES256` or `aws:kms`; the bucket's default by default."""
    store_kms_key_id: str = ""
    """The key of `aws:kms`; the account's own by default."""
    store_class: str = ""
    """Storage class of chunks in S3, like `INTELLIGENT_TIERING`; `STANDARD` by default."""
    store_addressing: str = ""
    """How a bucket is addressed, `path` (the default) or `virtual`."""

    census_uri: str = ""
    """SOMA URI of the Census, or its path."""
    census_version: str = ""
    """Release name of the public Census."""
    census_mirror: str = ""
    """The public Census's mirror to read from; the one that it calls its default by default."""
    census_endpoint_url: str = ""
    """S3 that the Census is in, if it is another than that of the destination."""
    census_region: str = ""
    """AWS region of a Census that is given by its URI."""
    census_profile: str = ""
    """AWS profile whose keys the Census is read with."""
    census_embeddings_manifest: str = ""
    """URL or path of the JSON that lists the hosted embeddings; that of the public Census by default."""
    census_embeddings_uri: str = ""
    """URI that the arrays of hosted embeddings are below, at `<build>/<id>`."""

    dagster_home: str = Field(default="", validation_alias="DAGSTER_HOME")
    """`DAGSTER_HOME`: the Dagster instance that the command and the UI share; a folder in `home` by default."""


def project() -> Path:
    """The folder that `home` lies in, and that relative paths of YAML files and of `CXG_STORE_URL` begin at.

    That of `CXG_HOME` if that is a `.cxg`; else it is found from the current folder upwards.
    """
    asked = Path(Variables().home)
    return asked.absolute().parent if asked.name == LOCAL_FOLDER else project_folder(Path.cwd())


def home() -> Path:
    """The folder that holds everything local: `CXG_HOME`, or the `.cxg` of the project."""
    asked = Variables().home
    return Path(asked).absolute() if asked else project() / LOCAL_FOLDER


def how_home_was_found() -> str:
    """Why `home` is where it is, in words."""
    if Variables().home:
        return "as CXG_HOME says"
    return "found from the current folder upwards" if is_home_elsewhere() else "in the current folder"


def is_home_elsewhere() -> bool:
    """Whether `home` is in a folder that nobody named."""
    return not Variables().home and project() != Path.cwd()


def default_store_url() -> str:
    """The URL of `CXG_STORE_URL`, or of a folder in `home`."""
    asked = Variables().store_url
    # Resolved, since the URL of a store has no .. in it.
    return as_url(asked, project()) if asked else (home() / "store").resolve().as_uri()


def census_uri() -> str:
    """The URI or absolute path of `CXG_CENSUS_URI`; empty when it is not set."""
    asked = Variables().census_uri
    return asked if "://" in asked or not asked else str(absolute_path(asked, project()))


def worker_silence() -> float:
    """The seconds of `CXG_WORKER_SILENCE`.

    Raises:
        BadInput: It is not a number above 0.
    """
    asked = Variables().worker_silence
    try:
        seconds = float(asked or WORKER_SILENCE)
    except ValueError:
        seconds = math.nan
    if not 0 < seconds < math.inf:
        raise BadInput(f"CXG_WORKER_SILENCE: {shown(asked)} is not a number of seconds above 0")
    return seconds


def workers() -> int:
    """The number of `CXG_WORKERS`; 0 when it is not set.

    Raises:
        BadInput: It is no number above 0.
    """
    asked = Variables().workers
    if asked and not (asked.isascii() and asked.isdigit() and 0 < len(asked) < 7 and int(asked)):
        raise BadInput(f"CXG_WORKERS: {shown(asked)} is not a number of workers above 0")
    return int(asked or 0)


def demo_census_path() -> Path:
    """The demo census, used when neither `CXG_CENSUS_URI` nor `CXG_CENSUS_VERSION` names a Census."""
    return home() / "demo-census"


def dagster_home() -> Path:
    """The Dagster instance that the command and the UI share: `DAGSTER_HOME`, or a folder in `home`."""
    return Path(Variables().dagster_home or home() / "dagster").absolute()


def code_location() -> str:
    """The name under which the UI shows the project's assets, jobs and runs."""
    return code_location_name(project())
