"""Which faults `faulty_proxy` injects, and a client that starts it and tells it so.

The client speaks with the proxy over the proxy's stdin and stdout, a line of JSON each way: a fault is set when the
call returns, and a proxy whose client died ends too.
"""

import json
import subprocess
import sys
import threading
from collections import Counter
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

FAULTS = ("slow_down", "reset", "reset_request", "truncate", "stall", "lost_answer", "corrupt")

REFUSALS = ("denied",)
"""Answers that no repetition changes."""

REQUEST_BODY_FAULTS = ("reset_request", "corrupt")
"""They happen to a PUT that has a body."""

ANSWER_BODY_FAULTS = ("truncate",)
"""They happen to a GET or POST, whose answer has a body."""


@dataclass(frozen=True, kw_only=True)
class Faults:
    """What is done to requests; at most one fault to each.

    Attributes:
        rates: Probability of each fault for a request that it can happen to. `slow_down`: 503 SlowDown, the server
            sees nothing. `reset`: half of the answer, then RST. `reset_request`: RST after half of a PUT's body, the
            server sees nothing. `truncate`: half of a body, then FIN. `stall`: half of the answer, a pause, the rest.
            `lost_answer`: the server has done it, the connection is closed without an answer. `corrupt`: one byte of
            a PUT's body is another. `denied`: 403 AccessDenied, the server sees nothing.
        seed: Of the random numbers; with requests one after the other, the same requests are hurt every time.
        limit: Faults in all; None is as many as come.
        methods: Only these are hurt; all if empty.
        path: Only requests with this in their target (path and query) are hurt.
        stall_seconds: Length of the pause.
    """

    rates: Mapping[str, float] = field(default_factory=dict)
    seed: int = 0
    limit: int | None = None
    methods: tuple[str, ...] = ()
    path: str = ""
    stall_seconds: float = 5.0

    def __post_init__(self) -> None:
        known = (*FAULTS, *REFUSALS)
        if set(self.rates) - set(known) or sum(self.rates.values()) > 1:
            raise ValueError(f"faults are {', '.join(known)}, with rates of at most 1 together; not {self.rates}")


@dataclass(frozen=True)
class Exchange:
    """One request that the proxy got.

    Attributes:
        seconds: When its head was read, since the proxy began to count.
        method: GET, PUT, ….
        target: Path and query.
        fault: What was done to it, or "".
    """

    seconds: float
    method: str
    target: str
    fault: str


class FaultyProxy:
    """A proxy in a process of its own, without faults at first. Close it, or use it as a context manager.

    Attributes:
        port: Where it listens on 127.0.0.1.
    """

    def __init__(self, upstream_port: int) -> None:
        """Starts the proxy.

        Args:
            upstream_port: Port of the server behind it, on 127.0.0.1.
        """
        self._process = subprocess.Popen(
            [sys.executable, "-m", "cxg_assets_tests.servers.faulty_proxy", "--upstream-port", str(upstream_port)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            cwd=Path(__file__).parents[2],
        )
        self._one_at_a_time = threading.Lock()
        self.port: int = self._answer()

    def __enter__(self) -> "FaultyProxy":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Ends the proxy."""
        self._process.terminate()
        self._process.communicate()

    def set(self, faults: Faults) -> None:
        """Sets what is done to the requests that come from now on."""
        self._tell("set", asdict(faults))

    def begin_outage(self, seconds: float | None = None) -> None:
        """Cuts all connections and refuses new ones.

        Args:
            seconds: How long; None is until `end_outage`.
        """
        self._tell("begin_outage", seconds)

    def end_outage(self) -> None:
        """Listens again."""
        self._tell("end_outage")

    def hold(self, n_passing: int, path: str) -> None:
        """Holds answers back: the server has done what was asked, and the client waits for it.

        Args:
            n_passing: So many of the PUTs that come from now on are answered before.
            path: Only PUTs with this in their target.
        """
        self._tell("hold", {"n_passing": n_passing, "path": path})

    def let_one_pass(self) -> None:
        """Lets the answer go that has waited longest, if any waits."""
        self._tell("let_one_pass")

    def let_all_pass(self) -> None:
        """Lets all answers go, also later ones."""
        self._tell("open")

    def exchanges(self) -> list[Exchange]:
        """All requests since the start or the last `forget`, in order."""
        return [Exchange(*entry) for entry in self._tell("exchanges")]

    def requests(self) -> Counter[str]:
        """Those requests, counted by method."""
        return Counter(exchange.method for exchange in self.exchanges())

    def injected(self) -> Counter[str]:
        """The faults among them, counted by name."""
        return Counter(exchange.fault for exchange in self.exchanges() if exchange.fault)

    def forget(self) -> None:
        """Begins to count anew."""
        self._tell("forget")

    def _tell(self, command: str, argument: Any = None) -> Any:
        assert self._process.stdin is not None
        with self._one_at_a_time:
            self._process.stdin.write(json.dumps([command, argument]) + "\n")
            self._process.stdin.flush()
            return self._answer()

    def _answer(self) -> Any:
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if not line:
            raise RuntimeError("the faulty proxy has ended; its stderr says why")
        return json.loads(line)
