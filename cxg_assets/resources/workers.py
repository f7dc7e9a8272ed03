"""What a pool asks of whatever runs its worker processes, and what these tell it."""

from dataclasses import dataclass
from typing import Protocol

from cxg_assets.ingest.chunks.report import Result
from cxg_assets.ingest.errors import CxgError
from cxg_assets.ingest.plan.spans import Span


class LaunchError(CxgError):
    """A pool could not be started, or has died with what it was making; another launch may go better."""


def first_line(error: Exception) -> str:
    """The first line of an error's text, or its class where it has none: Ray's errors go on for pages."""
    return str(error).strip().partition("\n")[0] or type(error).__name__


@dataclass(eq=False, kw_only=True)
class PoolWorker:
    """A worker process, as its pool knows it.

    Attributes:
        is_open: It has opened the Census, or has failed to: then its first span tells why.
        n_spans: Spans that it has.
        heard: When it was last heard of, or was given work after it had none (`time.monotonic`).
    """

    is_open: bool = False
    n_spans: int = 0
    heard: float = 0.0


@dataclass(frozen=True)
class Opened:
    """A worker can be given work."""

    worker: PoolWorker


@dataclass(frozen=True)
class Told:
    """One chunk of a span is stored or has failed."""

    ticket: int
    result: Result


@dataclass(frozen=True)
class SpanEnded:
    """A worker has told all of a span, or (`error`) has left the rest of it."""

    ticket: int
    error: Exception | None = None


@dataclass(frozen=True)
class Died:
    """A worker's process is gone."""

    worker: PoolWorker
    error: Exception


Event = Opened | Told | SpanEnded | Died


class Workers(Protocol):
    """Starts worker processes, gives them spans and hears what they tell: on a Ray, or on this machine.

    Attributes:
        advice: Where to look when workers die one after the other.
        no_place: Why there is no worker after minutes.
    """

    advice: str
    no_place: str

    def start(self) -> PoolWorker:
        """Starts a worker and lets it open the Census; waits for neither.

        Raises:
            LaunchError: None can be started any more.
        """
        ...

    def give(self, worker: PoolWorker, ticket: int, span: Span) -> None:
        """Gives a worker a span; what it tells of it carries the ticket."""
        ...

    def wait(self, seconds: float) -> list[Event]:
        """What workers have to tell; waits for the first of it, at most so long.

        Raises:
            LaunchError: Nobody can tell anything any more.
        """
        ...

    def end(self, worker: PoolWorker) -> None:
        """Ends a worker's process, if there is one still. What it was making is lost, and nothing more is heard."""
        ...
