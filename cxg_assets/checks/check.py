"""One check: its name and description, and what the engine found as its result."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

import dagster as dg

from cxg_assets.ingest.verify.audit import Audit

CHECKED_VERSION = "checked_version"
"""Metadata of every result: data version of what was looked at."""

WRONG = "wrong"
"""Metadata of a result that did not pass: what is wrong, and what to do."""


@dataclass(frozen=True, kw_only=True)
class Check:
    """A check of one asset.

    Attributes:
        name: Its name in the UI.
        description: What it looks at, and how much of it.
        blocking: Nothing is made of what does not pass, and it is not published: an error. Else it is a warning.
    """

    name: str
    description: str
    blocking: bool = True

    def key(self, asset: dg.AssetKey) -> dg.AssetCheckKey:
        """Its key for one asset."""
        return dg.AssetCheckKey(asset, self.name)

    def spec(self, asset: dg.AssetKey) -> dg.AssetCheckSpec:
        """Its definition for one asset."""
        effect = "Severity error: nothing is published until it passes." if self.blocking else "Severity warning."
        return dg.AssetCheckSpec(
            self.name, asset=asset, description=f"{self.description} {effect}", blocking=self.blocking
        )

    def evaluation(self, asset: dg.AssetKey, audit: Audit, version: str) -> dg.AssetCheckEvaluation:
        """What was found of an asset by the step of another one, to be logged there.

        Args:
            asset: The asset.
            audit: What was found.
            version: Data version of what was looked at.
        """
        result = self.result(asset, audit, version)
        return dg.AssetCheckEvaluation(
            asset_key=asset,
            check_name=self.name,
            passed=result.passed,
            severity=result.severity,
            description=result.description,
            metadata=result.metadata,
        )

    def result(self, asset: dg.AssetKey, audit: Audit, version: str) -> dg.AssetCheckResult:
        """What was found of one asset.

        Args:
            asset: The asset.
            audit: What was found.
            version: Data version of what was looked at.
        """
        found = {WRONG: audit.wrong} if audit.wrong else {}
        return dg.AssetCheckResult(
            asset_key=asset,
            check_name=self.name,
            passed=audit.passed,
            severity=dg.AssetCheckSeverity.ERROR if self.blocking else dg.AssetCheckSeverity.WARN,
            description=audit.wrong or None,
            metadata={**found, **audit.facts, CHECKED_VERSION: version},
        )


Found = Sequence[tuple[Check, Audit]]
"""The checks of one asset, and what each has found."""


def results(
    asset: dg.AssetKey, found: Found, version: str, selected: Iterable[dg.AssetCheckKey] | None = None
) -> Iterator[dg.AssetCheckResult]:
    """Yields the result of each check, then ends the step if one that blocks has not passed.

    Args:
        asset: The asset.
        found: What each check has found.
        version: Data version of what was looked at.
        selected: The checks that this run is to do; None is all.

    Raises:
        Failure: One that blocks has not passed; the message names it and says what to do.
    """
    wanted = None if selected is None else set(selected)
    done = [(check, audit) for check, audit in found if wanted is None or check.key(asset) in wanted]
    for check, audit in done:
        yield check.result(asset, audit, version)
    blocked = [f"check {check.name} failed: {audit.wrong}" for check, audit in done if check.blocking and audit.wrong]
    if blocked:
        raise dg.Failure(f"{asset.to_user_string()}: {'; '.join(blocked)}", allow_retries=False)
