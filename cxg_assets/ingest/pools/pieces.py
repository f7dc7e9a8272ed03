"""Pieces at the destination: what the first pass over fully shuffled cells has put there for the second.

    <plan folder>/pieces-<run id>/set.json      which pools the pieces hold
    <plan folder>/pieces-<run id>/<piece>       see `piece_file`

A run makes pieces of the pools of which chunks are missing, and removes them when all its chunks are stored. What a run
that failed or was killed has left, the next takes up.
"""

import contextlib
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace

import numpy as np

from cxg_assets.ingest.errors import CxgError
from cxg_assets.ingest.layout import PIECES, piece_path, piece_set_path, plan_folder
from cxg_assets.ingest.plan.chunk_plan import Chunk, ChunkPlan
from cxg_assets.ingest.plan.passes.two_passes import Piece, TwoPasses
from cxg_assets.ingest.plan.plan_mark import split_marks
from cxg_assets.ingest.pools.piece_file import Section, read_section
from cxg_assets.ingest.pools.pool_rows import PoolRows
from cxg_assets.ingest.records import decode, encode
from cxg_assets.ingest.storage.local import Listed
from cxg_assets.ingest.storage.store import Store
from cxg_assets.ingest.x.costs import ReadCounters
from cxg_assets.ingest.x_layers import X

N_REQUESTS = 16
"""Sections that a worker gets at once: one of a plan of 100 million cells has some 50 kB."""


@dataclass(frozen=True, kw_only=True)
class PiecesOf:
    """What a set of pieces holds: the numbers of pools, ascending. Stored as set.json."""

    pools: tuple[int, ...]


@dataclass(frozen=True, kw_only=True)
class PieceSet:
    """The pieces that the chunks of a run are made of.

    Attributes:
        subset_name: Name of the subset.
        plan_id: The plan.
        run_id: The run that began them.
        pools: The pools that they hold, ascending; a section of each piece for each.
        two_passes: How the plan's cells are cut.
        arrays: Paths in a chunk of X and of what is beside it, of each of which there is a file.
    """

    subset_name: str
    plan_id: str
    run_id: str
    pools: tuple[int, ...]
    two_passes: TwoPasses
    arrays: tuple[str, ...] = (X,)

    def path(self, piece: Piece, array: str = X) -> str:
        """Where a piece of X, or of another array, lies, relative to the destination."""
        key = piece.key if array == X else f"{piece.key}-{self.arrays.index(array)}"
        return piece_path(self.subset_name, self.plan_id, self.run_id, key)

    def missing(self, store: Store) -> tuple[Piece, ...]:
        """The pieces that are not stored."""
        folder = self.path(self.two_passes.pieces[0]).rpartition("/")[0]
        stored = store.sizes(folder)
        return tuple(
            piece
            for piece in self.two_passes.pieces
            if any(self.path(piece, array) not in stored for array in self.arrays)
        )


def pools_of(chunks: Sequence[Chunk], plan: ChunkPlan) -> tuple[int, ...]:
    """The pools that chunks are of; a chunk that is larger than a pool is several."""
    pool_obs = plan.header.pool_obs
    assert pool_obs is not None
    firsts = [(chunk.pool, -(-chunk.n_obs // pool_obs)) for chunk in chunks if chunk.pool is not None]
    return tuple(sorted({first + number for first, n_pools in firsts for number in range(n_pools)}))


def begin_pieces(store: Store, plan: ChunkPlan, chunks: Sequence[Chunk], run_id: str) -> PieceSet | None:
    """The set of pieces for some chunks: one that a run has left, or a new one. None where one pass makes the plan.

    Of a set that another run may still be using nothing is taken: that run removes it at its end.

    Args:
        store: The destination.
        plan: The plan.
        chunks: The chunks to make.
        run_id: The run that will make them, and has marked the plan.
    """
    if plan.two_passes is None or not chunks:
        return None
    header, pools = plan.header, pools_of(chunks, plan)
    objects = store.objects(plan_folder(header.subset.name, header.plan_id))
    found = [] if len(split_marks(objects)[0]) > 1 else _sets(store, plan, objects)
    fitting = [(run, held) for run, held in found if set(pools) <= set(held)]
    if fitting:
        run_id, pools = max(fitting, key=lambda one: sum(f"/{PIECES}{one[0]}/" in path for path in objects))
    else:
        store.put(piece_set_path(header.subset.name, header.plan_id, run_id), encode(PiecesOf(pools=pools)))
    return PieceSet(
        subset_name=header.subset.name,
        plan_id=header.plan_id,
        run_id=run_id,
        pools=pools,
        two_passes=plan.two_passes,
        arrays=tuple(header.array_uris),
    )


def _sets(store: Store, plan: ChunkPlan, objects: Mapping[str, Listed]) -> list[tuple[str, tuple[int, ...]]]:
    """The runs that have left a set of pieces, and the pools that it holds."""
    found: list[tuple[str, tuple[int, ...]]] = []
    for path in objects:
        run_id = path.split("/")[-2].removeprefix(PIECES)
        if path == piece_set_path(plan.header.subset.name, plan.header.plan_id, run_id):
            found.append((run_id, decode(PiecesOf, store.get(path), path=path, remedy="delete it").pools))
    return found


def remove_pieces(store: Store, pieces: PieceSet) -> None:
    """Removes a set whose chunks are stored, and what runs have left that were killed; not what others may still use.

    Of a set its set.json goes first, so that no other run takes it up.
    """
    objects = store.objects(plan_folder(pieces.subset_name, pieces.plan_id))
    has_others = len(split_marks(objects)[0]) > 1
    own = piece_set_path(pieces.subset_name, pieces.plan_id, pieces.run_id)
    names = (own.rpartition("/")[0] if has_others else plan_folder(pieces.subset_name, pieces.plan_id)) + "/"
    paths = [path for path in objects if path.startswith(names) and path.split("/")[-2].startswith(PIECES)]
    for path in sorted(paths, key=lambda path: not path.endswith("/set.json")):
        with contextlib.suppress(FileNotFoundError):
            store.delete(path)


class PieceReader:
    """Reads the cells of a pool out of all pieces of a set, of one array."""

    def __init__(self, store: Store, pieces: PieceSet, dtype: np.dtype, array: str = X) -> None:
        """Reads nothing yet. `dtype` is that of the values of `array`, X or another."""
        self._store, self._pieces, self._array, self._dtype = store, pieces, array, dtype
        self._section_of = {pool: number for number, pool in enumerate(pieces.pools)}
        self._offsets: dict[str, np.ndarray] = {}
        self.counted = ReadCounters()
        """What was read of pieces so far."""

    def read(self, pool: int, joinids: np.ndarray) -> PoolRows:
        """Cells of a pool.

        Args:
            pool: Its number.
            joinids: (n_rows,) int64 soma_joinids, in the order that is wanted.

        Raises:
            CxgError: A piece is damaged, or lacks a cell.
            FileNotFoundError: A piece is not there.
        """
        number, n_known = self._section_of[pool], len(self._offsets)
        with ThreadPoolExecutor(N_REQUESTS) as threads:
            sections = list(threads.map(lambda piece: self._section(piece, number), self._pieces.two_passes.pieces))
        self._count(number, n_new=len(self._offsets) - n_known)
        found = np.concatenate([section.joinids for section in sections])
        order = np.minimum(np.searchsorted(found, joinids), len(found) - 1)
        if not len(found) or not np.array_equal(found[order], joinids):
            folder = self._store.uri(self._pieces.path(self._pieces.two_passes.pieces[0]).rpartition("/")[0])
            raise CxgError(f"{folder} lacks cells of pool {pool}; delete the folder and run again")
        return PoolRows([section.rows for section in sections], order, self._dtype)

    def _count(self, number: int, n_new: int) -> None:
        """Adds one section of each piece, and the offsets of so many pieces, which are read once."""
        of_sections = sum(int(offsets[number + 1] - offsets[number]) for offsets in self._offsets.values())
        of_offsets = n_new * 8 * (len(self._pieces.pools) + 1)
        self.counted = replace(
            self.counted,
            bytes_read=self.counted.bytes_read + of_sections + of_offsets,
            requests=self.counted.requests + len(self._offsets) + n_new,
        )

    def _section(self, piece: Piece, number: int) -> Section:
        path = self._pieces.path(piece, self._array)
        if path not in self._offsets:
            n_offsets = len(self._pieces.pools) + 1
            self._offsets[path] = np.frombuffer(self._store.get_range(path, 0, 8 * n_offsets)[0], "<i8")
        start, stop = (int(offset) for offset in self._offsets[path][number : number + 2])
        return read_section(self._store.get_range(path, start, stop)[0], self._store.uri(path))
