"""Two machines at one destination: what one is writing, the other never removes, whatever it is asked for."""

from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from cxg_assets.assets import dataset
from cxg_assets.assets.recording import ChunkRecorder
from cxg_assets.ingest.chunks.report import ChunkReport
from cxg_assets.ingest.dataset.inventory import take_inventory
from cxg_assets.ingest.dataset.prune import prune
from cxg_assets.ingest.layout import is_mark, plan_folder
from cxg_assets.ingest.plan import plan_mark
from cxg_assets.ingest.verify.chunks import ChunkFindings
from cxg_assets_tests.cli.command import Outcome, cxg_assets, files_below, move_to
from cxg_assets_tests.platforms import Platform, failure_text
from cxg_assets_tests.servers.strict_s3 import BUCKET, Rules, StrictS3

NAME = "blood_normal"
EVERYTHING = ("--keep", "0", "--older-than", "0", "--unreferenced", "--yes")


@pytest.fixture
def other_machine(tmp_path: Path, census_uri: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The command works in a home of its own; the platform is opened already."""
    move_to(tmp_path / "elsewhere", census_uri, monkeypatch)


def prune_elsewhere(platform: Platform, *options: str) -> Outcome:
    """Prunes the platform's destination through another Dagster instance."""
    return cxg_assets("prune", NAME, *options, "--destination", platform.store_url)


@pytest.fixture
def after_chunk(monkeypatch: pytest.MonkeyPatch) -> Callable[[int, Callable[[], object]], None]:
    """A function: lets something happen while a run goes on, right after its n-th chunk was recorded."""

    def set_hook(number: int, hook: Callable[[], object]) -> None:
        record, n_recorded = ChunkRecorder.record, 0

        def record_and_call(self: ChunkRecorder, report: ChunkReport) -> None:
            nonlocal n_recorded
            record(self, report)
            n_recorded += 1
            if n_recorded == number:
                hook()

        monkeypatch.setattr(ChunkRecorder, "record", record_and_call)

    return set_hook


def folder(platform: Platform) -> Path:
    return platform.file(platform.plan.chunks[0]).parent


@pytest.mark.parametrize("way", ["missing", "range"])
def test_a_run_that_is_writing_loses_nothing_and_publishes(
    prepared: Platform, other_machine: None, after_chunk: Callable[[int, Callable[[], object]], None], way: str
) -> None:
    outcomes: list[Outcome] = []
    after_chunk(2, lambda: outcomes.append(prune_elsewhere(prepared, *EVERYTHING)))

    result = prepared.make_missing() if way == "missing" else prepared.make_range("00000", "00005")

    assert result.success
    [outcome] = outcomes
    assert outcome.exit_code == 0, outcome.stderr
    [line] = [line for line in outcome.stdout.splitlines() if line.startswith("stays  plan  ")]
    assert f": run {result.run_id} on " in line
    assert " writes chunks since 20" in line
    assert not [line for line in outcome.stdout.splitlines() if line.startswith("goes")]
    assert prepared.publish().success
    assert len(list(folder(prepared).glob("*.h5ad"))) == 6
    assert not [path for path in prepared.store.sizes("") if is_mark(path)]


def test_a_run_that_publishes_keeps_its_plan(
    stored: Platform, other_machine: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    outcomes: list[Outcome] = []

    def verify_after_prune(*arguments: Any) -> ChunkFindings:
        outcomes.append(prune_elsewhere(stored, *EVERYTHING))
        return verify(*arguments)

    verify = dataset.verify_chunks
    monkeypatch.setattr(dataset, "verify_chunks", verify_after_prune)

    assert stored.publish().success
    assert " publishes since 20" in outcomes[0].stdout
    assert len(list(folder(stored).glob("*.h5ad"))) == 6


def test_what_was_just_planned_stays_by_default_and_goes_only_when_the_risk_is_taken(
    prepared: Platform, other_machine: None
) -> None:
    before = files_below(folder(prepared))

    default = prune_elsewhere(prepared, "--keep", "0", "--yes")
    assert files_below(folder(prepared)) == before
    assert default.stdout.count("younger than 7 days") == 1
    assert default.stderr == ""

    listed = prune_elsewhere(prepared, "--keep", "0", "--older-than", "0h")
    assert files_below(folder(prepared)) == before
    warning = "cxg-assets: warning: --older-than 0 minutes is less than 7 days: a plan that another machine"
    assert listed.stderr.startswith(warning)
    assert listed.stdout.endswith(
        f"cxg-assets prune {NAME} --keep 0 --older-than 0m --yes --destination {prepared.store_url} removes them\n"
    )

    assert prune_elsewhere(prepared, *EVERYTHING).exit_code == 0
    assert prepared.store.sizes(NAME) == {}


@pytest.mark.parametrize("step", ["make_missing", "publish"])
def test_a_run_whose_plan_was_removed_before_it_says_so_and_what_to_do(
    stored: Platform, other_machine: None, step: str
) -> None:
    assert prune_elsewhere(stored, *EVERYTHING).exit_code == 0

    result = getattr(stored, step)()

    assert not result.success
    said = failure_text(result)
    assert "was removed after it was made, by cxg-assets prune or by hand" in said
    assert said.endswith(f"cxg-assets ingest {NAME} plans again and writes the missing chunks")
    assert stored.store.sizes(NAME) == {}


def test_a_run_of_which_the_mark_was_lost_says_at_its_end_what_happened(
    prepared: Platform, after_chunk: Callable[[int, Callable[[], object]], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    # As of a machine that slept for longer than a mark counts, in the middle of its run.
    monkeypatch.setattr(plan_mark, "COUNTS_FOR", timedelta(0))

    def remove() -> None:
        prune(prepared.store, take_inventory(prepared.store, NAME, 0, older_than=timedelta(0)))

    after_chunk(6, remove)
    plan_id = prepared.plan.header.plan_id

    result = prepared.make_missing()

    assert not result.success
    assert f"plan {plan_id} of {NAME} was removed after it was made, by cxg-assets prune" in failure_text(result)


@pytest.fixture
def in_s3(prepared: Platform, server: StrictS3, monkeypatch: pytest.MonkeyPatch) -> Platform:
    """A platform whose subset and plan are in a bucket."""
    server.use(monkeypatch, "cells")
    there = Platform(prepared.instance, prepared.spec, prepared.census_uri, f"s3://{BUCKET}/cells")
    for path in prepared.store.sizes(""):
        there.store.put(path, prepared.store.get(path))
    server.obey(Rules())
    return there


def test_in_s3_a_run_that_is_writing_loses_nothing_and_the_mark_costs_two_requests(
    in_s3: Platform, server: StrictS3, after_chunk: Callable[[int, Callable[[], object]], None]
) -> None:
    outcomes: list[Outcome] = []
    after_chunk(3, lambda: outcomes.append(prune_elsewhere(in_s3, *EVERYTHING)))

    assert in_s3.make_missing().success
    writes = [asked for asked in server.requests() if asked.method in ("PUT", "DELETE")]

    assert " writes chunks since 20" in outcomes[0].stdout
    marks = [asked.method for asked in writes if "/writing-" in asked.path]
    assert marks == ["PUT", "DELETE"]
    chunks = [asked.method for asked in writes if asked.path.endswith(".h5ad")]
    assert chunks == ["PUT"] * 6
    sizes = in_s3.store.sizes(plan_folder(NAME, in_s3.plan.header.plan_id))
    assert len(sizes) == 7
    assert in_s3.publish().success
