"""What a worker says of each chunk: a report when it is stored, a failure when it cannot be made."""

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, fields
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import pyarrow as pa

CELL_TYPE = "cell_type"
"""Column of obs whose labels are counted."""

N_CELL_TYPES = 15
"""Cell types that a report counts: a Census has 800, and 10,000 chunks are recorded."""


@dataclass(frozen=True, kw_only=True)
class Costs:
    """What it took to make something: what a cloud charges for, beside the time. All 0 where it is not known.

    Attributes:
        cpu_seconds: CPU of the worker: what its encoding and its storing thread took for it, and its share, by cells,
            of what all other threads of the process took while its blocks were read. Without imports and opening.
        bytes_read: Bytes of X, further layers and obsm as they came from the Census, packed: its share of its blocks.
            Of fully shuffled cells those of the pieces, which are read in the Census's place.
        read_requests: Requests for them, its share; many chunks may share one.
        write_requests: Requests that stored it, those that were repeated among them.
    """

    cpu_seconds: float = 0.0
    bytes_read: int = 0
    read_requests: float = 0.0
    write_requests: int = 0

    @classmethod
    def of(cls, parts: "Iterable[Costs]") -> "Costs":
        """The sums."""
        told = list(parts)
        return Costs(
            cpu_seconds=round(sum(part.cpu_seconds for part in told), 3),
            bytes_read=sum(part.bytes_read for part in told),
            read_requests=round(sum(part.read_requests for part in told), 1),
            write_requests=sum(part.write_requests for part in told),
        )


@dataclass(frozen=True, kw_only=True)
class ChunkReport(Costs):
    """What was measured while one chunk was made.

    Attributes:
        chunk: Key of the chunk.
        fingerprint: Fingerprint the chunk was planned with.
        uri: Where it is stored.
        n_obs: Cells.
        n_vars: Genes.
        nnz: Non-zeros stored.
        n_bytes: Size of the file.
        sha256: Checksum (hex) of the file.
        first_joinid: soma_joinid of the first cell.
        last_joinid: soma_joinid of the last cell.
        read_seconds: Spent in TileDB and in building rows, the chunk's share of its blocks.
        encode_seconds: Spent encoding.
        upload_seconds: Spent storing.
        worker: Host and process that made it; empty when the chunk was already stored.
        attempt: Which attempt at the chunk this was, from 1; 0 when the chunk was already stored.
        read_retries: How often reading was repeated because S3 asked to slow down, as far as TileDB tells, or because
            TileDB had given a block up.
        upload_retries: How often storing was repeated because the network or the destination failed.
        nnz_decoded: Non-zeros that TileDB decoded for it, those of cells and genes that were not wanted among them: the
            chunk's share of its blocks. 0 when it is not known.
        stored_at: When it had been stored, by the worker's clock, in seconds since 1970; of a chunk that was read back
            from its file, by the store's. 0 when it is not known.
        split: Part of the split that its cells belong to; None without a split.
        layer_nnz: Non-zeros of each layer beside X, by its name in `layers`.
        cell_types: Cells of its most frequent cell types, at most `N_CELL_TYPES`; empty where obs does not tell, or
            only the file is known.
    """

    chunk: str
    fingerprint: str
    uri: str
    n_obs: int
    n_vars: int
    nnz: int
    n_bytes: int
    sha256: str
    first_joinid: int
    last_joinid: int
    worker: str
    attempt: int
    # With defaults, for chunks that were recorded before these were counted, or of which only the file is known.
    read_seconds: float = 0.0
    encode_seconds: float = 0.0
    upload_seconds: float = 0.0
    read_retries: int = 0
    upload_retries: int = 0
    nnz_decoded: int = 0
    stored_at: float = 0.0
    split: str | None = None
    layer_nnz: Mapping[str, int] = field(default_factory=dict, hash=False)
    cell_types: Mapping[str, int] = field(default_factory=dict, hash=False)


@dataclass(frozen=True, kw_only=True)
class Told:
    """What a stored chunk says of itself; the fields are those of the report."""

    fingerprint: str
    n_obs: int
    n_vars: int
    nnz: int
    layer_nnz: Mapping[str, int] = field(default_factory=dict, hash=False)


def count_cell_types(obs: "pa.Table") -> dict[str, int]:
    """The most frequent cell types of a chunk, most cells first; none where obs does not tell."""
    if CELL_TYPE not in obs.column_names:
        return {}
    counts = Counter({str(item["values"]): item["counts"] for item in obs[CELL_TYPE].value_counts().to_pylist()})
    return dict(counts.most_common(N_CELL_TYPES))


def report_fields(told: Mapping[str, Any]) -> dict[str, Any]:
    """The fields of a chunk's report among others, also as earlier versions named them."""
    told = {"stored_at" if name == "landed_at" else name: value for name, value in told.items()}
    return {field.name: told[field.name] for field in fields(ChunkReport) if field.name in told}


@dataclass(frozen=True, kw_only=True)
class ChunkFailure:
    """A chunk that could not be made, and why, for a person; worker and attempt are as in a report."""

    chunk: str
    error: str
    worker: str
    attempt: int


@dataclass(frozen=True, kw_only=True)
class PieceReport(Costs):
    """A piece of the first of two passes is stored.

    Attributes:
        chunk: Key of the piece.
        n_obs: Cells.
        retries: How often a request was repeated.
        worker: As in the report of a chunk.
        attempt: Likewise.
    """

    chunk: str
    n_obs: int
    retries: int
    worker: str
    attempt: int


Result = ChunkReport | PieceReport | ChunkFailure
"""What becomes of one thing in a span."""


@dataclass(frozen=True, kw_only=True)
class RunSummary(Costs):
    """What one run over the chunks of a plan did, and what all that it has written took.

    Attributes:
        n_obs: Cells of the chunks that were written in this run.
        n_files: Chunks that were written in this run.
        n_skipped: Chunks that were stored already.
        n_failed: Chunks that could not be made.
        total_bytes: Bytes of the chunks that were written in this run.
        ingest_seconds: From the first span dispatched to the last chunk stored and recorded.
        workers: Ray actors at most.
        retries: Chunks that were tried again, each time counted.
        workers_lost: Ray actors that died, or whose machine did.
        launches: How often the step was begun, because Ray itself had died or did not start; all else here is of the
            last time.
        driver_cpu_seconds: CPU of the process that ran the step, which gives out spans and records chunks.
    """

    n_obs: int
    n_files: int
    n_skipped: int
    n_failed: int
    total_bytes: int
    ingest_seconds: float
    workers: int
    retries: int
    workers_lost: int = 0
    launches: int = 1
    driver_cpu_seconds: float = 0.0

    @property
    def nothing_written(self) -> str:
        """That all requested chunks were stored already, for a person; empty when one was written or failed."""
        if self.n_files or self.n_failed:
            return ""
        found = "the chunk requested was" if self.n_skipped == 1 else f"all {self.n_skipped:,} chunks requested were"
        return f"nothing was written: {found} already stored"

    @property
    def mean_file_bytes(self) -> float:
        """Bytes of a file of this run; 0 when there is none."""
        return self.total_bytes / self.n_files if self.n_files else 0.0

    @property
    def cells_per_second(self) -> float:
        """Cells written a second of `ingest_seconds`; 0 when nothing was made."""
        return self.n_obs / self.ingest_seconds if self.n_obs else 0.0

    @property
    def hours_per_million_obs(self) -> float:
        """Hours for 1M cells at this speed; 0 when nothing was made."""
        return 1e6 / self.cells_per_second / 3600 if self.n_obs else 0.0
