"""What people are told of a week, and the example that sends it."""

import re
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import dagster as dg
import pytest

from cxg_assets.automation.conditions import FRESH
from cxg_assets.automation.digest import digest
from cxg_assets.names import CENSUS_RELEASE, census_index_key, dataset_key
from cxg_assets_tests.automation.conftest import Project
from cxg_assets_tests.servers.mail import MailServer, serve_mail

PAGE = (Path(__file__).parents[2] / "docs" / "how-to" / "automate.md").read_text()
EXAMPLES = re.findall(r"```python\n(.*?)```", PAGE, flags=re.DOTALL)


def published(instance: dg.DagsterInstance, subset: str, changes: str) -> None:
    metadata = {"n_obs": 1_200, "n_bytes": 4_700_000, "changes": dg.MetadataValue.md(changes)}
    instance.report_runless_asset_event(dg.AssetMaterialization(dataset_key(subset), metadata=metadata))


def observed(instance: dg.DagsterInstance, build: str) -> None:
    instance.report_runless_asset_event(dg.AssetObservation(CENSUS_RELEASE, metadata={"census_build": build}))


@pytest.fixture
def instance(tmp_path: Path) -> Any:
    with dg.DagsterInstance.local_temp(str(tmp_path)) as opened:
        yield opened


def failing() -> dg.JobDefinition:
    @dg.op
    def fails() -> None:
        raise ValueError("on purpose")

    @dg.job
    def blood_missing_chunks() -> None:
        fails()

    return blood_missing_chunks


def test_a_quiet_week_is_said_to_be_one(instance: dg.DagsterInstance) -> None:
    assert digest(instance) == "Nothing was published, no other release was seen, and no run failed."


def test_a_week_is_what_was_published_another_release_and_what_failed(instance: dg.DagsterInstance) -> None:
    published(instance, "t_cells", "The first dataset")
    published(instance, "blood", "- since 2026-01-01, plan ab\n- cells: 1,000 → 1,200 (+200)")
    observed(instance, "2025-11-08")
    failed = failing().execute_in_process(instance=instance, raise_on_error=False)

    assert digest(instance).splitlines() == [
        "blood was published: 1,200 cells, 4.7 MB",
        "  - since 2026-01-01, plan ab",
        "  - cells: 1,000 → 1,200 (+200)",
        "t_cells was published: 1,200 cells, 4.7 MB",
        "The Census is of build 2025-11-08",
        f"Failed: blood_missing_chunks, run {failed.run_id}",
    ]
    assert digest(instance, seconds=0).startswith("Nothing was published")


def test_the_example_posts_it(instance: dg.DagsterInstance, monkeypatch: pytest.MonkeyPatch) -> None:
    posted: list[dict[str, str]] = []

    class SlackResource(dg.ConfigurableResource):
        token: str

        def get_client(self) -> Any:
            return SimpleNamespace(chat_postMessage=lambda **message: posted.append(message))

    slack = ModuleType("dagster_slack")
    vars(slack)["SlackResource"] = SlackResource
    monkeypatch.setitem(sys.modules, "dagster_slack", slack)
    monkeypatch.setenv("SLACK_TOKEN", "none")
    published(instance, "blood", "")
    [example] = [text for text in EXAMPLES if "post_digest" in text]
    names: dict[str, Any] = {"__name__": "weekly_digest"}
    exec(example, names)

    assert names["defs"].resolve_job_def("weekly_digest").execute_in_process(instance=instance).success
    assert posted == [{"channel": "#datasets", "text": "blood was published: 1,200 cells, 4.7 MB"}]


@pytest.fixture
def mail(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[MailServer]:
    with serve_mail(tmp_path) as server:
        monkeypatch.setenv("SSL_CERT_FILE", str(server.certificate))
        monkeypatch.setenv("SMTP_PASSWORD", "none")
        yield server


def names_of(part: str, mail: MailServer) -> dict[str, Any]:
    """What an example of the page defines, with a mail server of this machine."""
    [example] = [text for text in EXAMPLES if part in text]
    names: dict[str, Any] = {"__name__": "example"}
    exec(example.replace("smtp.example.org", "localhost").replace("465", str(mail.port)), names)
    return names


def test_the_example_mails_it(instance: dg.DagsterInstance, mail: MailServer) -> None:
    published(instance, "blood", "- cells: 1,000 → 1,200 (+200)")
    job = names_of("mail_digest", mail)["weekly_mail"]

    assert job.execute_in_process(instance=instance).success

    [letter] = mail.letters
    assert (letter["To"], letter["Subject"]) == ("lab@example.org", "Our datasets this week")
    assert letter.get_content().splitlines() == digest(instance).splitlines()[:2]
    assert "1,000 → 1,200" in letter.get_content()


def test_the_example_mails_a_run_that_failed(instance: dg.DagsterInstance, mail: MailServer) -> None:
    sensor = names_of("make_email_on_run_failure_sensor", mail)["mail_failures"]
    failed = failing().execute_in_process(instance=instance, raise_on_error=False)
    [event] = [event for event in failed.all_events if event.event_type is dg.DagsterEventType.RUN_FAILURE]
    context = dg.build_run_status_sensor_context("mail_failures", event, instance, failed.dagster_run)

    sensor(context.for_run_failure())

    [letter] = mail.letters
    assert (letter["To"], letter["Subject"]) == ("me@example.org", "Dagster Run Failed: blood_missing_chunks")
    assert f"Run ID: {failed.run_id}" in letter.get_content()


def test_an_index_has_a_freshness_policy_and_the_release_cannot_have_one(project: Project) -> None:
    graph = project.repository.asset_graph
    assert graph.get(census_index_key("homo_sapiens")).freshness_policy == FRESH
    assert graph.get(CENSUS_RELEASE).freshness_policy is None
