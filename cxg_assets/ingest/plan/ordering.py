"""The obs file of a plan: the rows of its subset part by part, and inside a part in the order that is asked for.

The files of a plan hold rows that follow each other in it. A plan in census order without a split needs none of its
own: the subset's is in that order.
"""

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa

from cxg_assets.ingest.census.tiles import TILE
from cxg_assets.ingest.plan.chunk_plan import PlanHeader
from cxg_assets.ingest.plan.passes.two_passes import CELLS
from cxg_assets.ingest.sampling import FULLY_SHUFFLED
from cxg_assets.ingest.selection.subset import ROWS_PER_BATCH
from cxg_assets.ingest.spec import SPLIT
from cxg_assets.ingest.storage.feather import FeatherFile, FeatherSource, present_columns, write_feather

POOL_NNZ = 100_000_000
"""Non-zeros of a pool, about 60,000 cells: 210 MB of counts as a worker holds them, and it holds two pools. Not a
setting: it decides the order."""

OF_NO_COUNT = 2.4
"""Values that are no counts take 5.1 bytes where counts take 2.1 (`pools/packed_rows.py`): for each of a further layer
or of obsm, which a worker holds as well, a pool has so many non-zeros of X less."""

ROWS_PER_FILE = 1_000_000
"""Rows that are sorted in memory at once; a subset with more goes through so many more temporary files."""

_BATCHES = 8
"""Batches of a subset that are spread at once."""

_TILES = 3
"""Purpose of `hash_cells` for the order of rows of tiles."""

_MAJOR, _MINOR = "\0major", "\0minor"

Keys = Callable[[np.ndarray, np.ndarray], tuple[np.ndarray, np.ndarray]]
"""For joinids and parts of rows, in the order of the subset: the two numbers that sort them, the first from 0."""


@dataclass(frozen=True, kw_only=True)
class Pools:
    """How the cells of a part are cut into pools, which are read and mixed as a whole.

    No chunk is in two pools, but for chunks that are larger than a pool: such a chunk is several whole ones.

    Attributes:
        n_obs: Cells of a pool.
        chunk_size: Cells of a chunk.
    """

    n_obs: int
    chunk_size: int

    @classmethod
    def of(cls, n_obs: int, nnz: int, chunk_size: int) -> "Pools":
        """The pools of a subset: whole chunks of about `POOL_NNZ`, or a whole part of a chunk.

        Args:
            n_obs: Its cells.
            nnz: Their non-zeros.
            chunk_size: Cells of a chunk.
        """
        nnz_per_chunk = max(nnz * chunk_size // n_obs, 1)
        if nnz_per_chunk <= POOL_NNZ:
            return cls(n_obs=POOL_NNZ // nnz_per_chunk * chunk_size, chunk_size=chunk_size)
        return cls(n_obs=-(-chunk_size // -(-nnz_per_chunk // POOL_NNZ)), chunk_size=chunk_size)

    def number(self, rows: np.ndarray) -> np.ndarray:
        """The pool of each row, counted from the part's first; (n,) int64, of (n,) int64."""
        if self.n_obs >= self.chunk_size:
            return rows // self.n_obs
        return rows // self.chunk_size * -(-self.chunk_size // self.n_obs) + rows % self.chunk_size // self.n_obs

    def first_rows(self, n_obs: int) -> np.ndarray:
        """The first rows of the pools of a part with so many cells, (n_pools,) int64."""
        if self.n_obs >= self.chunk_size:
            return np.arange(0, n_obs, self.n_obs)
        in_chunk = np.arange(0, self.chunk_size, self.n_obs)
        rows = (np.arange(0, n_obs, self.chunk_size)[:, None] + in_chunk).ravel()
        return rows[rows < n_obs]


def held_nnz(header: PlanHeader, nnz: int) -> int:
    """The values that pools of a plan hold, in such as take as much memory as counts; of X alone `nnz`."""
    others = nnz * len(header.further_layers) + header.subset.n_obs * header.n_features
    return nnz + round(others * OF_NO_COUNT)


def write_ordered_obs(header: PlanHeader, obs: FeatherSource, path: Path) -> None:
    """Writes the obs file of a plan.

    Memory: `ROWS_PER_FILE` rows, and a few numbers for each row of X tiles.

    Args:
        header: The plan; split, order, chunk_size and pools decide the order.
        obs: The subset's obs file, in soma_joinid order.
        path: Written, with the same columns. Temporary files lie beside it.
    """
    with FeatherFile(obs) as file:
        schema = file.schema
        keys, rows_per_major = _keys_of(header, obs)
        majors_per_file = max(ROWS_PER_FILE // rows_per_major, 1)
        spread = _spread(file, keys, majors_per_file, path)
    write_feather(path, _sorted(spread, schema), schema, ROWS_PER_BATCH)


def _keys_of(header: PlanHeader, obs: FeatherSource) -> tuple[Keys, int]:
    """What sorts the rows, and how many of them share a first number."""
    n_of_parts = np.array(list(header.subset.parts.values()) or [header.subset.n_obs])
    if header.pool_obs is None:
        places = _Places(np.cumsum(n_of_parts) - n_of_parts, n_tiles=1)
        return lambda joinids, parts: _by_place(places(np.zeros_like(joinids), parts)), ROWS_PER_FILE
    from cxg_assets.ingest.choice.draws import hash_cells

    if header.order.kind == FULLY_SHUFFLED:
        n_files = n_of_parts // ROWS_PER_FILE + 1
        first_file = np.cumsum(n_files) - n_files

        def full_keys(joinids: np.ndarray, parts: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
            hashes = hash_cells(joinids, header.order.seed, CELLS)
            in_part = (hashes >> np.uint64(32)).astype(np.int64) * n_files[parts] >> 32
            return first_file[parts] + in_part, hashes

        return full_keys, ROWS_PER_FILE
    counts = _count_tiles(obs, len(n_of_parts))
    drawn = np.argsort(hash_cells(np.arange(counts.shape[1]), header.order.seed, _TILES))
    starts = np.empty_like(counts)
    starts[:, drawn] = np.cumsum(counts[:, drawn], axis=1) - counts[:, drawn]
    places = _Places(starts.ravel(), counts.shape[1])
    pools = Pools(n_obs=header.pool_obs, chunk_size=header.chunk_size)
    n_pools = pools.number(n_of_parts - 1) + 1
    first_pool = np.cumsum(n_pools) - n_pools

    def keys(joinids: np.ndarray, parts: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        in_part = places(joinids // TILE, parts)
        return first_pool[parts] + pools.number(in_part), hash_cells(joinids, header.order.seed, CELLS)

    return keys, header.pool_obs


def _by_place(places: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    return places // ROWS_PER_FILE, places.astype(np.uint64)


class _Places:
    """Hands out places: the rows of each tile of a part follow each other, in the order in which they come."""

    def __init__(self, starts: np.ndarray, n_tiles: int) -> None:
        """Begins.

        Args:
            starts: (n_parts * n_tiles,) int64, place of the first row of each tile of each part.
            n_tiles: Tiles of a part.
        """
        self._next = starts.astype(np.int64)
        self._n_tiles = n_tiles

    def __call__(self, tiles: np.ndarray, parts: np.ndarray) -> np.ndarray:
        """The place of each row, (n,) int64."""
        group = parts * self._n_tiles + tiles
        order = np.argsort(group, kind="stable")
        group = group[order]
        is_first = np.append(True, group[1:] != group[:-1])
        first = np.flatnonzero(is_first)
        lengths = np.diff(np.append(first, len(group)))
        places = np.empty(len(group), np.int64)
        places[order] = self._next[group] + np.arange(len(group)) - np.repeat(first, lengths)
        self._next[group[first]] += lengths
        return places


def _count_tiles(obs: FeatherSource, n_parts: int) -> np.ndarray:
    """Cells of each part in each row of tiles, (n_parts, n_tiles) int64."""
    counts = np.zeros((n_parts, 0), np.int64)
    with FeatherFile(obs, columns=present_columns(obs, ("soma_joinid", SPLIT))) as file:
        for batch in file.batches():
            tiles, parts = batch["soma_joinid"].to_numpy() // TILE, parts_of(batch)
            n_more = int(tiles.max()) + 1 - counts.shape[1]
            counts = np.pad(counts, ((0, 0), (0, max(n_more, 0))))
            n_tiles = counts.shape[1]
            counts += np.bincount(parts * n_tiles + tiles, minlength=counts.size).reshape(counts.shape)
    return counts


def parts_of(batch: pa.RecordBatch) -> np.ndarray:
    """The number of each row's part, (n,) int64; 0 without a split."""
    if SPLIT not in batch.schema.names:
        return np.zeros(batch.num_rows, np.int64)
    return batch[SPLIT].indices.to_numpy().astype(np.int64)


def _spread(file: FeatherFile, keys: Keys, majors_per_file: int, path: Path) -> list[Path]:
    """Writes each row, with its keys, to the file of its place; the files one after the other are all rows."""
    names: dict[int, Path] = {}
    with ExitStack() as stack:
        writers: dict[int, pa.ipc.RecordBatchStreamWriter] = {}
        for batch in _joined(file.batches()):
            major, minor = keys(batch["soma_joinid"].to_numpy(), parts_of(batch))
            number = major // majors_per_file
            batch = batch.append_column(_MAJOR, pa.array(major)).append_column(_MINOR, pa.array(minor))
            order = np.argsort(number, kind="stable")
            edges = np.flatnonzero(np.append(True, np.diff(number[order]) != 0))
            for start, stop in zip(edges, np.append(edges[1:], len(order)), strict=True):
                to = int(number[order[start]])
                if to not in writers:
                    names[to] = path.with_name(f"{path.name}.{to}")
                    sink = stack.enter_context(pa.OSFile(str(names[to]), "wb"))
                    writers[to] = stack.enter_context(pa.ipc.new_stream(sink, batch.schema))
                writers[to].write_batch(batch.take(pa.array(order[start:stop])))
    return [names[number] for number in sorted(names)]


def _joined(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
    waiting: list[pa.RecordBatch] = []
    for batch in batches:
        waiting.append(batch)
        if len(waiting) == _BATCHES:
            yield pa.concat_batches(waiting)
            waiting = []
    if waiting:
        yield pa.concat_batches(waiting)


def _sorted(files: list[Path], schema: pa.Schema) -> Iterator[pa.RecordBatch]:
    for path in files:
        with pa.OSFile(str(path)) as source:
            rows = pa.ipc.open_stream(source).read_all()
        path.unlink()
        order = np.lexsort((rows[_MINOR].to_numpy(), rows[_MAJOR].to_numpy()))
        yield from rows.select(schema.names).take(pa.array(order)).combine_chunks().to_batches()
