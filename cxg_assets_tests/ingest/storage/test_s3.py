"""Settings of S3 come from where every AWS tool takes them, are the same for both clients, and show no keys."""

import json
import pickle
from collections.abc import Callable
from pathlib import Path

import pytest

from cxg_assets.ingest.census.census import CensusLocator
from cxg_assets.ingest.errors import BadInput
from cxg_assets.ingest.storage.s3 import S3Settings
from cxg_assets_tests.servers.strict_s3 import ONCE, Key, Rules, StrictS3

KEY = Key()
ENV_KEYS = {"AWS_ACCESS_KEY_ID": "AKIDENVIRONMENT", "AWS_SECRET_ACCESS_KEY": "secret-of-env"}
TEMPORARY = Key(id="ASIATEMPORARY0000001", secret="temporary-secret", token="temporary/token==")

CONFIG = """
[default]
region = eu-west-3
[profile lab]
region = eu-central-1
[profile keyed]
aws_access_key_id = AKIDINCONFIG
aws_secret_access_key = secret-in-config
"""
CREDENTIALS = """
[default]
aws_access_key_id = AKIDDEFAULT
aws_secret_access_key = secret-of-default
[lab]
aws_access_key_id = AKIDLAB
aws_secret_access_key = secret-of-lab
aws_session_token = token-of-lab
"""


pytestmark = pytest.mark.usefixtures("no_aws")


@pytest.fixture
def profiles(tmp_path: Path) -> None:
    """The profile files have the profiles default, lab and keyed."""
    (tmp_path / "aws-config").write_text(CONFIG)
    (tmp_path / "aws-credentials").write_text(CREDENTIALS)


@pytest.fixture
def process_profile(tmp_path: Path) -> str:
    """Name of a profile whose keys a program gives; they expire."""
    given = {"Version": 1, "AccessKeyId": TEMPORARY.id, "SecretAccessKey": TEMPORARY.secret}
    given |= {"SessionToken": TEMPORARY.token, "Expiration": "2099-01-01T00:00:00Z"}
    (tmp_path / "keys.json").write_text(json.dumps(given))
    (tmp_path / "aws-config").write_text(f"[profile sso]\ncredential_process = cat {tmp_path}/keys.json\n")
    return "sso"


def ask_by_obstore(server: StrictS3, settings: S3Settings) -> None:
    assert server.locator(settings).open(ONCE).sizes("") == {}


def ask_by_tiledb(server: StrictS3, settings: S3Settings) -> None:
    config = settings.completed().tiledb_config()
    with pytest.raises(BadInput, match="no SOMA collection"):
        CensusLocator(uri=f"{server.locator().url}/census", tiledb_config=tuple(config.items())).open()


Ask = Callable[[StrictS3, S3Settings], None]
CLIENTS = pytest.mark.parametrize("ask", [ask_by_obstore, ask_by_tiledb])


def keys_shown(server: StrictS3) -> set[str]:
    """The keys that the server was shown; every request was let in."""
    asked = server.requests()
    assert asked
    assert {request.code for request in asked} == {""}
    return {request.scope.split("/")[0] for request in asked}


def test_what_is_not_set_comes_from_the_variables(monkeypatch: pytest.MonkeyPatch) -> None:
    variables = ENV_KEYS | {"AWS_SESSION_TOKEN": "env-token", "AWS_REGION": "sa-east-1", "AWS_ENDPOINT_URL": "http://s"}
    for name, value in variables.items():
        monkeypatch.setenv(name, value)

    assert S3Settings().completed() == S3Settings(
        endpoint_url="http://s",
        region="sa-east-1",
        access_key_id="AKIDENVIRONMENT",
        secret_access_key="secret-of-env",
        session_token="env-token",
    )


def test_what_is_set_goes_before_the_variables(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in (ENV_KEYS | {"AWS_SESSION_TOKEN": "t", "AWS_REGION": "r", "AWS_ENDPOINT_URL_S3": "u"}).items():
        monkeypatch.setenv(name, value)
    told = S3Settings(endpoint_url="http://told", region="told-1", access_key_id="KEY", secret_access_key="secret")

    assert told.completed() == told


def test_the_endpoint_of_s3_goes_before_that_of_all_services(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://all")
    assert S3Settings().completed().endpoint_url == "http://all"

    monkeypatch.setenv("AWS_ENDPOINT_URL_S3", "http://s3")
    assert S3Settings().completed().endpoint_url == "http://s3"


def test_an_empty_endpoint_is_none(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL", "")

    assert S3Settings().completed().endpoint_url is None


@pytest.mark.usefixtures("profiles")
def test_the_region_is_the_first_of_variable_older_variable_and_profile(monkeypatch: pytest.MonkeyPatch) -> None:
    assert S3Settings().completed().region == "eu-west-3"
    assert S3Settings(profile="lab").completed().region == "eu-central-1"
    monkeypatch.setenv("AWS_DEFAULT_REGION", "older-1")
    assert S3Settings().completed().region == "older-1"
    monkeypatch.setenv("AWS_REGION", "newer-1")
    assert S3Settings().completed().region == "newer-1"


@pytest.mark.usefixtures("profiles")
def test_lasting_keys_of_a_profile_are_filled_in() -> None:
    default, lab, keyed = (S3Settings(profile=profile).completed() for profile in (None, "lab", "keyed"))

    assert (default.access_key_id, default.secret_access_key) == ("AKIDDEFAULT", "secret-of-default")
    assert (lab.access_key_id, lab.secret_access_key, lab.session_token) == ("AKIDLAB", "secret-of-lab", "token-of-lab")
    assert (keyed.access_key_id, keyed.secret_access_key) == ("AKIDINCONFIG", "secret-in-config")


@pytest.mark.usefixtures("profiles")
def test_the_profile_of_the_environment_is_used(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_PROFILE", "lab")

    assert S3Settings().completed().access_key_id == "AKIDLAB"


@pytest.mark.usefixtures("profiles")
def test_a_profile_that_is_asked_for_goes_before_keys_of_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in ENV_KEYS.items():
        monkeypatch.setenv(name, value)

    assert S3Settings(profile="lab").completed().access_key_id == "AKIDLAB"


@pytest.mark.usefixtures("profiles")
def test_an_unknown_profile_is_bad_input_with_its_name(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(BadInput, match=r"S3: .*\(nosuch\).*see ~/.aws/config"):
        S3Settings(profile="nosuch").completed()
    monkeypatch.setenv("AWS_PROFILE", "nosuch-either")
    with pytest.raises(BadInput, match=r"S3: .*\(nosuch-either\).*unset AWS_PROFILE"):
        S3Settings().completed()


def test_without_credentials_it_is_bad_input_that_says_how_to_give_them() -> None:
    with pytest.raises(BadInput, match="no credentials; set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or AWS_PROF"):
        S3Settings().obstore_options("bucket")


def test_a_census_is_read_without_credentials_where_there_are_none(monkeypatch: pytest.MonkeyPatch) -> None:
    assert S3Settings(region="us-west-2").or_anonymous() == S3Settings(region="us-west-2", anonymous=True)
    assert S3Settings(access_key_id="KEY").or_anonymous() == S3Settings(access_key_id="KEY")
    for name, value in ENV_KEYS.items():
        monkeypatch.setenv(name, value)
    assert S3Settings().or_anonymous() == S3Settings()


@CLIENTS
@pytest.mark.parametrize(
    "variables",
    [
        ENV_KEYS,
        ENV_KEYS | {"AWS_SESSION_TOKEN": "token-of-env"},
        {"AWS_ENDPOINT": "http://127.0.0.1:1", "AWS_ENDPOINT_URL": "http://127.0.0.1:1", "AWS_REGION": "eu-west-1"},
        {"AWS_SKIP_SIGNATURE": "true"},
        {"AWS_VIRTUAL_HOSTED_STYLE_REQUEST": "true"},
    ],
    ids=lambda variables: list(variables)[-1],
)
def test_what_is_set_reaches_s3_whatever_the_environment_says(
    server: StrictS3, monkeypatch: pytest.MonkeyPatch, variables: dict[str, str], ask: Ask
) -> None:
    server.obey(Rules())
    for name, value in variables.items():
        monkeypatch.setenv(name, value)

    ask(server, server.settings())

    assert keys_shown(server) == {KEY.id}


@CLIENTS
def test_an_anonymous_client_shows_no_keys_of_the_environment(
    server: StrictS3, monkeypatch: pytest.MonkeyPatch, ask: Ask
) -> None:
    server.obey(Rules(public=True))
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", KEY.id)
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", KEY.secret)

    ask(server, server.settings(None, anonymous=True))

    assert keys_shown(server) == {""}


@CLIENTS
def test_temporary_keys_are_shown_with_their_token(server: StrictS3, ask: Ask) -> None:
    server.obey(Rules(keys=(TEMPORARY,)))

    ask(server, server.settings(TEMPORARY))

    assert keys_shown(server) == {TEMPORARY.id}


# TileDB reads the profile files once a process: a profile of the environment cannot be changed for it.
@pytest.mark.parametrize(
    ("ask", "asked_for_by"), [(ask_by_obstore, "setting"), (ask_by_obstore, "variable"), (ask_by_tiledb, "setting")]
)
def test_keys_of_a_program_do_not_travel_but_work(
    server: StrictS3, monkeypatch: pytest.MonkeyPatch, process_profile: str, ask: Ask, asked_for_by: str
) -> None:
    server.obey(Rules(keys=(TEMPORARY,)))
    if asked_for_by == "variable":
        monkeypatch.setenv("AWS_PROFILE", process_profile)
    told = server.settings(None, profile=process_profile if asked_for_by == "setting" else None)

    completed = pickle.loads(pickle.dumps(told.completed()))
    ask(server, completed)

    assert completed.access_key_id is None
    assert keys_shown(server) == {TEMPORARY.id}


@pytest.mark.parametrize(
    ("settings", "config"),
    [
        (
            S3Settings(),
            {"use_virtual_addressing": "true", "verify_ssl": "true", "no_sign_request": "false"},
        ),
        (
            S3Settings(endpoint_url="https://minio.lab:9000/", region="lab-1", verify=False, anonymous=True),
            {"use_virtual_addressing": "false", "verify_ssl": "false", "no_sign_request": "true"}
            | {"scheme": "https", "endpoint_override": "minio.lab:9000", "region": "lab-1"},
        ),
        (
            S3Settings(
                endpoint_url="http://host/s3", virtual_addressing=True, access_key_id="K", secret_access_key="S"
            ),
            {"use_virtual_addressing": "true", "verify_ssl": "true", "no_sign_request": "false"}
            | {
                "scheme": "http",
                "endpoint_override": "host/s3",
                "aws_access_key_id": "K",
                "aws_secret_access_key": "S",
            },
        ),
    ],
    ids=["Amazon", "endpoint", "virtual"],
)
def test_tiledb_gets_the_same(settings: S3Settings, config: dict[str, str]) -> None:
    assert settings.tiledb_config() == {f"vfs.s3.{name}": value for name, value in config.items()}


def test_keys_are_in_no_repr_and_travel() -> None:
    settings = S3Settings(
        region="r", access_key_id="the-key", secret_access_key="the-secret", session_token="the-token"
    )

    assert "the-" not in f"{settings} {settings!r} {[settings]}"
    assert pickle.loads(pickle.dumps(settings)) == settings


def test_a_text_is_redacted_of_keys_and_of_nothing_else() -> None:
    settings = S3Settings(region="us-1", access_key_id="AKID", secret_access_key="hush", session_token=None)

    assert settings.redact("us-1: <Key>AKID</Key> AKID hush None") == "us-1: <Key>…</Key> … … None"


@CLIENTS
def test_an_endpoint_without_its_scheme_is_bad_input(server: StrictS3, ask: Ask) -> None:
    with pytest.raises(BadInput, match=rf"{server.endpoint}.*http"):
        ask(server, server.settings(endpoint_url=server.endpoint))
