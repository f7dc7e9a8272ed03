"""Where a Census is, and one opened for reading.

Over S3 every request counts: to open a group takes five, an array ten and more. So a command opens a Census once
(`keep_open`), members are listed without opening them, and workers open X by its own URI (`CensusLocator.open_x`).
"""

import contextlib
import os
from collections.abc import Iterator, Mapping, Sequence
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from cxg_assets.ingest.census.cpu import require_cpu
from cxg_assets.ingest.census.embeddings_place import EmbeddingsPlace
from cxg_assets.ingest.census.soma_context import soma_context
from cxg_assets.ingest.errors import BadInput, CxgError, Unreachable, shown, shown_path
from cxg_assets.ingest.spec import CENSUS_DATA, modality_and_organism
from cxg_assets.ingest.storage.s3_errors import explain, is_known, is_transient

if TYPE_CHECKING:
    import tiledbsoma

    from cxg_assets.ingest.census.soma_context import SomaContext

MEASUREMENT = "RNA"
PRESENCE = "feature_dataset_presence_matrix"

OBS_BUFFER_BYTES = 2 * 2**20
"""Bytes TileDB holds for each obs column of one read: a quarter of a million int64; 30 columns, and once more as Arrow
has them, stay near 120 MiB."""

OBS_TILE_BYTES = 128 * 2**20
"""Bytes of tiles that TileDB holds while it reads obs, var and the like."""

OBS_ROWS = 1 << 21
"""joinids of one read of obs, after which TileDB gives memory back: of each fragment that a read touches it holds tiles
of every column. With this, these buffers and this limit an index of 63 million cells (63 fragments) peaks at 463 MiB,
and takes as much CPU; in one read with buffers of 8 MiB at 643 (measured)."""

X_TILE_BYTES = 256 * 2**20
"""Bytes of X tiles that TileDB holds while it reads; its own limit is 10 GiB. Less costs no time down to 128 MiB."""

PATIENT = {
    "vfs.s3.connect_max_tries": "7",
    "vfs.s3.connect_scale_factor": "200",
    "vfs.s3.connect_timeout_ms": "3000",
}
"""TileDB repeats a request that broke off seven times, after 0, 0.4, 0.8 … 12.8 seconds: an outage of 20 s passes, a
dead server is known after 25 s (measured, docs/reliability.md). Its own settings give up after one second. A server
that asks to slow down is asked again every 1.5 s, up to 100 times, whatever is set here, where TileDB can read that."""

IO_THREADS = 16
"""Columns of small tables that are fetched side by side: each waits for the store, not for a CPU."""


@dataclass(frozen=True, kw_only=True)
class CensusLocator:
    """A Census that can be opened anywhere: picklable, holds nothing open.

    Attributes:
        uri: SOMA URI of the Census's root collection.
        tiledb_config: TileDB settings for that URI (region, endpoint, credentials); never shown in a repr.
        timestamp_ms: Reads see the Census as it was at this time (milliseconds since 1970); None is now.
        embeddings: Where the embeddings are that are hosted beside it; None where its build is not known.
    """

    uri: str
    tiledb_config: tuple[tuple[str, str], ...] = field(default=(), repr=False)
    timestamp_ms: int | None = None
    # Not compared: what is open of a Census is the same wherever its embeddings are.
    embeddings: EmbeddingsPlace | None = field(default=None, compare=False)

    def open(self, *, buffer_bytes: int = OBS_BUFFER_BYTES) -> "Census":
        """Opens the Census for reading, with a buffer for each column; in `keep_open` once for each timestamp.

        Raises:
            BadInput: There is nothing at the URI, or it is not a Census.
            Unreachable: The S3 that it is in does not answer.
        """
        kept = _kept.get()
        if kept is None or self.timestamp_ms is None:  # "now" is another time for everyone who opens it
            return Census(self.uri, self._open_root(buffer_bytes))
        if (self, buffer_bytes) not in kept:
            kept[self, buffer_bytes] = Census(self.uri, self._open_root(buffer_bytes), stays_open=True)
        return kept[self, buffer_bytes]

    def open_x(
        self,
        uri: str,
        *,
        n_threads: int,
        buffer_bytes: int,
        of: str = "X",
        beside: "tiledbsoma.SparseNDArray | None" = None,
    ) -> "tiledbsoma.SparseNDArray":
        """Opens an X array by its own URI (`Census.layers`): a third of the requests that the way through groups takes.

        TileDB gets so many threads to compute and so many for I/O, and so many bytes for each column of a read. `of`
        names what it is an array of, for the message. With one that is open `beside` it shares threads and memory.

        Raises:
            BadInput: There is no such array.
            Unreachable: The S3 that it is in does not answer.
        """
        settings = {
            "sm.compute_concurrency_level": n_threads,
            "sm.io_concurrency_level": n_threads,
            "sm.mem.total_budget": X_TILE_BYTES,
        }
        problem = f"the {of} array {uri} cannot be opened"
        advice = "it existed when the subset was made. If the Census was moved or rebuilt, make the subset again"
        context = None if beside is None else beside.context
        return self._open("SparseNDArray", uri, buffer_bytes, settings, problem, advice, context)

    def _open(
        self,
        kind: str,
        uri: str,
        buffer_bytes: int,
        settings: Mapping[str, Any],
        problem: str,
        advice: str,
        context: "SomaContext | None" = None,
    ) -> Any:
        """Opens an array or a collection; why it cannot be opened is told between problem and advice."""
        require_cpu()
        # Imported here: tiledbsoma takes over a second, which Dagster's code servers should not pay.
        import tiledbsoma

        # TileDB would give all free memory of the process back after every read, which costs workers much
        # (`worker_environment.py`).
        config: dict[str, Any] = {"sm.mem.malloc_trim": "false", **PATIENT, **dict(self.tiledb_config)}
        config |= {"soma.init_buffer_bytes": buffer_bytes, **settings}
        try:
            context = context or soma_context(config, self.timestamp_ms)
            return getattr(tiledbsoma, kind).open(uri, context=context)
        except (tiledbsoma.SOMAError, ValueError, TypeError) as error:
            told = explain(error) if is_known(error) else f"{problem} ({explain(error)}); {advice}"
            failure = Unreachable if is_transient(error) else BadInput
            raise failure(f"census {shown_path(self.uri)}: {told}") from error

    def _open_root(self, buffer_bytes: int) -> "tiledbsoma.Collection":
        problem = "no SOMA collection can be opened there"
        advice = "give the URI of a Census (its folder holds census_info and census_data), or a release name"
        settings = {
            "sm.io_concurrency_level": max(IO_THREADS, os.cpu_count() or 1),
            "sm.mem.total_budget": OBS_TILE_BYTES,
            "sm.mem.malloc_trim": "true",
        }
        root = self._open("Collection", self.uri, buffer_bytes, settings, problem, advice)
        if not {"census_info", "census_data"} <= set(root):  # `in` would open them
            root.close()
            raise BadInput(
                f"census {shown_path(self.uri)}: a SOMA collection, but not a Census: it has no census_info/census_data"
            )
        return root


_kept: ContextVar[dict[tuple[CensusLocator, int], "Census"] | None] = ContextVar("_kept", default=None)
"""The Censuses that a `keep_open` holds, by locator and buffer size; None outside of one."""


@contextlib.contextmanager
def keep_open() -> Iterator[None]:
    """While it lasts, whoever opens a Census at a timestamp gets the one that is open already; also a decorator.

    Those who share it see the same as if each had opened it: what is written later is not there at that timestamp. To
    see whether there is another build, `read_release` still looks for itself. Other threads open their own.
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

    def organisms(self, modality: str = CENSUS_DATA) -> tuple[str, ...]:
        """Names of the organisms, sorted; of a modality that this build lacks none."""
        return tuple(sorted(self.root[modality])) if modality in set(self.root) else ()

    def obs(self, experiment: str) -> "tiledbsoma.DataFrame":
        """The obs array of an experiment; BadInput where the Census has no such one, as in all that follows."""
        return self.experiment(experiment).obs

    def layers(self, experiment: str) -> dict[str, str]:
        """URIs of the X layers of an experiment, by name, sorted."""
        members = self.experiment(experiment).ms[MEASUREMENT].X.members()
        return {name: members[name][0] for name in sorted(members)}

    def obsm(self, experiment: str) -> dict[str, str]:
        """URIs of the obsm arrays of an experiment, by name, sorted; older releases have embeddings there."""
        measurement: Any = self.experiment(experiment).ms[MEASUREMENT]
        members = measurement.obsm.members() if "obsm" in measurement else {}
        return {name: members[name][0] for name in sorted(members)}

    def var(self, experiment: str) -> pa.Table:
        """All columns of var, one row a gene, in soma_joinid order."""
        if experiment not in self._var:
            var = self.experiment(experiment).ms[MEASUREMENT].var
            self._var[experiment] = var.read().concat().sort_by("soma_joinid")
        return self._var[experiment]

    def has_presence(self, experiment: str) -> bool:
        """Whether this build tells which genes each dataset has measured."""
        measurement: Any = self.experiment(experiment).ms[MEASUREMENT]
        return PRESENCE in measurement

    def presence(self, experiment: str) -> "tiledbsoma.SparseNDArray":
        """Which genes each dataset has measured: a row a dataset and a column a gene, by their soma_joinids.

        Raises:
            CxgError: This build has no such matrix.
        """
        measurement: Any = self.experiment(experiment).ms[MEASUREMENT]
        if PRESENCE not in measurement:
            raise CxgError(f"census {shown_path(self.uri)}: {experiment} has no {PRESENCE}; this build is not complete")
        return measurement[PRESENCE]

    def obs_batches(self, experiment: str) -> Iterator[pa.RecordBatch]:
        """All rows and columns of obs, in soma_joinid order, a buffer at a time."""
        obs = self.obs(experiment)
        if not obs.count:
            return
        [(first, last)] = obs.non_empty_domain()
        for start in range(first, last + 1, OBS_ROWS):
            for table in obs.read((slice(start, min(start + OBS_ROWS - 1, last)),), result_order="row-major"):
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
            raise CxgError(f"census {shown_path(self.uri)}: census_info/{name} is missing; this build is not complete")
        table = info[name]
        return table.read(column_names=[column for column in columns if column in table.schema.names]).concat()

    def experiment(self, experiment: str) -> "tiledbsoma.Experiment":
        """An experiment, by the name that `spec.experiment_name` gives it."""
        modality, organism = modality_and_organism(experiment)
        there, where = self.organisms(modality), "" if modality == CENSUS_DATA else f" in {modality}"
        if not there:
            raise BadInput(f"modality: census {shown_path(self.uri)} has no {modality}; releases since 2025-01-30 have")
        if organism not in there:
            told = ", ".join(there)
            raise BadInput(f"organism: census {shown_path(self.uri)} has no {shown(organism)}{where}; it has {told}")
        data: Any = self.root[modality]
        return data[organism]


def layer_uri(census_uri: str, experiment: str, layer: str, layers: Mapping[str, str]) -> str:
    """URI of one of an experiment's X layers; BadInput where there is no such layer."""
    if layer not in layers:
        there = ", ".join(layers)
        raise BadInput(f"layer: census {shown_path(census_uri)} has no X/{layer} for {experiment}; it has {there}")
    return layers[layer]
