"""The chunk plan: which cells go to which chunk."""

import itertools
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from cxg_assets.ingest.census.tiles import TILE
from cxg_assets.ingest.embeddings.obsm import ObsmArray
from cxg_assets.ingest.errors import BadInput, CxgError
from cxg_assets.ingest.formats import FORMATS, H5AD, ChunkFormat
from cxg_assets.ingest.layout import (
    chunk_path,
    plan_obs_path,
    plan_path,
    subset_obs_path,
    zarr_chunk_path,
)
from cxg_assets.ingest.plan.chunk import CHUNK_SCHEMA, Chunk
from cxg_assets.ingest.plan.earlier_versions import upgraded_header
from cxg_assets.ingest.plan.fingerprint import encoding_version
from cxg_assets.ingest.plan.mixing import Mixing
from cxg_assets.ingest.plan.passes.two_passes import TwoPasses
from cxg_assets.ingest.records import decode, encode
from cxg_assets.ingest.sampling import Order
from cxg_assets.ingest.selection.subset import Subset
from cxg_assets.ingest.spec import CENSUS_DATA, VARIABLE
from cxg_assets.ingest.storage.store import Store
from cxg_assets.ingest.x_layers import FurtherLayer, X, further_in_words, in_words

BESIDE_X = {"further_layers": "Further layers", "obs_embeddings": "Embeddings", "obsm_layers": "obsm layers"}
"""What a chunk's origin may tell of arrays beside X, and how it is called on pages."""

_HEADER, _TWO_PASSES = b"cxg_assets", b"cxg_assets_two_passes"


@dataclass(frozen=True, kw_only=True)
class PlanHeader:
    """What all chunks of a plan share.

    Attributes:
        plan_id: Digest of the chunks' fingerprints; names the folder.
        subset: What was selected.
        layer: X layer.
        x_uri: URI of the layer's array.
        further_layers: Layers beside X, by their names in `layers`.
        obsm: Arrays of obsm, by their names there.
        compression: Compression of the chunk files.
        chunk_size: Cells per chunk asked for.
        encoding_version: Version of the chunk format that the fingerprints stand for.
        order: Of the cells of a part.
        pool_obs: Cells of a pool; None in census order.
        mixing: How well the cells are mixed, where they are shuffled and obs tells their datasets.
        genes_text: How text of var is written.
        format: One of `formats.FORMATS`.
    """

    plan_id: str
    subset: Subset
    layer: str
    x_uri: str
    compression: str
    chunk_size: int
    encoding_version: int
    order: Order = field(default_factory=Order)
    pool_obs: int | None = None
    mixing: Mixing | None = None
    genes_text: str = VARIABLE
    format: str = H5AD
    further_layers: Mapping[str, FurtherLayer] = field(default_factory=dict)
    obsm: Mapping[str, ObsmArray] = field(default_factory=dict)

    @property
    def has_own_obs(self) -> bool:
        """Whether its rows are in another order than the subset's."""
        return self.pool_obs is not None or bool(self.subset.parts)

    @property
    def obs_path(self) -> str:
        """Where the obs file is that the rows of its chunks are of, relative to the destination."""
        if self.has_own_obs:
            return plan_obs_path(self.subset.name, self.plan_id)
        return subset_obs_path(self.subset.name, self.subset.fingerprint)

    @property
    def _obsm_provenance(self) -> dict[str, str]:
        hosted = ", ".join(f"{name} ({self.obsm[name].hosted_id})" for name in self.obs_embeddings)
        told = {"obs_embeddings": hosted, "obsm_layers": ", ".join(self.obsm_layers)}
        return {name: text for name, text in told.items() if text}

    @property
    def _further(self) -> dict[str, str]:
        return {name: further.layer for name, further in self.further_layers.items()}

    @property
    def layers_in_words(self) -> str:
        """The layers of its chunks, for a person."""
        return in_words(self.layer, self._further)

    @property
    def array_uris(self) -> dict[str, str]:
        """Where the arrays are that its chunks are read from, by their paths in a chunk: X, then the others."""
        further = {f"layers/{name}": layer.uri for name, layer in self.further_layers.items()}
        return {X: self.x_uri, **further, **{f"obsm/{name}": array.uri for name, array in self.obsm.items()}}

    @property
    def n_features(self) -> int:
        """Columns of all arrays of obsm."""
        return sum(array.n_features for array in self.obsm.values())

    @property
    def obs_embeddings(self) -> tuple[str, ...]:
        """Names in obsm of what is hosted beside the release."""
        return tuple(name for name, array in self.obsm.items() if array.hosted_id)

    @property
    def obsm_layers(self) -> tuple[str, ...]:
        """Names in obsm of what is inside the release."""
        return tuple(name for name, array in self.obsm.items() if not array.hosted_id)

    @property
    def chunk_format(self) -> ChunkFormat:
        """How its chunks lie at the destination."""
        return FORMATS[self.format]

    def path(self, chunk: Chunk) -> str:
        """Where one of its chunks lies, relative to the destination: a file, or a folder of objects."""
        if self.format == H5AD:
            return chunk_path(self.subset.name, self.plan_id, chunk.key, chunk.fingerprint)
        return zarr_chunk_path(self.subset.name, self.plan_id, chunk.split, chunk.key, chunk.fingerprint)

    def marker(self, chunk: Chunk) -> str:
        """The object of a chunk that is stored last: it is stored where that lies."""
        return self.chunk_format.marker_of(self.path(chunk))

    @property
    def order_in_words(self) -> str:
        """The order of the cells and how well it mixes them, for a person."""
        if self.pool_obs is None:
            return "by soma_joinid"
        mixed = "" if self.mixing is None else f": {self.mixing.in_words}"
        return f"{self.order.in_words}, in pools of {self.pool_obs:,} cells{mixed}"

    @property
    def cells_of_first(self) -> int:
        """Cells of the first chunk, which is the largest.

        The bytes of a chunk go by this and not by `chunk_size`: a subset that fits into one chunk is the same file at
        any size that holds it, and has the same fingerprint.
        """
        return min(self.chunk_size, max(self.subset.parts.values(), default=self.subset.n_obs))

    @property
    def provenance(self) -> dict[str, str]:
        """What every chunk's `uns` tells of its origin."""
        selection, further = self.subset.selection, self._further
        order = None if self.pool_obs is None else self.order
        choices = {"sample": selection.sample, "split_by": selection.split, "order": order}
        return {
            "subset": self.subset.name,
            **self.subset.release.provenance,
            "organism": selection.organism,
            "layer": self.layer,
            **({"further_layers": further_in_words(further)} if further else {}),
            **self._obsm_provenance,
            "value_filter": selection.value_filter or "",
            "genes": self.subset.genes_in_words,
            "encoding_version": str(self.encoding_version),
            **selection.quality_provenance,
            **{name: choice.in_words for name, choice in choices.items() if choice is not None},
            **({} if selection.modality == CENSUS_DATA else {"modality": selection.modality}),
        }


@dataclass(frozen=True, kw_only=True)
class ChunkPlan:
    """A header and its chunks in order; of fully shuffled cells also how two passes make them."""

    header: PlanHeader
    chunks: tuple[Chunk, ...]
    two_passes: TwoPasses | None = None

    @property
    def amplification(self) -> float:
        """Cells in the X tiles that a pass decodes, for each cell selected: 1.0 at best.

        A tile that two neighbouring chunks share counts once; of a pool, those of its most scattered chunk.
        """
        pools: dict[int | None, int] = {}
        for chunk in self.chunks:
            pools[chunk.pool] = max(pools.get(chunk.pool, 0), chunk.n_tiles)
        in_order = [chunk for chunk in self.chunks if chunk.pool is None]
        n_tiles = sum(chunk.n_tiles for chunk in in_order) + sum(pools.values()) - pools.get(None, 0)
        for before, after in itertools.pairwise(in_order):
            n_tiles -= before.last_joinid // TILE == after.first_joinid // TILE
        return n_tiles * TILE / self.header.subset.n_obs

    def path(self, chunk: Chunk) -> str:
        """Where a chunk lies, relative to the destination."""
        return self.header.path(chunk)

    def require_known_format(self) -> None:
        """Refuses a plan of which no chunk can be made: it cannot say what ours would, or stands for other bytes.

        Raises:
            BadInput: Another version of this program made the plan.
        """
        self.header.subset.selection.require_complete(self.header.subset.name)
        if self.header.encoding_version != (ours := encoding_version(self.header.format)):
            raise BadInput(
                f"plan {self.header.plan_id} of {self.header.subset.name} is of chunks of format "
                f"{self.header.encoding_version}, this version of cxg_assets writes format {ours}; "
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
                f"chunk {min(unknown)} is not in plan {self.header.plan_id} of {self.header.subset.name} "
                f"({self.chunks[0].key} to {self.chunks[-1].key}); choose one of these, or materialize chunk_plan again"
            )
        return tuple(chunk for chunk in self.chunks if chunk.key in wanted)


def write_plan(plan: ChunkPlan, path: Path) -> None:
    """Writes a plan as parquet: a row a chunk, the header as JSON in the schema's metadata."""
    table = pa.Table.from_pylist([asdict(chunk) for chunk in plan.chunks], schema=CHUNK_SCHEMA)
    passes = {} if plan.two_passes is None else {_TWO_PASSES: encode(plan.two_passes)}
    pq.write_table(table.replace_schema_metadata({_HEADER: encode(plan.header), **passes}), path)


def read_plan(path: Path) -> ChunkPlan:
    """Reads what `write_plan` wrote.

    Raises:
        CxgError: The file is not a plan, or one of another version of this program.
    """
    return _plan_of(pq.read_table(path), path.name)


def _plan_of(table: pa.Table, name: str) -> ChunkPlan:
    remedy = "materialize chunk_plan again"
    metadata = table.schema.metadata or {}
    try:
        text = metadata[_HEADER]
        chunks = tuple(Chunk(**row) for row in table.to_pylist())
    except (KeyError, TypeError) as error:
        raise CxgError(f"{name} is not a chunk plan of this version of cxg_assets; {remedy}") from error
    header = decode(PlanHeader, text, path=name, remedy=remedy, upgrade=upgraded_header)
    passes = metadata.get(_TWO_PASSES)
    two_passes = None if passes is None else decode(TwoPasses, passes, path=name, remedy=remedy)
    return ChunkPlan(header=header, chunks=chunks, two_passes=two_passes)


def load_plan(store: Store, subset_name: str, plan_id: str) -> ChunkPlan:
    """Reads a stored plan.

    Raises:
        FileNotFoundError: It is not there any more; plan ids are told of plans that were stored.
    """
    path = plan_path(subset_name, plan_id)
    try:
        # In memory: it is a few megabytes at most, and a run may have filled the disk for temporary files.
        data = store.get(path)
    except FileNotFoundError as error:
        raise _removed(store, subset_name, plan_id) from error
    # ParquetFile, as read_table loads pyarrow's datasets, and with them pandas.
    return _plan_of(pq.ParquetFile(pa.BufferReader(data)).read(), path)


def require_plan(store: Store, subset_name: str, plan_id: str) -> None:
    """Makes sure that a plan that was read is there still.

    Raises:
        FileNotFoundError: It was removed meanwhile, and so may its chunks have been.
    """
    if not store.exists(plan_path(subset_name, plan_id)):
        raise _removed(store, subset_name, plan_id)


def _removed(store: Store, subset_name: str, plan_id: str) -> FileNotFoundError:
    return FileNotFoundError(
        f"{store.uri(plan_path(subset_name, plan_id))} is not there: plan {plan_id} of {subset_name} was removed "
        f"after it was made, by cxg-assets prune or by hand; {store.follow_up('ingest', subset_name)} plans again "
        "and writes the missing chunks"
    )
