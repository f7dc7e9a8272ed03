"""What a look at one thing found: the answer of preflight, checks, verify and doctor."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Self

Fact = int | float | str | list[str]

N_NAMED = 5
"""How many wrong things a message names; how many more there are is said behind."""


class Severity(StrEnum):
    """How a look ended."""

    OK = "ok"
    WARN = "warn"
    FAILED = "FAILED"


@dataclass(frozen=True, kw_only=True)
class Finding:
    """What was found.

    Attributes:
        what: What is wrong, on one line; where all is right, what was found, or nothing.
        where: What it is about: the key of a chunk, a part of the machine. Empty for the whole of what was looked at.
        to_do: What to do about it; empty where `what` says so.
        facts: What was counted and looked at, by name.
        severity: OK where all is right.
    """

    what: str = ""
    where: str = ""
    to_do: str = ""
    facts: Mapping[str, Fact] = field(default_factory=dict)
    severity: Severity = Severity.OK

    @classmethod
    def of(cls, wrong: Iterable[str], to_do: str = "", facts: Mapping[str, Fact] | None = None) -> Self:
        """What was found by a look that can find several things wrong.

        Args:
            wrong: What is wrong; empty texts do not count. Of many, the first are named.
            to_do: What to do about any of them.
            facts: What was counted and looked at.
        """
        texts = [text for text in wrong if text]
        if not texts:
            return cls(facts=facts or {})
        return cls(what=named(texts), to_do=to_do, facts=facts or {}, severity=Severity.FAILED)

    @classmethod
    def failed(cls, where: str, what: object, to_do: str = "") -> Self:
        """Something that is wrong, or the error with which a look ended."""
        # The engine's messages begin with the attribute that they are about.
        return cls(where=where, what=str(what).removeprefix(f"{where}: "), to_do=to_do, severity=Severity.FAILED)

    @classmethod
    def warned(cls, where: str, what: str, to_do: str = "") -> Self:
        """Something that goes well in spite of it."""
        return cls(where=where, what=what, to_do=to_do, severity=Severity.WARN)

    @property
    def passed(self) -> bool:
        """Whether all is right."""
        return self.severity is Severity.OK

    @property
    def message(self) -> str:
        """What is wrong and what to do."""
        return "; ".join(filter(None, (self.what, self.to_do)))


def named(texts: list[str]) -> str:
    """The first of some texts, and how many more there are."""
    more = f" and {len(texts) - N_NAMED} more" if len(texts) > N_NAMED else ""
    return f"{'; '.join(texts[:N_NAMED])}{more}"
