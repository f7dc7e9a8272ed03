"""What is said of S3 in the resources and in variables arrives in the locator of a store; wrong values are refused."""

from pathlib import Path
from typing import Any

import dagster as dg
import pytest
from dagster_aws.s3 import S3Resource

from cxg_assets.ingest.errors import BadInput
from cxg_assets.ingest.storage.s3 import S3Settings
from cxg_assets.resources.store import StoreResource
from cxg_assets_tests.cli.command import move_to
from cxg_assets_tests.servers.strict_s3 import forget_aws

URL = "s3://lab/cells"


@pytest.fixture(autouse=True)
def _no_settings(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    forget_aws(monkeypatch, tmp_path)
    move_to(tmp_path / "home", "", monkeypatch)
    for name in ("ENCRYPTION", "KMS_KEY_ID", "CLASS", "ADDRESSING"):
        monkeypatch.delenv(f"CXG_STORE_{name}", raising=False)


def store(s3: S3Resource | None = None, **fields: Any) -> StoreResource:
    return StoreResource(s3=s3 or S3Resource(), **{"url": URL} | fields)


def test_every_field_of_dagsters_s3_resource_arrives() -> None:
    s3 = S3Resource(
        endpoint_url="http://s3.lab.example",
        region_name="eu-west-1",
        aws_access_key_id="AKIA",
        aws_secret_access_key="secret",
        aws_session_token="token",
        verify=False,
    )
    assert store(s3).locator().s3 == S3Settings(
        endpoint_url="http://s3.lab.example",
        region="eu-west-1",
        access_key_id="AKIA",
        secret_access_key="secret",
        session_token="token",
        verify=False,
    )


def test_a_profile_arrives_with_its_keys(tmp_path: Path) -> None:
    (tmp_path / "aws-credentials").write_text("[lab]\naws_access_key_id = AKIALAB\naws_secret_access_key = of-lab\n")

    found = store(S3Resource(profile_name="lab")).locator().s3

    assert found == S3Settings(profile="lab", access_key_id="AKIALAB", secret_access_key="of-lab")


def test_an_unsigned_session_is_anonymous_whatever_keys_the_environment_has(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AKIA")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "secret")

    assert store(S3Resource(use_unsigned_session=True)).locator().s3 == S3Settings(anonymous=True)


def test_an_unknown_profile_is_bad_input() -> None:
    with pytest.raises(BadInput, match=r"S3: The config profile \(moon\) could not be found; see ~/\.aws/config"):
        store(S3Resource(profile_name="moon")).locator()


def test_the_variables_say_what_the_resource_does_not(monkeypatch: pytest.MonkeyPatch) -> None:
    variables = {"ENCRYPTION": "aws:kms", "KMS_KEY_ID": "key-1", "CLASS": "GLACIER_IR", "ADDRESSING": "virtual"}
    for name, value in variables.items():
        monkeypatch.setenv(f"CXG_STORE_{name}", value)

    found = store().locator()

    assert (found.encryption, found.kms_key_id, found.storage_class) == ("aws:kms", "key-1", "GLACIER_IR")
    assert found.s3.virtual_addressing
    told = store(encryption="aws:kms", kms_key_id="key-2", storage_class="STANDARD_IA", addressing="path").locator()
    assert (told.kms_key_id, told.storage_class, told.s3.virtual_addressing) == ("key-2", "STANDARD_IA", False)


def test_without_anything_said_paths_are_addressed_and_nothing_is_encrypted_or_moved() -> None:
    found = store().locator()

    assert (found.encryption, found.kms_key_id, found.storage_class) == ("", "", "")
    assert found.s3 == S3Settings()


def test_a_destination_goes_before_the_resources_url_and_that_before_the_variable(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    assert store(url="").locator().url == (tmp_path / "home" / "store").as_uri()
    monkeypatch.setenv("CXG_STORE_URL", "s3://variable/x")
    assert store(url="").locator().url == "s3://variable/x"
    assert store().locator().url == URL
    assert store().locator("s3://subset/own").url == "s3://subset/own"


@pytest.mark.parametrize(
    ("fields", "says"),
    [
        ({"addressing": "dns"}, "destination: addressing 'dns' is unknown; choose path or virtual"),
        ({"encryption": "aes"}, "destination: encryption 'aes' is unknown; choose AES256 or aws:kms"),
        ({"encryption": "AES256", "kms_key_id": "k"}, "destination: a KMS key is given, but the encryption is not"),
        ({"url": "gs://bucket/x"}, "destination: 'gs://bucket/x' is not supported"),
    ],
)
def test_a_value_that_cannot_be_is_bad_input(fields: dict[str, Any], says: str) -> None:
    with pytest.raises(BadInput, match=says):
        store(**fields).locator()


@pytest.mark.parametrize(("name", "value"), [("ADDRESSING", "dns"), ("ENCRYPTION", "aes")])
def test_so_is_one_of_a_variable(monkeypatch: pytest.MonkeyPatch, name: str, value: str) -> None:
    monkeypatch.setenv(f"CXG_STORE_{name}", value)
    with pytest.raises(BadInput, match=f"destination: {name.lower()} {value!r} is unknown"):
        store().locator()


def test_keys_as_env_vars_arrive_inside_a_run(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LAB_KEY", "AKIALAB")
    monkeypatch.setenv("LAB_SECRET", "secret-of-lab")
    seen: list[S3Settings] = []

    @dg.asset
    def look(store: StoreResource) -> None:
        seen.append(store.locator().s3)

    s3 = S3Resource(aws_access_key_id=dg.EnvVar("LAB_KEY"), aws_secret_access_key=dg.EnvVar("LAB_SECRET"))
    assert dg.materialize([look], resources={"store": store(s3)}).success

    assert seen == [S3Settings(access_key_id="AKIALAB", secret_access_key="secret-of-lab")]
