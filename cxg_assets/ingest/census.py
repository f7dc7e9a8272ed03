"""Where a Census is, and one opened for reading."""

from collections.abc import Iterator
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
        if "census_info" not in root or "census_data" not in root:
            root.close()
            raise BadInput(f"census {self.uri}: a SOMA collection, but not a Census: it has no census_info/census_data")
        return Census(self.uri, root)


class Census:
    """One open Census. Close it, or use it as a context manager.

    Keeps the root object: a SOMA array closes when the collection it was reached through is collected.
    """

    def __init__(self, uri: str, root: "tiledbsoma.Collection") -> None:
        self.uri = uri
        self.root = root

    def __enter__(self) -> "Census":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Closes the Census and every array reached through it."""
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

    def layers(self, organism: str) -> tuple[str, ...]:
        """Names of the X layers of one organism, sorted."""
        return tuple(sorted(self._experiment(organism).ms[MEASUREMENT].X))

    def x(self, organism: str, layer: str) -> "tiledbsoma.SparseNDArray":
        """The X array of one layer, (n_obs, n_vars) float32.

        Raises:
            BadInput: The Census has no such organism or layer.
        """
        layers = self.layers(organism)
        if layer not in layers:
            raise BadInput(f"layer: census {self.uri} has no X/{layer} for {organism}; it has {', '.join(layers)}")
        array: Any = self._experiment(organism).ms[MEASUREMENT].X[layer]
        return array

    def var(self, organism: str) -> pa.Table:
        """All columns of var, one row a gene, in soma_joinid order."""
        return self._experiment(organism).ms[MEASUREMENT].var.read().concat().sort_by("soma_joinid")

    def obs_batches(self, organism: str) -> Iterator[pa.RecordBatch]:
        """All rows and columns of obs, in soma_joinid order, a buffer at a time."""
        for table in self.obs(organism).read(result_order="row-major"):
            yield from table.to_batches()

    def summary(self) -> dict[str, str]:
        """`census_info/summary` as label → value."""
        table = self._info("summary")
        return dict(zip(table["label"].to_pylist(), table["value"].to_pylist(), strict=True))

    def datasets(self) -> pa.Table:
        """`census_info/datasets`: one row a source dataset, with its citation."""
        return self._info("datasets")

    def _info(self, name: str) -> pa.Table:
        info: Any = self.root["census_info"]
        if name not in info:
            raise CxgError(f"census {self.uri}: census_info/{name} is missing; this build is not complete")
        return info[name].read().concat()

    def _experiment(self, organism: str) -> "tiledbsoma.Experiment":
        data: Any = self.root["census_data"]
        if organism not in data:
            raise BadInput(f"organism: census {self.uri} has no {organism!r}; it has {', '.join(self.organisms())}")
        return data[organism]


def _first_line(error: BaseException) -> str:
    return str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
