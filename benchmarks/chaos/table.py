"""The table of the rounds, as Markdown: a line for each fault."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from cxg_assets_tests.servers.chaos.checks import Outcome

_HEADER = (
    "| fault | rounds | right | runs of chunks | workers lost | chunks tried again | chunks stored "
    "| of them twice | found stored, not written again | seconds lost |\n"
    "| --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: |"
)


@dataclass(frozen=True, kw_only=True)
class Round:
    """One try-out: what it came to, or what was wrong."""

    fault: str
    seconds: float
    outcome: Outcome | None = None
    wrong: str = ""


def to_markdown(rounds: Sequence[Round], undisturbed_seconds: float, about: Mapping[str, Any]) -> str:
    """The whole page.

    Args:
        rounds: In the order in which they were run.
        undisturbed_seconds: Of the command without a fault.
        about: What `machine.describe_machine` says, and the options.
    """
    said = "; ".join(f"{name}: {value}" for name, value in about.items())
    lines = [_line(name, rounds, undisturbed_seconds) for name in dict.fromkeys(done.fault for done in rounds)]
    wrong = [f"- round {number}, {done.fault}: {done.wrong}" for number, done in enumerate(rounds, 1) if done.wrong]
    first = f"Measured by `python -m benchmarks.chaos`. {said}. Undisturbed: {undisturbed_seconds:.0f} s.\n"
    return "\n".join([first, _HEADER, *lines, "", *wrong, ""])


def _line(fault: str, rounds: Sequence[Round], undisturbed_seconds: float) -> str:
    mine = [done for done in rounds if done.fault == fault]
    outcomes = [done.outcome for done in mine if done.outcome is not None]
    cells = [
        fault,
        f"{len(mine)}",
        f"{len(outcomes)}",
        _all(outcome.n_runs for outcome in outcomes),
        _all(outcome.workers_lost for outcome in outcomes),
        _all(outcome.retries for outcome in outcomes),
        _all(outcome.n_stored for outcome in outcomes),
        "0" if outcomes else "",  # `check` lets no other round pass
        _all(outcome.n_found for outcome in outcomes),
        ", ".join(f"{done.seconds - undisturbed_seconds:.0f}" for done in mine),
    ]
    return f"| {' | '.join(cells)} |"


def _all(values: Any) -> str:
    return ", ".join(f"{value}" for value in values)
