"""What people are told of a week, and the example that sends it."""

import re
import sys
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import dagster as dg
import pytest

from cxg_assets.automation.conditions import FRESH
from cxg_assets.automation.digest import digest
from cxg_assets.names import CENSUS_RELEASE, census_index_key, dataset_key
from cxg_assets_tests.automation.conftest import Project

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


def test_an_index_has_a_freshness_policy_and_the_release_cannot_have_one(project: Project) -> None:
    graph = project.repository.asset_graph
    assert graph.get(census_index_key("homo_sapiens")).freshness_policy == FRESH
    assert graph.get(CENSUS_RELEASE).freshness_policy is None
