"""Compares a chunk plan with its subset."""

from collections.abc import Sequence

import numpy as np

from cxg_assets.ingest.census.distinct import is_in_order, n_repeated
from cxg_assets.ingest.census.many_hashes import ManyHashes
from cxg_assets.ingest.finding import Finding
from cxg_assets.ingest.plan.chunk_plan import Chunk, ChunkPlan
from cxg_assets.ingest.quantities import counted
from cxg_assets.ingest.storage.store import Store
from cxg_assets.ingest.verify.selection import joinid_batches


def verify_plan(plan: ChunkPlan, store: Store) -> Finding:
    """Whether every cell of the subset is in exactly one chunk, and each chunk has a fingerprint of its own.

    The joinids of the plan's obs are read from the destination, batch by batch; those of shuffled cells are kept in a
    temporary file, 8 bytes each.

    Raises:
        FileNotFoundError: The plan's obs file is not there.
        CxgError: It cannot be read.
    """
    header, chunks = plan.header, plan.chunks
    ends = _Ends(chunks)
    n_obs = n_twice = 0
    last, is_ordered = -1, True
    for joinids in joinid_batches(store, header.obs_path):
        ends.add(n_obs, joinids)
        is_ordered &= is_in_order(joinids) and last <= joinids[0]
        n_twice += n_repeated(joinids) + int(last == joinids[0])
        n_obs, last = n_obs + len(joinids), int(joinids[-1])
    if not is_ordered:
        with ManyHashes() as seen:
            for joinids in joinid_batches(store, header.obs_path):
                seen.add(joinids.astype(np.uint64))
            n_twice = seen.n_repeated()
    n_in_none, n_in_several = _coverage(plan, n_obs)
    n_beyond = sum(max(chunk.row_stop - n_obs, 0) for chunk in chunks)
    misplaced = ends.misplaced()
    n_fingerprints = len({chunk.fingerprint for chunk in chunks})
    wrong = [
        f"{counted(n_in_none, 'cell')} of the subset in no chunk" if n_in_none else "",
        f"{counted(n_in_several, 'cell')} in several chunks" if n_in_several else "",
        f"chunks have {counted(n_beyond, 'row')} that the subset does not have" if n_beyond else "",
        f"cells are in the subset twice: {n_twice:,}" if n_twice else "",
        misplaced,
        f"{counted(n_fingerprints, 'fingerprint')} for {counted(len(chunks), 'chunk')}"
        if n_fingerprints < len(chunks)
        else "",
    ]
    facts = {
        "n_obs": n_obs,
        "n_chunks": len(chunks),
        "n_fingerprints": n_fingerprints,
        "n_in_no_chunk": n_in_none,
        "n_in_several_chunks": n_in_several,
    }
    return Finding.of(wrong, "materialize chunk_plan again", facts)


class _Ends:
    """The least and the greatest joinid of the rows of each chunk, of rows that come in order."""

    def __init__(self, chunks: Sequence[Chunk]) -> None:
        self._coming = sorted(chunks, key=lambda chunk: -chunk.row_start)
        self._here: list[Chunk] = []
        self._found: dict[str, tuple[int, int]] = {}
        self._chunks = chunks

    def add(self, first: int, joinids: np.ndarray) -> None:
        """Takes (n,) joinids of rows from `first` on."""
        stop = first + len(joinids)
        while self._coming and self._coming[-1].row_start < stop:
            self._here.append(self._coming.pop())
        for chunk in self._here:
            cells = joinids[max(chunk.row_start - first, 0) : max(chunk.row_stop - first, 0)]
            if len(cells):
                least, greatest = int(cells.min()), int(cells.max())
                known = self._found.get(chunk.key, (least, greatest))
                self._found[chunk.key] = min(least, known[0]), max(greatest, known[1])
        self._here = [chunk for chunk in self._here if chunk.row_stop > stop]

    def misplaced(self) -> str:
        """The first chunk whose ends are others, in words; empty where there is none."""
        for chunk in self._chunks:
            if self._found.get(chunk.key) != (chunk.first_joinid, chunk.last_joinid):
                return f"chunk {chunk.key} does not have the least and greatest soma_joinid of its rows"
        return ""


def _coverage(plan: ChunkPlan, n_obs: int) -> tuple[int, int]:
    """How many rows of a subset are in no chunk, and how many in several: by where chunks begin and end."""
    chunks = [chunk for chunk in plan.chunks if chunk.row_start < chunk.row_stop]
    ends = [(chunk.row_start, 1) for chunk in chunks] + [(chunk.row_stop, -1) for chunk in chunks]
    n_in_none = n_in_several = n_chunks = last = 0
    for row, step in sorted((min(max(row, 0), n_obs), step) for row, step in [*ends, (n_obs, 0)]):
        n_in_none += (row - last) * (n_chunks == 0)
        n_in_several += (row - last) * (n_chunks > 1)
        n_chunks, last = n_chunks + step, row
    return n_in_none, n_in_several
