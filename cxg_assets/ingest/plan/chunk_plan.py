"""The chunk plan: which cells go to which chunk."""

import hashlib
import json
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from cxg_assets.ingest.census.census import layer_uri
from cxg_assets.ingest.census.distinct import n_distinct
from cxg_assets.ingest.census.release import Release
from cxg_assets.ingest.chunks.reader import NNZ_PER_CELL, TILE
from cxg_assets.ingest.errors import BadInput, CxgError
from cxg_assets.ingest.layout import N_DIGITS, chunk_path
from cxg_assets.ingest.plan.fingerprint import ENCODING_VERSION, ChunkFingerprints
from cxg_assets.ingest.selection.selection import Selection, genes_in_words
from cxg_assets.ingest.selection.subset import FilteredSubset
from cxg_assets.ingest.spec import SubsetSpec
from cxg_assets.ingest.storage.feather import FeatherFile, FeatherSource

MAX_CHUNKS = 100_000
"""Dagster's recommended limit of partitions of one asset."""

_HEADER = b"cxg_assets"


@dataclass(frozen=True, kw_only=True)
class Chunk:
    """The cells of one h5ad file.

    Attributes:
        key: Partition key, five digits.
        row_start: First row in the subset's obs file.
        row_stop: One past the last row.
        nnz: Non-zeros that obs expects in X of all genes.
        n_tiles: Rows of X tiles that these cells lie in.
        first_joinid: soma_joinid of the first cell.
        last_joinid: soma_joinid of the last cell.
        fingerprint: SHA-256 (hex) over everything that decides the file's bytes.
    """

    key: str
    row_start: int
    row_stop: int
    nnz: int
    n_tiles: int
    first_joinid: int
    last_joinid: int
    fingerprint: str

    @property
    def n_obs(self) -> int:
        """Cells of the chunk."""
        return self.row_stop - self.row_start


@dataclass(frozen=True, kw_only=True)
class PlanHeader:
    """What all chunks of a plan share.

    Attributes:
        plan_id: Digest of the chunks' fingerprints; names the folder.
        subset: Name of the subset.
        subset_fingerprint: Fingerprint of the filtered subset.
        release: The build of the Census.
        selection: What selected the cells and genes, from the subset.
        layer: X layer.
        x_uri: URI of the layer's array.
        compression: Compression of the chunk files.
        chunk_size: Cells per chunk asked for.
        n_obs: Cells of all chunks.
        n_vars: Genes.
        encoding_version: Version of the chunk format that the fingerprints stand for.
    """

    plan_id: str
    subset: str
    subset_fingerprint: str
    release: Release
    selection: Selection
    layer: str
    x_uri: str
    compression: str
    chunk_size: int
    n_obs: int
    n_vars: int
    encoding_version: int

    @property
    def cells_of_first(self) -> int:
        """Cells of the first chunk, which is the largest.

        The bytes of a chunk go by this and not by `chunk_size`: a subset that fits into one chunk is the same file at
        any size that holds it, and has the same fingerprint.
        """
        return min(self.chunk_size, self.n_obs)

    @property
    def provenance(self) -> dict[str, str]:
        """What every chunk's `uns` tells of its origin."""
        return {
            "subset": self.subset,
            "census_build": self.release.build,
            "census_uri": self.release.uri,
            "census_region": self.release.region or "",
            "census_schema_version": self.release.schema_version,
            "census_flags": ", ".join(self.release.flags),
            "census_total_cell_count": str(self.release.total_cell_count),
            "census_unique_cell_count": str(self.release.unique_cell_count),
            "organism": self.selection.organism,
            "layer": self.layer,
            "value_filter": self.selection.value_filter or "",
            "genes": genes_in_words(self.selection.genes, self.n_vars),
            "encoding_version": str(self.encoding_version),
        }


@dataclass(frozen=True, kw_only=True)
class ChunkPlan:
    """A header and its chunks in order."""

    header: PlanHeader
    chunks: tuple[Chunk, ...]

    @property
    def amplification(self) -> float:
        """Cells in the X tiles that a pass decodes, for each cell selected: 1.0 at best.

        A tile that two neighbouring chunks share counts once.
        """
        n_tiles = sum(chunk.n_tiles for chunk in self.chunks)
        for before, after in zip(self.chunks, self.chunks[1:], strict=False):
            n_tiles -= before.last_joinid // TILE == after.first_joinid // TILE
        return n_tiles * TILE / self.header.n_obs

    def path(self, chunk: Chunk) -> str:
        """Where the chunk lies, relative to the destination."""
        return chunk_path(self.header.subset, self.header.plan_id, chunk.key, chunk.fingerprint)

    def require_known_format(self) -> None:
        """Refuses a plan of which no chunk can be made: it cannot say what ours would, or stands for other bytes.

        Raises:
            BadInput: Another version of this program made the plan.
        """
        self.header.selection.require_complete(self.header.subset)
        if self.header.encoding_version != ENCODING_VERSION:
            raise BadInput(
                f"plan {self.header.plan_id} of {self.header.subset} is of chunks of format "
                f"{self.header.encoding_version}, this version of cxg_assets makes format {ENCODING_VERSION}; "
                "materialize chunk_plan again (cxg-assets ingest does)"
            )

    def chunks_of(self, keys: Iterable[str]) -> tuple[Chunk, ...]:
        """The chunks with these keys, in plan order.

        Raises:
            BadInput: A key is not in the plan.
        """
        wanted = set(keys)
        unknown = wanted - {chunk.key for chunk in self.chunks}
        if unknown:
            raise BadInput(
                f"chunk {min(unknown)} is not in plan {self.header.plan_id} of {self.header.subset} "
                f"({self.chunks[0].key} to {self.chunks[-1].key}); choose one of these, or materialize chunk_plan again"
            )
        return tuple(chunk for chunk in self.chunks if chunk.key in wanted)


def make_plan(spec: SubsetSpec, subset: FilteredSubset, obs: FeatherSource, var: FeatherSource) -> ChunkPlan:
    """Cuts a subset into chunks of `spec.chunk_size` cells, in the order of its obs file.

    Memory: one chunk's joinids and the chunk table.

    Args:
        spec: The subset. Its layer, chunk_size and compression decide the files; what selected the cells is the
            subset's.
        subset: What its obs file says of itself.
        obs: The subset's obs file; its joinids and nnz are read.
        var: The subset's var file.

    Raises:
        BadInput: The spec selects something else than the subset has; there would be more than `MAX_CHUNKS` chunks;
            the Census does not have the spec's layer.
    """
    selection = subset.selection
    selection.require_selected_by(spec)
    check_n_chunks(spec, subset.n_obs)
    header = PlanHeader(
        plan_id="",
        subset=spec.name,
        subset_fingerprint=subset.fingerprint,
        release=subset.release,
        selection=selection,
        layer=spec.layer,
        x_uri=layer_uri(subset.release.uri, selection.organism, spec.layer, subset.layers),
        compression=spec.compression,
        chunk_size=spec.chunk_size,
        n_obs=subset.n_obs,
        n_vars=subset.n_vars,
        encoding_version=ENCODING_VERSION,
    )
    with FeatherFile(var, columns=("soma_joinid",)) as genes:
        gene_joinids = genes.read()["soma_joinid"].to_numpy()
    fingerprints = ChunkFingerprints(
        provenance=header.provenance,
        release_fingerprint=subset.release.fingerprint,
        compression=spec.compression,
        obs_columns=selection.obs_columns,
        gene_joinids=gene_joinids,
    )
    chunks: list[Chunk] = []
    with FeatherFile(obs) as whole:
        columns = [name for name in ("soma_joinid", "nnz") if name in whole.schema.names]
    with FeatherFile(obs, columns=columns) as cells:
        for joinids, nnz in _cut(cells, spec.chunk_size):
            key, start = f"{len(chunks):05d}", len(chunks) * spec.chunk_size
            chunk = Chunk(
                key=key,
                row_start=start,
                row_stop=start + len(joinids),
                nnz=int(nnz.sum()),
                n_tiles=n_distinct(joinids // TILE),
                first_joinid=int(joinids[0]),
                last_joinid=int(joinids[-1]),
                fingerprint=fingerprints.of(key, joinids),
            )
            chunks.append(chunk)
    digest = hashlib.sha256("".join(chunk.fingerprint for chunk in chunks).encode()).hexdigest()
    return ChunkPlan(header=replace(header, plan_id=digest[:N_DIGITS]), chunks=tuple(chunks))


def check_n_chunks(spec: SubsetSpec, n_obs: int) -> None:
    """Refuses a chunk_size that makes more partitions than Dagster recommends.

    Raises:
        BadInput: There would be more than `MAX_CHUNKS` chunks.
    """
    n_chunks = -(-n_obs // spec.chunk_size)
    if n_chunks > MAX_CHUNKS:
        raise BadInput(
            f"chunk_size: {spec.chunk_size:,} makes {n_chunks:,} chunks of {n_obs:,} cells, more than the "
            f"{MAX_CHUNKS:,} that Dagster recommends; a chunk_size of {-(-n_obs // MAX_CHUNKS):,} or more fits"
        )


def write_plan(plan: ChunkPlan, path: Path) -> None:
    """Writes a plan as parquet: a row a chunk, the header as JSON in the schema's metadata."""
    table = pa.Table.from_pylist([asdict(chunk) for chunk in plan.chunks])
    pq.write_table(table.replace_schema_metadata({_HEADER: json.dumps(asdict(plan.header)).encode()}), path)


def read_plan(path: Path) -> ChunkPlan:
    """Reads what `write_plan` wrote.

    Raises:
        CxgError: The file is not a plan, or one of another version of this program.
    """
    table = pq.read_table(path)
    try:
        header = _read_header((table.schema.metadata or {})[_HEADER])
    except (KeyError, TypeError, ValueError) as error:
        raise CxgError(
            f"{path.name} is not a chunk plan of this version of cxg_assets; materialize chunk_plan again"
        ) from error
    return ChunkPlan(header=header, chunks=tuple(Chunk(**row) for row in table.to_pylist()))


def _read_header(text: bytes) -> PlanHeader:
    fields = json.loads(text)
    fields.setdefault("encoding_version", 3)  # the last one that plans did not tell
    release, selection = Release.from_fields(fields.pop("release")), Selection.taken_out_of(fields)
    return PlanHeader(release=release, selection=selection, **fields)


def _cut(obs: FeatherFile, chunk_size: int) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """One chunk after the other: its joinids and its cells' nnz, each (n_obs,) int64."""
    joinids, nnz = np.empty(0, np.int64), np.empty(0, np.int64)
    for batch in obs.batches():
        joinids = np.append(joinids, batch["soma_joinid"].to_numpy())
        nnz = np.append(nnz, cell_nnz(batch))
        n_whole = len(joinids) - len(joinids) % chunk_size
        for start in range(0, n_whole, chunk_size):
            yield joinids[start : start + chunk_size], nnz[start : start + chunk_size]
        joinids, nnz = joinids[n_whole:], nnz[n_whole:]
    if len(joinids):
        yield joinids, nnz


def cell_nnz(obs: pa.RecordBatch | pa.Table) -> np.ndarray:
    """Expected non-zeros of each cell, (n_obs,) int64: obs tells it in current builds, else `NNZ_PER_CELL`."""
    if "nnz" not in obs.schema.names:
        return np.full(obs.num_rows, NNZ_PER_CELL, dtype=np.int64)
    return obs["nnz"].to_numpy().astype(np.int64)
