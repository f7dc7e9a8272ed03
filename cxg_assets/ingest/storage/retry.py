"""Repeats what a bad network broke, and counts it."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

from tenacity import Retrying, retry_if_exception, stop_after_delay, wait_random_exponential

Result = TypeVar("Result")


@dataclass(frozen=True, kw_only=True)
class Patience:
    """How long an action is repeated.

    The waits double and are drawn at random up to that (full jitter, as Amazon's architects recommend: many workers
    that were thrown out at once do not all come back at once).

    Attributes:
        first_seconds: The first wait at most.
        longest_seconds: Any wait at most.
        limit_seconds: No wait begins later than this after the first attempt.
    """

    first_seconds: float = 0.5
    longest_seconds: float = 15.0
    limit_seconds: float = 120.0

    def call(self, action: Callable[[], Result], is_transient: Callable[[BaseException], bool]) -> tuple[Result, int]:
        """Does something that does no harm done twice, again and again while its errors are transient.

        Returns what the action returned, and how often it was repeated; raises what it raised last.
        """
        retrying = Retrying(
            retry=retry_if_exception(is_transient),
            wait=wait_random_exponential(multiplier=self.first_seconds, max=self.longest_seconds),
            stop=stop_after_delay(self.limit_seconds),
            reraise=True,
        )
        result = retrying(action)
        return result, retrying.statistics["attempt_number"] - 1
