"""What one check of `cxg-assets doctor` tells.

A check never raises for what it looks at: whatever is wrong is what it has to tell, and the others still run.
"""

from dataclasses import dataclass
from enum import StrEnum


class Level(StrEnum):
    """How a check ended."""

    OK = "ok"
    WARN = "warn"
    FAILED = "FAILED"


@dataclass(frozen=True)
class Finding:
    """What a check tells, as one line: `text` says what was found and, unless it is well, what to do."""

    level: Level
    subject: str
    text: str

    def __str__(self) -> str:
        return f"{self.level:<6} {self.subject:<12} {self.text}"


def failed(subject: str, error: Exception) -> Finding:
    """The finding of a check that ended with an error."""
    # The engine's messages begin with the attribute that they are about.
    return Finding(Level.FAILED, subject, str(error).removeprefix(f"{subject}: "))
