"""Compares a chunk plan with its subset."""

from cxg_assets.ingest.census.distinct import n_repeated, sort_cells
from cxg_assets.ingest.finding import Finding
from cxg_assets.ingest.plan.chunk_plan import ChunkPlan
from cxg_assets.ingest.quantities import counted
from cxg_assets.ingest.storage.store import Store
from cxg_assets.ingest.verify.selection import read_joinids


def verify_plan(plan: ChunkPlan, store: Store) -> Finding:
    """Whether every cell of the subset is in exactly one chunk, and each chunk has a fingerprint of its own.

    The subset's joinids are read from the destination. Memory: 8 bytes a cell of the subset.

    Raises:
        FileNotFoundError: The subset's obs file is not there.
        CxgError: It cannot be read.
    """
    header, chunks = plan.header, plan.chunks
    joinids = read_joinids(store, header.obs_path)
    n_in_none, n_in_several = _coverage(plan, len(joinids))
    n_beyond = sum(max(chunk.row_stop - len(joinids), 0) for chunk in chunks)
    misplaced = ""
    for chunk in chunks:
        cells = joinids[chunk.row_start : chunk.row_stop]
        if not len(cells) or (int(cells.min()), int(cells.max())) != (chunk.first_joinid, chunk.last_joinid):
            misplaced = f"chunk {chunk.key} does not have the least and greatest soma_joinid of its rows"
            break
    sort_cells(joinids)  # which no chunk is compared with any more
    n_twice = n_repeated(joinids)
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
        "n_obs": len(joinids),
        "n_chunks": len(chunks),
        "n_fingerprints": n_fingerprints,
        "n_in_no_chunk": n_in_none,
        "n_in_several_chunks": n_in_several,
    }
    return Finding.of(wrong, "materialize chunk_plan again", facts)


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
