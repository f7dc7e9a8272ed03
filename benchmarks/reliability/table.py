"""The table, as Markdown."""

from collections.abc import Mapping, Sequence
from typing import Any

from benchmarks.reliability.run import Outcome
from benchmarks.reliability.scenarios import Scenario

_HEADER = (
    "| fault | requests: source, destination | faults injected | read_retries | upload_retries "
    "| chunks retried by the pool | seconds (lost) | chunks equal | left over |\n"
    "| --- | ---: | --- | ---: | ---: | ---: | ---: | ---: | ---: |"
)

_OF_A_RUN = (".json", "/README.md", "/manifest.parquet", "/plan.parquet", "/citations.csv", "/measured.parquet")
"""Objects that are named the same in each run but tell of its times."""


def problems(scenario: Scenario, outcome: Outcome, undisturbed: Outcome) -> list[str]:
    """What is not as it must be."""
    found: list[str] = []
    changed = [key for key, digest in outcome.chunks.items() if undisturbed.chunks.get(key) != digest]
    if changed:
        found.append(f"{len(changed)} chunks are others than without faults")
    strays = set(outcome.digests) - set(undisturbed.digests)
    if strays or outcome.n_unfinished:
        found.append(f"left in the bucket: {sorted(strays)}, {outcome.n_unfinished} unfinished uploads")
    if scenario.must_fail:
        if outcome.exit_code != 1 or "the S3 server cannot be reached" not in outcome.said:
            found.append(f"it must fail and name the cause; exit code {outcome.exit_code}: {outcome.said[-500:]}")
        return found
    if outcome.exit_code:
        found.append(f"exit code {outcome.exit_code}: {outcome.said[-500:]}")
    if set(outcome.digests) != set(undisturbed.digests):
        found.append(f"missing: {sorted(set(undisturbed.digests) - set(outcome.digests))}")
    others = [
        key
        for key in set(outcome.digests) & set(undisturbed.digests)
        if outcome.digests[key] != undisturbed.digests[key] and not key.endswith(_OF_A_RUN)
    ]
    if others:
        found.append(f"not the same bytes: {sorted(others)}")
    return found


def to_markdown(outcomes: Sequence[tuple[Scenario, Outcome]], machine: Mapping[str, Any]) -> str:
    """The whole page.

    Args:
        outcomes: In order; the first is the one without faults.
        machine: What `machine.describe_machine` says.
    """
    undisturbed = outcomes[0][1]
    about = "; ".join(f"{name}: {value}" for name, value in machine.items())
    lines = [_line(scenario, outcome, undisturbed) for scenario, outcome in outcomes]
    said = [
        f"- {scenario.name}: {outcome.said.splitlines()[-1]}" for scenario, outcome in outcomes if outcome.exit_code
    ]
    return "\n".join([f"Measured by `python -m benchmarks.reliability`. {about}.\n", _HEADER, *lines, "", *said, ""])


def _line(scenario: Scenario, outcome: Outcome, undisturbed: Outcome) -> str:
    injected = ", ".join(f"{n} {name}" for name, n in outcome.injected.items())
    if scenario.away is not None:
        seconds = scenario.away_seconds
        injected = "away for good" if seconds is None else f"away for {seconds:.0f} s"
    equal = sum(undisturbed.chunks.get(key) == digest for key, digest in outcome.chunks.items())
    left_over = len(set(outcome.digests) - set(undisturbed.digests)) + outcome.n_unfinished
    cells = [
        scenario.name,
        f"{outcome.n_requests['source']:,}, {outcome.n_requests['destination']:,}",
        injected,
        f"{outcome.read_retries}",
        f"{outcome.upload_retries}",
        f"{outcome.summary.get('retries', '')}",
        f"{outcome.seconds:.0f} ({outcome.seconds - undisturbed.seconds:+.0f})",
        f"{equal} of {len(undisturbed.chunks)}" + (", the command failed" if outcome.exit_code else ""),
        f"{left_over}",
    ]
    return f"| {' | '.join(cells)} |"
