"""What the tests of checks execute, look up and damage; a test that damages something mends it again."""

import contextlib
import json
from collections.abc import Iterator
from pathlib import Path

import dagster as dg

from cxg_assets.names import dataset_key
from cxg_assets.ui.checks import GATE
from cxg_assets_tests.platforms import Platform

NAME = "blood_normal"


def execute(platform: Platform, *checks: dg.AssetCheckKey) -> dict[str, bool]:
    """Executes checks as the UI does, and returns which have passed, by name."""
    job = dg.define_asset_job("only_checks", dg.AssetSelection.checks(*checks))
    definitions = dg.Definitions.merge(platform.definitions, dg.Definitions(jobs=[job]))
    result = definitions.resolve_job_def("only_checks").execute_in_process(
        instance=platform.instance, raise_on_error=False
    )
    return {check.check_name: check.passed for check in result.get_asset_check_evaluations()}


def latest(platform: Platform, key: dg.AssetCheckKey) -> dg.AssetCheckEvaluation:
    """The latest evaluation of a check on record."""
    record = platform.instance.get_latest_asset_check_evaluation_record(key)
    assert record is not None
    assert record.evaluation is not None
    return record.evaluation


def gate(platform: Platform) -> dict[str, bool]:
    """What the checks inside the step that publishes have found last, by name."""
    return {check.name: latest(platform, check.key(dataset_key(NAME))).passed for check in GATE}


def only(name: str) -> dict[str, bool]:
    """The verdicts of the gate when one check alone has failed."""
    return {check.name: check.name != name for check in GATE}


def local(platform: Platform, path: str) -> Path:
    """A file of the store, which is a folder."""
    return Path(platform.store_url.removeprefix("file://")) / path


def pointer(platform: Platform) -> dict[str, object]:
    """What dataset.json says."""
    return json.loads(platform.store.get(f"{NAME}/dataset.json"))


@contextlib.contextmanager
def damaged(file: Path) -> Iterator[Path]:
    """Lets a test change or remove a file, and puts it back."""
    before = file.read_bytes()
    try:
        yield file
    finally:
        file.unlink(missing_ok=True)
        file.write_bytes(before)
