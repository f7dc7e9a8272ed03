"""Whose a subset is, and what it is filed under in the UI."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field

from cxg_assets.ingest.errors import BadInput, shown

_OWNER = re.compile(r"team:.+|[^@\s]+@[^@\s.]+(\.[^@\s.]+)+")
_TAG_KEY = re.compile(r"([A-Za-z0-9_.-]{1,63}/)?[A-Za-z0-9_.-]{1,63}")
_TAG_VALUE = re.compile(r"[A-Za-z0-9_.-]{0,63}")
_SIGNS = "letters, digits, `_`, `-` and `.`, at most 63"


@dataclass(frozen=True, kw_only=True)
class Labels:
    """Owners and tags of all assets of a subset, and tags of its runs.

    Attributes:
        owners: E-mail addresses, and teams as `team:name`.
        tags: Short labels by name.

    Raises:
        BadInput: Dagster would not take one of them.
    """

    owners: tuple[str, ...] = ()
    tags: Mapping[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for owner in self.owners:
            if not _OWNER.fullmatch(owner):
                raise BadInput(f"owners: {shown(owner)} is neither an e-mail address nor a team like team:cell-models")
        for name, value in self.tags.items():
            if not _TAG_KEY.fullmatch(name):
                raise BadInput(f"tags: {shown(name)} cannot be the name of a tag; use {_SIGNS}, and one `/` at most")
            if name.split("/")[0] == "dagster":
                raise BadInput(f"tags: {shown(name)} is one of Dagster's own tags; choose a name without dagster/")
            if not _TAG_VALUE.fullmatch(value):
                raise BadInput(f"tags: {name}: {shown(value)} cannot be the value of a tag; use {_SIGNS}")
