"""What a person sees of a whole ingest: no noise of libraries, units, plurals, and one throughput everywhere."""

import json
import os
import re
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from dagster import DagsterInstance

from cxg_assets.names import h5ad_chunks_key
from cxg_assets_tests.cli.command import SETTINGS, cxg_assets, move_to
from cxg_assets_tests.cli.conftest import SUBSET
from cxg_assets_tests.cli.test_script import SCRIPT

pytestmark = pytest.mark.stack  # as users start it: with a Ray

ONE_OF_SEVERAL = re.compile(r"(?<![\d.,])1 [a-z]+s\b")
"""`1 files`, `1 problems`."""


@dataclass(frozen=True, kw_only=True)
class Told:
    """What an ingest of one chunk in a process of its own has said.

    Attributes:
        home: Its CXG_HOME.
        stdout: As captured, without a terminal.
        stderr: The same.
        summary: Its JSON.
    """

    home: Path
    stdout: str
    stderr: str
    summary: dict[str, Any]


@pytest.fixture(scope="module")
def told(tmp_path_factory: pytest.TempPathFactory, census_uri: str) -> Told:
    folder = tmp_path_factory.mktemp("told")
    # Too long for Ray's sockets.
    temporary = folder / ("of_a_user_or_a_job_" * 5)
    temporary.mkdir()
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("RAY_", "CXG_"))}
    environment = {name: value for name, value in environment.items() if name not in (*SETTINGS, "PYTHONWARNINGS")}
    environment |= {"CXG_HOME": str(folder / "home"), "CXG_CENSUS_URI": census_uri, "TMPDIR": str(temporary)}
    arguments = ["ingest", SUBSET, "-n", "60", "-c", "60", "--json", str(folder / "summary.json")]
    done = subprocess.run([SCRIPT, *arguments], env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert list(temporary.iterdir()) == []
    return Told(
        home=folder / "home",
        stdout=done.stdout,
        stderr=done.stderr,
        summary=json.loads((folder / "summary.json").read_text()),
    )


def test_only_the_command_speaks(told: Told) -> None:
    assert [line for line in re.split(r"[\r\n]+", told.stderr) if line and not line.startswith(f"{SUBSET}: ")] == []
    assert "\x1b" not in told.stdout + told.stderr
    first, second, third = told.stdout.splitlines()
    assert re.fullmatch(r"1 file, 60 observations in [\d.]+ s \(0 files already stored, 0 failed\)", first)
    assert second.endswith(f"B a file on average, {told.summary['workers']} worker, 0 retries")
    assert third.startswith("published: ")


def test_one_thing_is_never_told_in_the_plural(told: Told) -> None:
    assert ONE_OF_SEVERAL.findall(told.stdout + told.stderr) == []


def test_one_throughput_is_told_everywhere(told: Told, census_uri: str, monkeypatch: pytest.MonkeyPatch) -> None:
    speed = told.summary["cells_per_second"]
    with DagsterInstance.from_config(str(told.home / "dagster")) as instance:
        [record] = instance.fetch_observations(h5ad_chunks_key(SUBSET), limit=1).records
        log = [entry.user_message for entry in instance.all_logs(record.run_id)]
    assert record.asset_observation is not None
    assert record.asset_observation.metadata["cells_per_second"].value == speed
    move_to(told.home, census_uri, monkeypatch)
    status = cxg_assets("status", SUBSET).stdout
    assert ONE_OF_SEVERAL.findall(status) == []

    shown = [text for text in (told.stdout, told.stderr, status, *log) if " cells/s" in text]
    assert len(shown) == 3  # the closing lines, status, and the log's closing line
    assert {re.findall(r"([\d,]+) cells/s", text)[0] for text in shown} == {f"{speed:,.0f}"}
