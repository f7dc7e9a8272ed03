"""Keys, secrets and tokens are nowhere but where the user put them, whether an ingest succeeds or fails."""

import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import boto3
import dagster as dg
import pytest
from dagster._core.remote_representation.external_data import RepositorySnap
from dagster._serdes import serialize_value
from dagster_aws.s3 import S3Resource

from cxg_assets.code_location import complete
from cxg_assets.components.census_subset import subset_definitions
from cxg_assets.ingest.spec import SubsetSpec
from cxg_assets.resources.census import CensusResource
from cxg_assets.resources.store import StoreResource
from cxg_assets_tests.secret_search import CENSUS, OWN, PROGRAM, WRONG, decoded, files, leaks, rows, told
from cxg_assets_tests.servers.counted_s3 import KEYS, upload
from cxg_assets_tests.servers.strict_s3 import BUCKET, Failure, Key, Rules, StrictS3, serve_strict_s3
from cxg_assets_tests.servers.webserver import wait_until

pytestmark = pytest.mark.stack

INGEST = ("ingest", "blood_normal", "--census-uri", "s3://private/census", "-n", "20", "-c", "20", "-d", "1")
FOREIGN = ("AWS_", "CXG_", "DAGSTER_", "RAY_")


@dataclass(frozen=True, kw_only=True)
class Ran:
    """An ingest that has ended.

    Attributes:
        exit_code: Its exit code.
        said: stdout and stderr.
        home: Its CXG_HOME.
        ray: Where its Ray had its files.
        objects: What is in its bucket, by key.
    """

    exit_code: int
    said: dict[str, str]
    home: Path
    ray: Path
    objects: dict[str, bytes]


@dataclass(frozen=True, kw_only=True)
class Place:
    """A private Census on one S3, an empty bucket on another, and a user with keys for each."""

    folder: Path
    census_s3: StrictS3
    own_s3: StrictS3

    @property
    def client(self) -> Any:
        session = boto3.Session(OWN.id, OWN.secret, OWN.token, region_name="us-east-1")
        return session.client("s3", endpoint_url=f"http://{self.own_s3.endpoint}")

    def environment(self, **changes: str) -> dict[str, str]:
        """The user's variables; keyword arguments add to them, and those that are empty take away."""
        inherited = {name: value for name, value in os.environ.items() if not name.startswith(FOREIGN)}
        own = {
            "AWS_CONFIG_FILE": str(self.folder / "aws-config"),
            "AWS_SHARED_CREDENTIALS_FILE": str(self.folder / "aws-credentials"),
            "AWS_EC2_METADATA_DISABLED": "true",
            "AWS_ENDPOINT_URL": f"http://{self.own_s3.endpoint}",
            "AWS_REGION": "us-east-1",
            "AWS_ACCESS_KEY_ID": OWN.id,
            "AWS_SECRET_ACCESS_KEY": OWN.secret,
            "AWS_SESSION_TOKEN": str(OWN.token),
            "CXG_CENSUS_ENDPOINT_URL": f"http://{self.census_s3.endpoint}",
            "CXG_CENSUS_PROFILE": "census",
        }
        return {name: value for name, value in (inherited | own | changes).items() if value}

    def start(self, name: str, **changes: str) -> "Started":
        """Begins an ingest in a home of its own."""
        ray = Path(tempfile.mkdtemp(prefix="cxg", dir="/tmp"))  # short: Ray's sockets are there
        folders = {
            "CXG_HOME": str(self.folder / name),
            "RAY_TMPDIR": str(ray),
            "CXG_STORE_URL": f"s3://{BUCKET}/{name}",
        }
        process = subprocess.Popen(
            [Path(sys.executable).with_name("cxg-assets"), *INGEST],
            env=self.environment(**folders | changes),
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        )  # fmt: skip
        return Started(place=self, process=process, home=self.folder / name, ray=ray)


@dataclass(frozen=True, kw_only=True)
class Started:
    """An ingest that is going on."""

    place: Place
    process: subprocess.Popen[str]
    home: Path
    ray: Path

    def wait_for_the_chunks(self) -> None:
        """Waits until the run over the chunks begins: it marks the plan."""
        mark = re.compile(rf"/{BUCKET}/{self.home.name}/.*/writing-[^/]*\.json")

        def is_marked() -> bool:
            assert self.process.poll() is None, self.process.communicate()
            return any(mark.fullmatch(asked.path) for asked in self.place.own_s3.requests("PUT"))

        wait_until("the mark of a run", is_marked, 120)

    def end(self) -> Ran:
        """Waits until it has ended; then the S3 is as it was before."""
        stdout, stderr = self.process.communicate()
        self.place.own_s3.obey(Rules(keys=(OWN, PROGRAM)))
        listed = self.place.client.list_objects_v2(Bucket=BUCKET)
        keys = [item["Key"] for item in listed.get("Contents", ())]
        return Ran(
            exit_code=self.process.returncode,
            said={"stdout": stdout, "stderr": stderr},
            home=self.home,
            ray=self.ray,
            objects={key: self.place.client.get_object(Bucket=BUCKET, Key=key)["Body"].read() for key in keys},
        )


@pytest.fixture(scope="module")
def place(census_uri: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    folder = tmp_path_factory.mktemp("secrets")
    for name in ("census-s3", "own-s3"):
        (folder / name).mkdir()
    keys = f"aws_access_key_id = {CENSUS.id}\naws_secret_access_key = {CENSUS.secret}\n"
    (folder / "aws-credentials").write_text(f"[census]\n{keys}")
    for name, key in (("right", PROGRAM), ("wrong", WRONG)):
        given = {"Version": 1, "AccessKeyId": key.id, "SecretAccessKey": key.secret, "SessionToken": key.token}
        (folder / f"{name}.json").write_text(json.dumps(given | {"Expiration": "2099-01-01T00:00:00Z"}))
    # A login that has run out on the workers' machines only.
    program = folder / "keys.sh"
    is_worker = "tr '\\0' ' ' < /proc/$PPID/cmdline | grep -q '^ray::'"
    program.write_text(f"if {is_worker}; then cat {folder}/wrong.json; else cat {folder}/right.json; fi\n")
    (folder / "aws-config").write_text(f"[profile login]\ncredential_process = sh {program}\n")
    with serve_strict_s3(folder / "census-s3") as census_s3, serve_strict_s3(folder / "own-s3") as own_s3:
        census_s3.obey(Rules(keys=(Key(id=KEYS["aws_access_key_id"], secret=KEYS["aws_secret_access_key"]),)))
        upload(Path(census_uri), f"http://{census_s3.endpoint}", "private", "census")
        census_s3.obey(Rules(keys=(CENSUS,)))
        own_s3.obey(Rules(keys=(OWN, PROGRAM)))
        yield Place(folder=folder, census_s3=census_s3, own_s3=own_s3)


def ended(run: Ran) -> Iterator[Ran]:
    """Gives a run to the tests, and removes its Ray's files afterwards."""
    yield run
    shutil.rmtree(run.ray)


@pytest.fixture(scope="module")
def succeeded(place: Place) -> Iterator[Ran]:
    yield from ended(place.start("succeeded").end())


@pytest.fixture(scope="module")
def refused(place: Place) -> Iterator[Ran]:
    """The destination does not know the keys."""
    wrong = {"AWS_ACCESS_KEY_ID": WRONG.id, "AWS_SECRET_ACCESS_KEY": WRONG.secret, "AWS_SESSION_TOKEN": ""}
    yield from ended(place.start("refused", **wrong).end())


@pytest.fixture(scope="module")
def bereft(place: Place) -> Iterator[Ran]:
    """The bucket is removed after the plan was made."""
    started = place.start("bereft")
    started.wait_for_the_chunks()
    place.own_s3.obey(Rules(failures=(Failure(status=404, code="NoSuchBucket"),)))
    yield from ended(started.end())


@pytest.fixture(scope="module")
def locked_out(place: Place) -> Iterator[Ran]:
    """The driver's keys come from a program and are good; those that the workers get from it are not."""
    program = {"AWS_PROFILE": "login", "AWS_ACCESS_KEY_ID": "", "AWS_SECRET_ACCESS_KEY": "", "AWS_SESSION_TOKEN": ""}
    yield from ended(place.start("locked-out", **program).end())


RUNS = pytest.mark.parametrize("name", ["succeeded", "refused", "bereft", "locked_out"])


@pytest.fixture
def run(request: pytest.FixtureRequest, name: str) -> Ran:
    return request.getfixturevalue(name)


def the_error(run: Ran) -> str:
    """The line by which a command says why it failed."""
    [line] = [line for line in run.said["stderr"].splitlines() if line.startswith("cxg-assets: ")]
    return line


def test_the_first_ingest_makes_its_chunk(succeeded: Ran) -> None:
    assert succeeded.exit_code == 0, succeeded.said
    assert len([key for key in succeeded.objects if key.endswith(".h5ad")]) == 1


def test_keys_that_the_destination_does_not_know_are_refused(refused: Ran) -> None:
    assert (refused.exit_code, refused.said["stdout"]) == (2, "")
    assert "S3 does not know the keys" in the_error(refused)


def test_a_bucket_that_was_removed_is_named_in_the_error(bereft: Ran) -> None:
    assert bereft.exit_code == 1
    assert f"s3://{BUCKET}/bereft" in the_error(bereft)
    assert "DagsterExecutionStepExecutionError" not in the_error(bereft)


def test_keys_that_only_the_workers_lack_are_named_as_the_cause(locked_out: Ran) -> None:
    assert locked_out.exit_code == 1
    assert the_error(locked_out).startswith("cxg-assets: 1 of 1 chunk failed: 00000. The first: ")
    assert "S3 does not know the keys" in the_error(locked_out)


def test_the_search_finds_what_is_there() -> None:
    assert leaks({"here": f"x{OWN.secret}x".encode(), "there": b""}) == ["zqOWNSECRETzq in here"]


@RUNS
def test_no_secret_is_said(run: Ran) -> None:
    assert leaks({name: text.encode() for name, text in run.said.items()}) == []


@RUNS
def test_no_secret_is_in_a_file_of_the_home(run: Ran) -> None:
    found = files(run.home)
    for path in [Path(name) for name in found if name.endswith(".db")]:
        found |= rows(path)
    assert leaks(found) == []


@RUNS
def test_no_secret_is_in_the_files_of_ray(run: Ran) -> None:
    assert leaks(files(run.ray)) == []


@pytest.mark.parametrize("name", ["succeeded", "bereft", "locked_out"])
def test_no_secret_is_in_the_config_or_the_events_of_a_run(run: Ran) -> None:
    texts = told(run.home)
    assert len(texts) >= 4
    assert leaks(texts) == []


def test_no_secret_is_in_an_object_of_the_bucket(succeeded: Ran, locked_out: Ran) -> None:
    objects = succeeded.objects | locked_out.objects
    assert len(decoded(objects)) >= 4
    assert leaks(objects | decoded(objects)) == []


def test_the_ui_shows_no_secret_in_the_resources(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in place.environment().items():
        monkeypatch.setenv(name, value)
    keys = ("aws_access_key_id", "aws_secret_access_key", "aws_session_token")
    variables: dict[str, Any] = {name: dg.EnvVar(name.upper()) for name in keys}
    s3 = S3Resource(**variables)
    tiledb_config = {f"vfs.s3.{name}": value for name, value in variables.items()}
    subset = subset_definitions(SubsetSpec(name="sample", organism="homo_sapiens"), "")
    shown = {}
    for name, store in {"from the chain": None, "from variables": StoreResource(s3=s3, url="s3://lab/x")}.items():
        definitions = complete(
            subset, census=CensusResource(uri="s3://private/census", tiledb_config=tiledb_config), store=store
        )
        assert (store or StoreResource(s3=S3Resource(), url="s3://lab/x")).locator().s3.profile is None
        shown[name] = serialize_value(RepositorySnap.from_def(definitions.get_repository_def())).encode()
    assert b"AWS_SECRET_ACCESS_KEY" in shown["from variables"]  # by its name
    assert leaks(shown) == []


def test_ray_reports_to_nobody_how_it_is_used(succeeded: Ran) -> None:
    [log] = succeeded.ray.rglob("dashboard.log")
    assert "Usage reporting is disabled" in log.read_text()
