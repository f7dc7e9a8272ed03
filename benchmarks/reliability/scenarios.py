"""What goes wrong in a run: one kind of fault on one side, many on both, or a side that is away."""

from dataclasses import dataclass
from typing import Literal

from cxg_assets_tests.servers.faults import ANSWER_BODY_FAULTS, FAULTS, REQUEST_BODY_FAULTS, Faults

RATE = 0.1
"""Share of the requests that are hurt."""

STALL_SECONDS = 5.0

OUTAGE_SECONDS = 20.0

Side = Literal["source", "destination"]


@dataclass(frozen=True, kw_only=True)
class Scenario:
    """One line of the table.

    Attributes:
        name: For the table and the command line.
        source: What is done to requests for the Census.
        destination: What is done to requests of the destination.
        away: The side that goes away when the first chunks are being stored.
        away_seconds: For how long; None is for good, and then the command must fail.
    """

    name: str
    source: Faults
    destination: Faults
    away: Side | None = None
    away_seconds: float | None = None

    @property
    def must_fail(self) -> bool:
        """Whether no chunk can be made after a while."""
        return self.away is not None and self.away_seconds is None


def scenarios(seed: int) -> dict[str, Scenario]:
    """All of them by name; the first is the one without faults."""
    none = Faults()
    found = [Scenario(name="undisturbed", source=none, destination=none)]
    # The Census is only read.
    for fault in (name for name in FAULTS if name not in REQUEST_BODY_FAULTS):
        faults = Faults(rates={fault: RATE}, seed=seed, stall_seconds=STALL_SECONDS)
        found.append(Scenario(name=f"source-{fault}", source=faults, destination=none))
    for fault in FAULTS:
        faults = Faults(rates={fault: RATE}, seed=seed, stall_seconds=STALL_SECONDS)
        found.append(Scenario(name=f"destination-{fault}", source=none, destination=faults))
    read = [name for name in FAULTS if name not in (*REQUEST_BODY_FAULTS, "stall")]
    written = [name for name in FAULTS if name not in (*ANSWER_BODY_FAULTS, "stall")]
    both = (Faults(rates=dict.fromkeys(names, RATE / len(names)), seed=seed) for names in (read, written))
    found.append(Scenario(name="both-many", source=next(both), destination=next(both)))
    for side in ("source", "destination"):
        found.append(
            Scenario(name=f"{side}-away", source=none, destination=none, away=side, away_seconds=OUTAGE_SECONDS)
        )
    for side in ("source", "destination"):
        found.append(Scenario(name=f"{side}-dead", source=none, destination=none, away=side))
    return {scenario.name: scenario for scenario in found}
