"""Where a Census is, and one opened for reading.

Over S3 every request counts: to open a group takes five, an array ten and more. So a command opens a Census once
(`keep_open`), members are listed without opening them, and workers open X by its own URI (`CensusLocator.open_x`).
"""

import contextlib
from collections.abc import Iterable, Iterator, Sequence
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from cxg_assets.ingest.errors import BadInput, CxgError

if TYPE_CHECKING:
    import tiledbsoma

MEASUREMENT = "RNA"

OBS_BUFFER_BYTES = 8 * 2**20
"""Bytes TileDB holds for each obs column of one read: a million int64, so that 30 columns stay near 250 MiB."""


@dataclass(frozen=True, kw_only=True)
class CensusLocator:
    """A Census that can be opened anywhere: picklable, holds nothing open.

    Attributes:
        uri: SOMA URI of the Census's root collection.
        tiledb_config: TileDB settings for that URI (region, endpoint, credentials); never shown in a repr.
        timestamp_ms: Reads see the Census as it was at this time (milliseconds since 1970); None is now.
    """

    uri: str
    tiledb_config: tuple[tuple[str, str], ...] = field(default=(), repr=False)
    timestamp_ms: int | None = None

    def open(self, *, n_threads: int | None = None, buffer_bytes: int = OBS_BUFFER_BYTES) -> "Census":
        """Opens the Census for reading.

        Args:
            n_threads: TileDB's compute and I/O threads; None leaves TileDB's own default (all cores).
            buffer_bytes: Bytes TileDB holds for each column of a read.

        Raises:
            BadInput: There is nothing at the URI, or it is not a Census.
        """
        # Imported here: tiledbsoma takes over a second, which Dagster's code servers should not pay.
        import tiledbsoma

        config: dict[str, Any] = dict(self.tiledb_config)
        config["soma.init_buffer_bytes"] = buffer_bytes
        # TileDB would give all free memory of the process back to the kernel after every read (see `process.py`).
        config.setdefault("sm.mem.malloc_trim", "false")
        if n_threads is not None:
            config["sm.compute_concurrency_level"] = n_threads
            config["sm.io_concurrency_level"] = n_threads
        context = tiledbsoma.SOMATileDBContext(tiledb_config=config, timestamp=self.timestamp_ms)
        try:
            root = tiledbsoma.Collection.open(self.uri, context=context)
        except (tiledbsoma.SOMAError, ValueError, TypeError) as error:
            raise BadInput(
                f"census {self.uri}: no SOMA collection can be opened there ({_first_line(error)}); "
                "give the URI of a Census (its folder holds census_info and census_data), or a release name"
            ) from error
        if not {"census_info", "census_data"} <= set(root):  # `in` would open them
            root.close()
            raise BadInput(f"census {self.uri}: a SOMA collection, but not a Census: it has no census_info/census_data")
        return root


_kept: ContextVar[dict[tuple[CensusLocator, int], "Census"] | None] = ContextVar("_kept", default=None)
"""The Censuses that a `keep_open` holds, by locator and buffer size; None outside of one."""


@contextlib.contextmanager
def keep_open() -> Iterator[None]:
    """While it lasts, whoever opens a Census that was opened before, at the same time, gets that one; also a decorator.

    Nothing changes under those who share it: releases are read as they were at one time. What is opened in other
    threads is not shared.
    """
    if _kept.get() is not None:
        yield
        return
    kept: dict[tuple[CensusLocator, int], Census] = {}
    token = _kept.set(kept)
    try:
        yield
    finally:
        _kept.reset(token)
        for census in kept.values():
            census.root.close()


class Census:
    """One open Census. Close it, or use it as a context manager.

    Keeps the root object: a SOMA array closes when the collection it was reached through is collected.
    """

    def __init__(self, uri: str, root: "tiledbsoma.Collection", *, stays_open: bool = False) -> None:
        self.uri = uri
        self.root = root
        self._stays_open = stays_open
        self._var: dict[str, pa.Table] = {}

    def __enter__(self) -> "Census":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Closes the Census and every array reached through it; one that is kept open closes with its `keep_open`."""
        if not self._stays_open:
            self.root.close()

    def organisms(self) -> tuple[str, ...]:
        """Names of the organisms, sorted."""
        return tuple(sorted(self.root["census_data"]))

    def obs(self, organism: str) -> "tiledbsoma.DataFrame":
        """The obs array of one organism.

        Raises:
            BadInput: The Census has no such organism.
        """
        return self._experiment(organism).obs

    def layers(self, organism: str) -> dict[str, str]:
        """URIs of the X layers of one organism, by name, sorted.

        Raises:
            BadInput: The Census has no such organism.
        """
        members = self._experiment(organism).ms[MEASUREMENT].X.members()
        return {name: members[name][0] for name in sorted(members)}

    def var(self, organism: str) -> pa.Table:
        """All columns of var, one row a gene, in soma_joinid order."""
        if organism not in self._var:
            var = self._experiment(organism).ms[MEASUREMENT].var
            self._var[organism] = var.read().concat().sort_by("soma_joinid")
        return self._var[organism]

    def obs_batches(self, organism: str) -> Iterator[pa.RecordBatch]:
        """All rows and columns of obs, in soma_joinid order, a buffer at a time."""
        for table in self.obs(organism).read(result_order="row-major"):
            yield from table.to_batches()

    def summary(self) -> dict[str, str]:
        """`census_info/summary` as label → value."""
        table = self._info("summary", ("label", "value"))
        return dict(zip(table["label"].to_pylist(), table["value"].to_pylist(), strict=True))

    def datasets(self, columns: Sequence[str]) -> pa.Table:
        """Those of the columns that `census_info/datasets` has; one row a source dataset."""
        return self._info("datasets", columns)

    def _info(self, name: str, columns: Sequence[str]) -> pa.Table:
        info: Any = self.root["census_info"]
        if name not in info:
            raise CxgError(f"census {self.uri}: census_info/{name} is missing; this build is not complete")
        table = info[name]
        return table.read(column_names=[column for column in columns if column in table.schema.names]).concat()

    def _experiment(self, organism: str) -> "tiledbsoma.Experiment":
        data: Any = self.root["census_data"]
        if organism not in data:
            raise BadInput(f"organism: census {self.uri} has no {organism!r}; it has {', '.join(self.organisms())}")
        return data[organism]


def no_such_layer(census_uri: str, organism: str, layer: str, layers: Iterable[str]) -> BadInput:
    """The error of an X layer that an organism does not have."""
    return BadInput(f"layer: census {census_uri} has no X/{layer} for {organism}; it has {', '.join(layers)}")


def _first_line(error: BaseException) -> str:
    return str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
