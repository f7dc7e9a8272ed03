"""What a store tells of an object."""

from dataclasses import dataclass
from datetime import datetime


@dataclass(frozen=True)
class Stored:
    """What became of a chunk that was to be stored.

    Attributes:
        created: It is the one that lies there now; False when there was one already.
        retries: How often the request was repeated.
    """

    created: bool
    retries: int


@dataclass(frozen=True)
class Listed:
    """What a listing says of an object: its size, and when it was stored (UTC)."""

    n_bytes: int
    modified: datetime


@dataclass(frozen=True)
class Version:
    """What tells an object from another that takes its place: its size, and its ETag (empty where a store has none)."""

    n_bytes: int
    etag: str
