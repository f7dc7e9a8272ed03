"""A place of its own for every command, and one finished ingest that many tests look at.

| fixture | what it is |
| --- | --- |
| `finished` | one `cxg-assets ingest`: its home, what it said, its JSON; nobody changes it |
| `finished_home` | that home as CXG_HOME; a test may change it, afterwards it is as it was |
| `no_ray` | the doctor starts no Ray, and finds that of this machine in order |
"""

import json
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from cxg_assets.cli.doctor import command as doctor
from cxg_assets.cli.doctor.machine import Node
from cxg_assets.ingest.finding import Finding
from cxg_assets_tests.cli.command import Outcome, cxg_assets, move_to

SUBSET = "blood_normal"
CHUNK_SIZE = 300


@dataclass(frozen=True, kw_only=True)
class Finished:
    """A finished ingest of SUBSET."""

    home: Path
    outcome: Outcome
    summary: dict[str, Any]


@pytest.fixture(scope="session")
def finished(tmp_path_factory: pytest.TempPathFactory, census_uri: str, workers: None) -> Finished:
    folder = tmp_path_factory.mktemp("finished")
    with pytest.MonkeyPatch.context() as monkeypatch:
        move_to(folder / "home", census_uri, monkeypatch)
        summary = folder / "summary.json"
        outcome = cxg_assets("ingest", SUBSET, "--chunk-size", str(CHUNK_SIZE), "--json", str(summary))
    assert outcome.exit_code == 0, outcome.stderr
    return Finished(home=folder / "home", outcome=outcome, summary=json.loads(summary.read_text()))


@pytest.fixture
def finished_home(finished: Finished, census_uri: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    # In its own place, as what is on record tells where the files are.
    kept = finished.home.with_name("kept")
    shutil.copytree(finished.home, kept)
    move_to(finished.home, census_uri, monkeypatch)
    yield finished.home
    shutil.rmtree(finished.home)
    kept.rename(finished.home)


@pytest.fixture
def no_ray(monkeypatch: pytest.MonkeyPatch) -> None:
    found = Finding(where="ray", what="in order"), (Node("this machine", 2, 16 * 2**30),)
    monkeypatch.setattr(doctor, "check_ray", lambda: found)
