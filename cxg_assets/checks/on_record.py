"""What checks have found before, of exactly the data that something is made from now."""

from collections.abc import Mapping

import dagster as dg
from dagster import DagsterInstance
from dagster._core.storage.asset_check_execution_record import AssetCheckExecutionRecordStatus

from cxg_assets.checks.check import CHECKED_VERSION, WRONG

_EVALUATED = {AssetCheckExecutionRecordStatus.SUCCEEDED, AssetCheckExecutionRecordStatus.FAILED}

N_EVALUATIONS = 1_000
"""How many evaluations of a check are looked through, newest first."""


def require_passed(
    instance: DagsterInstance, wanted: Mapping[dg.AssetCheckKey, str], advice: str, *, evaluated: bool = True
) -> None:
    """Makes sure that checks have passed.

    Args:
        instance: Where their evaluations are.
        wanted: For each check the data version that it must have looked at.
        advice: What evaluates them, for the message.
        evaluated: Whether one that never looked at that data is as bad as one that failed.

    Raises:
        Failure: One has failed, or has not looked at that data; the message names it.
    """
    for key, version in wanted.items():
        found = _evaluation(instance, key, version)
        name = f"check {key.name} of {key.asset_key.to_user_string()}"
        if found is None and evaluated:
            raise dg.Failure(f"{name} has not looked at {version} yet; {advice}", allow_retries=False)
        if found is not None and not found.passed and found.severity is dg.AssetCheckSeverity.ERROR:
            wrong = found.metadata.get(WRONG)
            reason = "it failed" if wrong is None else wrong.value
            raise dg.Failure(f"{name} failed: {reason}. When that is done, {advice}", allow_retries=False)


def _evaluation(instance: DagsterInstance, key: dg.AssetCheckKey, version: str) -> dg.AssetCheckEvaluation | None:
    """The latest evaluation of a check that looked at one version of its asset."""
    history = instance.event_log_storage.get_asset_check_execution_history(key, limit=N_EVALUATIONS, status=_EVALUATED)
    for record in history:
        evaluation = record.evaluation
        checked = None if evaluation is None else evaluation.metadata.get(CHECKED_VERSION)
        if checked is not None and checked.value == version:
            return evaluation
    return None
