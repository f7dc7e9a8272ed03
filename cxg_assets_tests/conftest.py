"""Fixtures for all tests. Censuses and servers are real and made once; stores are new for every test.

| fixture | what it is |
| --- | --- |
| `demo_census` | a function: the demo census of arguments of `build_census`, to be read only, see `kept_census` |
| `census_uri`, `census`, `release` | a demo census: its path, opened by `cellxgene_census`, and as the engine sees it |
| `old_census_uri`, `old_census`, `old_release` | a small one in the older layout: text in obs is plain |
| `spec` | a function: a `SubsetSpec` with small defaults |
| `store_url` | URL of a folder that does not exist yet |
| `s3` | an empty bucket on an S3 server over HTTP: URL, settings, boto3 client |
| `home` | an empty CXG_HOME; the Census is the session's demo census |
| `defs` | an empty folder in place of `cxg_assets/defs` |
| `no_aws` | nothing of AWS or of proxies in the environment; profile files in `tmp_path` |
| `server` | an S3 server that is as strict as Amazon's and obeys the rules a test gives it, with `no_aws` |
| `public` | the public Census on this machine, and the environment of its clients, with `no_aws` |
| `index_store` | the default store of the session: census indexes are made once |
| `ingest` | a function: takes a spec to stored chunks, see `Ingest` and `ingested.Ingested` |
| `pictures` | pictures are drawn; elsewhere they are blank |
| `workers` | pools are of processes of this machine, which serve one pool after the other |
| `ray_session` | a real Ray of two CPUs |
| `blood` | one ingested subset that all tests read and none changes |
| `stages` | a subset of six chunks on a Dagster instance, kept at each stage of its ingest |
| `platform`, `prepared`, `stored`, `published` | a copy for one test: nothing made, a plan, all chunks, a dataset |
"""

import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any, Protocol

import boto3
import cellxgene_census
import pytest
import tiledbsoma as soma
from moto.server import ThreadedMotoServer

from cxg_assets.ingest.census.release import Release, read_release
from cxg_assets.ingest.spec import GeneSelection, SubsetSpec
from cxg_assets.ingest.storage.s3 import S3Settings
from cxg_assets.ingest.storage.store import Store, StoreLocator
from cxg_assets.resources.ray_cluster import leave_ray, start_own_ray
from cxg_assets_tests.cli.command import move_to, use_defs
from cxg_assets_tests.ingested import Ingested, ingest_subset
from cxg_assets_tests.kept_census import kept_census
from cxg_assets_tests.kept_workers import KeptWorkers, keep_workers
from cxg_assets_tests.platforms import OUR_STORAGE, Platform, Stages
from cxg_assets_tests.scheduling import STACK, STACK_FIXTURES, TogetherScheduling, put_long_ones_first
from cxg_assets_tests.servers.public_census import PublicCensus, serve_public_census
from cxg_assets_tests.servers.strict_s3 import Rules, StrictS3, forget_aws, serve_strict_s3
from cxg_assets_tests.spared import (
    drawing,
    spare_collecting,
    spare_compiling,
    spare_drawing,
    spare_scripts_and_disk,
)

N_OBS = 2_600
"""Human cells of the demo census: two rows of X tiles and two fragments, which meet inside the first row of tiles."""

FRAGMENT_EDGE = 1_300
"""First human cell of the second fragment of X."""

N_SPOTS = 200
"""Spots of the demo census, of human and of mouse."""

OLD_N_OBS = 300
"""Human cells of the census in the older layout."""

BLOOD_NORMAL = "tissue_general == 'blood' and disease == 'normal' and is_primary_data == True"
WELL_MEASURED = GeneSelection(value_filter="n_measured_obs >= 10 and nnz >= 10")

S3_SETTINGS = S3Settings(access_key_id="test", secret_access_key="test-secret", region="us-east-1")
"""moto takes any keys."""


def pytest_configure() -> None:
    """Before xdist starts its processes, and tests are compiled."""
    spare_compiling()


def pytest_collection_finish() -> None:
    """All modules of tests are imported."""
    spare_collecting()


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Marks as `stack` what `-m "not stack"` leaves out; files that start such a thing of their own mark themselves."""
    for item in items:
        if item.path.parent.name in STACK or not set(STACK_FIXTURES).isdisjoint(getattr(item, "fixturenames", ())):
            item.add_marker("stack")
    put_long_ones_first(items)


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> TogetherScheduling | None:
    """What `--dist loadfile` is here; the order is that of `put_long_ones_first`."""
    if config.getoption("dist") != "loadfile":
        return None
    config.option.loadscopereorder = False
    return TogetherScheduling(config, log)


@dataclass(frozen=True, kw_only=True)
class Bucket:
    """An empty bucket.

    Attributes:
        name: Its name.
        url: `s3://<name>`.
        settings: How it is reached.
        client: boto3 client of the server, to look at the bucket by other means.
    """

    name: str
    url: str
    settings: S3Settings
    client: Any

    def locator(self, prefix: str = "store") -> StoreLocator:
        """A store below a prefix of the bucket."""
        return StoreLocator(url=f"{self.url}/{prefix}", s3=self.settings)

    def environment(self, prefix: str) -> dict[str, str]:
        """Variables by which a command reaches the bucket, with the default store below a prefix of it."""
        return {
            "CXG_STORE_URL": f"{self.url}/{prefix}",
            "AWS_ENDPOINT_URL": str(self.settings.endpoint_url),
            "AWS_ACCESS_KEY_ID": str(self.settings.access_key_id),
            "AWS_SECRET_ACCESS_KEY": str(self.settings.secret_access_key),
            "AWS_REGION": str(self.settings.region),
            "AWS_ALLOW_HTTP": "true",
        }


class Ingest(Protocol):
    """Takes a spec to stored chunks, through release, index, subset, plan and worker."""

    def __call__(self, spec: SubsetSpec, store: str | StoreLocator, *, uri: str = "", n_workers: int = 1) -> Ingested:
        """Runs the engine.

        Args:
            spec: The subset.
            store: The destination, a URL or (for S3) a locator.
            uri: The Census; empty for `census_uri`.
            n_workers: Cut into the spans of so many workers; one in this process takes them all.
        """
        ...


@pytest.fixture(scope="session")
def demo_census(pytestconfig: pytest.Config) -> Callable[..., Path]:
    assert pytestconfig.cache is not None
    return partial(kept_census, pytestconfig.cache.mkdir("census"))


@pytest.fixture(scope="session")
def census_uri(demo_census: Callable[..., Path]) -> str:
    return str(demo_census(n_obs=N_OBS, n_spots=N_SPOTS, seed=11))


@pytest.fixture(scope="session")
def old_census_uri(demo_census: Callable[..., Path]) -> str:
    return str(demo_census(n_obs=OLD_N_OBS, seed=12, text_as_dictionary=False))


@pytest.fixture(scope="session")
def census(census_uri: str) -> Iterator[soma.Collection]:
    with cellxgene_census.open_soma(uri=census_uri) as opened:
        yield opened


@pytest.fixture(scope="session")
def old_census(old_census_uri: str) -> Iterator[soma.Collection]:
    with cellxgene_census.open_soma(uri=old_census_uri) as opened:
        yield opened


@pytest.fixture(scope="session")
def release(census_uri: str) -> Release:
    return read_release("demo", census_uri, None, {})


@pytest.fixture(scope="session")
def old_release(old_census_uri: str) -> Release:
    return read_release("old-demo", old_census_uri, None, {})


@pytest.fixture(scope="session")
def index_store(tmp_path_factory: pytest.TempPathFactory) -> Store:
    return StoreLocator(url=tmp_path_factory.mktemp("default").as_uri()).open()


@pytest.fixture
def store_url(tmp_path: Path) -> str:
    return (tmp_path / "store").as_uri()


@pytest.fixture(scope="session")
def spec() -> Callable[..., SubsetSpec]:
    """A human subset with few obs columns and few genes; keyword arguments change attributes."""

    def make(**changes: Any) -> SubsetSpec:
        defaults: dict[str, Any] = {
            "name": "blood_normal",
            "organism": "homo_sapiens",
            "obs_columns": ("cell_type", "donor_id", "is_primary_data", "dataset_id"),
            "genes": WELL_MEASURED,
            "chunk_size": 200,
        }
        return SubsetSpec(**defaults | changes)

    return make


@pytest.fixture(scope="session")
def ingest(release: Release, index_store: Store) -> Ingest:
    releases = {release.uri: release}

    def run(spec: SubsetSpec, store: str | StoreLocator, *, uri: str = "", n_workers: int = 1) -> Ingested:
        uri = uri or release.uri
        if uri not in releases:
            releases[uri] = read_release(uri, uri, None, {})
        locator = StoreLocator(url=store) if isinstance(store, str) else store
        return ingest_subset(spec, releases[uri], index_store, locator, n_workers=n_workers)

    return run


@pytest.fixture(scope="session")
def blood(ingest: Ingest, spec: Callable[..., SubsetSpec], tmp_path_factory: pytest.TempPathFactory) -> Ingested:
    ingested = ingest(spec(value_filter=BLOOD_NORMAL), tmp_path_factory.mktemp("blood").as_uri())
    assert not ingested.failures
    return ingested


@pytest.fixture(scope="session")
def s3_endpoint() -> Iterator[str]:
    """URL of an S3 server that runs for the whole session."""
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    yield f"http://{host}:{port}"
    server.stop()


@pytest.fixture
def s3(s3_endpoint: str) -> Bucket:
    client = boto3.client(
        "s3",
        endpoint_url=s3_endpoint,
        region_name=S3_SETTINGS.region,
        aws_access_key_id=S3_SETTINGS.access_key_id,
        aws_secret_access_key=S3_SETTINGS.secret_access_key,
    )
    name = f"bucket-{uuid.uuid4().hex[:12]}"
    client.create_bucket(Bucket=name)
    settings = replace(S3_SETTINGS, endpoint_url=s3_endpoint)
    return Bucket(name=name, url=f"s3://{name}", settings=settings, client=client)


@pytest.fixture
def home(tmp_path: Path, census_uri: str, monkeypatch: pytest.MonkeyPatch) -> Path:
    move_to(tmp_path / "home", census_uri, monkeypatch)
    return tmp_path / "home"


@pytest.fixture
def defs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "project" / "defs"
    folder.mkdir(parents=True)
    use_defs(folder, monkeypatch)
    return folder


@pytest.fixture
def no_aws(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    forget_aws(monkeypatch, tmp_path)


@pytest.fixture(scope="session")
def running_strict_s3(tmp_path_factory: pytest.TempPathFactory) -> Iterator[StrictS3]:
    with serve_strict_s3(tmp_path_factory.mktemp("strict-s3")) as running:
        yield running


@pytest.fixture
def server(no_aws: None, running_strict_s3: StrictS3) -> StrictS3:
    """A server that behaves as S3 does until a test says otherwise."""
    running_strict_s3.obey(Rules())
    return running_strict_s3


@pytest.fixture(scope="session")
def running_public_census(census_uri: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[PublicCensus]:
    with serve_public_census(Path(census_uri), tmp_path_factory.mktemp("public")) as running:
        yield running


@pytest.fixture
def public(no_aws: None, running_public_census: PublicCensus, monkeypatch: pytest.MonkeyPatch) -> PublicCensus:
    """The public Census as it was first, and not asked anything yet."""
    running_public_census.use(monkeypatch)
    running_public_census.reset()
    return running_public_census


@pytest.fixture(scope="session", autouse=True)
def _local_pool() -> Iterator[None]:
    """What is not about Ray does without: commands, runs and UIs of tests have pools of this machine's processes."""
    with pytest.MonkeyPatch.context() as monkeypatch:
        monkeypatch.setenv("CXG_POOL", "local")
        yield


@pytest.fixture(scope="session", autouse=True)
def _spared() -> Iterator[None]:
    """What hardly a test is about costs nothing, see `spared`."""
    with spare_drawing(), spare_scripts_and_disk():
        yield


@pytest.fixture(scope="module")
def pictures() -> Iterator[None]:
    """Pictures are drawn."""
    with drawing():
        yield


@pytest.fixture(scope="session")
def workers() -> Iterator[KeptWorkers]:
    """Pools keep their processes for the next one."""
    with keep_workers() as kept:
        yield kept


@pytest.fixture(scope="session")
def ray_session() -> Iterator[None]:
    """A Ray of two CPUs for the whole session; the executor joins a Ray that runs, as it would join a cluster."""
    start_own_ray({"num_cpus": 2})
    yield
    leave_ray()


@pytest.fixture(scope="session")
def stages(census_uri: str, spec: Callable[..., SubsetSpec], tmp_path_factory: pytest.TempPathFactory) -> Stages:
    small = spec(value_filter=BLOOD_NORMAL, chunk_size=40, max_obs=230)
    return Stages(tmp_path_factory.mktemp("stages"), small, census_uri, OUR_STORAGE)


@pytest.fixture
def platform(stages: Stages, workers: KeptWorkers) -> Iterator[Platform]:
    with stages.at("empty") as copy:
        yield copy


@pytest.fixture
def prepared(stages: Stages, workers: KeptWorkers) -> Iterator[Platform]:
    with stages.at("prepared") as copy:
        yield copy


@pytest.fixture
def stored(stages: Stages, workers: KeptWorkers) -> Iterator[Platform]:
    with stages.at("stored") as copy:
        yield copy


@pytest.fixture
def published(stages: Stages, workers: KeptWorkers) -> Iterator[Platform]:
    with stages.at("published") as copy:
        yield copy
