"""One click a subset, with the daemon: two subsets at once, and a pool that lets one run at a time read the Census."""

import itertools
import json
from typing import Any

import pytest

from cxg_assets.automation.ingest_chain import INGEST_TAG
from cxg_assets_tests.servers.webserver import Ui, wait_until

SUBSETS = ("blood_normal", "immune_markers")
SECONDS = 600

RUNS = """
query ($key: String!, $first: String!) {
  runsOrError(filter: {tags: [{key: $key, value: $first}]}) { ... on Runs { results {
    runId jobName status startTime endTime } } } }"""

AUTOMATION = """
{ repositoriesOrError { ... on RepositoryConnection { nodes {
  sensors { name sensorState { status } } schedules { name } } } } }"""


@pytest.fixture(scope="module")
def chains(narrow_ui: Ui) -> dict[str, list[dict[str, Any]]]:
    """The runs of each subset's chain, in their order, after one click for both at once."""
    first = {subset: narrow_ui.server.launch_job(f"{subset}_ingest") for subset in SUBSETS}

    def runs_of(subset: str) -> list[dict[str, Any]]:
        found = narrow_ui.server.query(RUNS, key=INGEST_TAG, first=first[subset])["runsOrError"]["results"]
        return sorted(found, key=lambda run: run["startTime"] or float("inf"))

    def published() -> bool:
        ended = [run for subset in SUBSETS for run in runs_of(subset) if run["jobName"].endswith("_publish")]
        assert all(run["status"] not in ("FAILURE", "CANCELED") for subset in SUBSETS for run in runs_of(subset))
        return [run["status"] for run in ended] == ["SUCCESS"] * len(SUBSETS)

    wait_until("both subsets are published", published, SECONDS)
    return {subset: runs_of(subset) for subset in SUBSETS}


def test_one_click_makes_a_published_dataset_with_one_run_over_the_chunks(
    narrow_ui: Ui, chains: dict[str, list[dict[str, Any]]]
) -> None:
    for subset, runs in chains.items():
        assert [run["jobName"] for run in runs] == [
            f"{subset}_ingest",
            f"{subset}_missing_chunks",
            f"{subset}_publish",
        ]
        pointer = json.loads((narrow_ui.home / "store" / subset / "dataset.json").read_text())
        assert pointer["header"]["subset"]["n_obs"] > 0


def test_a_pool_of_one_lets_no_two_runs_read_the_census_at_once(chains: dict[str, list[dict[str, Any]]]) -> None:
    reading = [run for runs in chains.values() for run in runs if not run["jobName"].endswith("_publish")]
    in_order = sorted(reading, key=lambda run: run["startTime"])
    assert len(in_order) == 4
    for run, following in itertools.pairwise(in_order):
        assert run["endTime"] <= following["startTime"]


def test_what_runs_need_is_on_and_what_starts_runs_by_itself_is_off(narrow_ui: Ui) -> None:
    [node] = narrow_ui.server.query(AUTOMATION)["repositoriesOrError"]["nodes"]
    sensors = {sensor["name"]: sensor["sensorState"]["status"] for sensor in node["sensors"]}
    assert sensors == {
        "ingest_chain": "RUNNING",
        "killed_runs": "RUNNING",
        "keep_up_to_date": "STOPPED",
        "new_census_release": "STOPPED",
    }
    assert node["schedules"] == []
