"""The public Census on this machine, and one ingest from it that many tests look at.

| fixture | what it is |
| --- | --- |
| `services` | the stand-in of the public Census, and an S3 of one's own |
| `finished` | one `cxg-assets ingest --census-version stable`; nobody changes it |
| `in_service` | this process sees the services |
| `machine` | the machine of that ingest, with copies of its home and destination |
| `second_machine` | another machine with the same destination |
"""

import os
import shutil
import subprocess
import sys
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest

from cxg_assets_tests.cli.command import Outcome
from cxg_assets_tests.public.services import INGEST, KEY, Finished, Machine, Services, elsewhere
from cxg_assets_tests.servers.counted_s3 import KEYS, tiledb_settings, upload
from cxg_assets_tests.servers.public_census import BUCKET as CENSUS_BUCKET
from cxg_assets_tests.servers.public_census import CENSUS, PublicCensus
from cxg_assets_tests.servers.release_directory import ReleaseDirectory, serve_directory
from cxg_assets_tests.servers.strict_s3 import BUCKET, Key, Rules, serve_strict_s3


@pytest.fixture(scope="module")
def services(census_uri: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Services]:
    folders = [tmp_path_factory.mktemp(name) for name in ("directory", "census-s3", "own-s3")]
    directory = ReleaseDirectory(files={})
    with (
        serve_directory(directory, folders[0]) as environment,
        serve_strict_s3(folders[1]) as census_s3,
        serve_strict_s3(folders[2]) as own_s3,
    ):
        census_s3.obey(Rules(keys=(Key(id=KEYS["aws_access_key_id"], secret=KEYS["aws_secret_access_key"]),)))
        upload(Path(census_uri), f"http://{census_s3.endpoint}", CENSUS_BUCKET, CENSUS)
        census_s3.obey(Rules(keys=(), public=True))
        own_s3.obey(Rules(keys=(KEY,)))
        public = PublicCensus(
            environment=environment,
            endpoint_url=f"http://{census_s3.endpoint}",
            tiledb_config=tiledb_settings(census_s3.endpoint),
            bucket=CENSUS_BUCKET,
            uri=f"s3://{CENSUS_BUCKET}/{CENSUS}/",
            directory=directory,
            s3_log=folders[1] / "requests",
        )
        public.reset()
        yield Services(public=public, census_s3=census_s3, own_s3=own_s3)


@pytest.fixture(scope="module")
def finished(services: Services, tmp_path_factory: pytest.TempPathFactory) -> Finished:
    home, prefix = tmp_path_factory.mktemp("first") / "home", "lab/cells"
    script = Path(sys.executable).with_name("cxg-assets")
    done = subprocess.run(
        [script, *INGEST, "--census-version", "stable", "--destination", f"s3://{BUCKET}/{prefix}"],
        env=elsewhere() | services.environment(home, prefix),
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return Finished(
        home=home,
        prefix=prefix,
        outcome=Outcome(exit_code=done.returncode, stdout=done.stdout, stderr=done.stderr),
        asked=services.own_s3.requests(),
        asked_of_census=services.census_s3.requests(),
        asked_of_directory=[asked.path for asked in services.public.asked],
        refused=set(services.public.refused),
        objects=services.objects(prefix),
    )


@pytest.fixture
def in_service(services: Services, monkeypatch: pytest.MonkeyPatch) -> Iterator[Services]:
    """This process sees the services; afterwards the directory is as it was."""
    for name in os.environ.keys() - elsewhere().keys():
        monkeypatch.delenv(name)
    for name, value in services.environment(Path("nowhere"), "nowhere").items():
        monkeypatch.setenv(name, value)
    services.public.reset()
    yield services
    services.public.reset()


@pytest.fixture
def machine(in_service: Services, finished: Finished, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Machine:
    """The machine of the first ingest, with copies of its home and of its destination."""
    prefix = f"copy-{uuid.uuid4().hex}"
    for path, data in finished.objects.items():
        in_service.client.put_object(Bucket=BUCKET, Key=f"{prefix}/{path}", Body=data)
    shutil.copytree(finished.home, tmp_path / "home")
    monkeypatch.setenv("CXG_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("CXG_STORE_URL", f"s3://{BUCKET}/{prefix}")
    return Machine(services=in_service, home=tmp_path / "home", prefix=prefix)


@pytest.fixture
def second_machine(machine: Machine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Machine:
    """Another machine with the same destination; nothing happened there yet."""
    monkeypatch.setenv("CXG_HOME", str(tmp_path / "second"))
    return Machine(services=machine.services, home=tmp_path / "second", prefix=machine.prefix)
