"""Repeats what a bad network broke, and counts it."""

import random
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

Result = TypeVar("Result")


@dataclass(frozen=True, kw_only=True)
class Patience:
    """How long an action is repeated.

    The waits double and are drawn at random up to that (full jitter, as Amazon's architects recommend: many workers
    that were thrown out at once do not all come back at once).

    Attributes:
        first_seconds: The first wait at most.
        longest_seconds: Any wait at most.
        limit_seconds: No repetition begins later than this after the first attempt.
    """

    first_seconds: float = 0.5
    longest_seconds: float = 15.0
    limit_seconds: float = 120.0

    def call(self, action: Callable[[], Result], is_transient: Callable[[Exception], bool]) -> tuple[Result, int]:
        """Does something, again and again while its errors are transient.

        Args:
            action: What to do; it must do no harm done twice.
            is_transient: Whether an error may be gone at the next attempt.

        Returns:
            What the action returned, and how often it was repeated.

        Raises:
            Exception: What the action raised last.
        """
        began = time.monotonic()
        wait = self.first_seconds
        retries = 0
        while True:
            try:
                return action(), retries
            except Exception as error:
                if not is_transient(error) or time.monotonic() - began > self.limit_seconds:
                    raise
            time.sleep(random.uniform(0.0, wait))
            wait = min(2 * wait, self.longest_seconds)
            retries += 1
