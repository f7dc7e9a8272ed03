"""What a look at one thing that was made found: the answer of every check, and the looks at index and plan."""

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
import pyarrow as pa

from cxg_assets.ingest.census.census import CensusLocator
from cxg_assets.ingest.census.distinct import n_repeated, sort_cells
from cxg_assets.ingest.errors import CxgError
from cxg_assets.ingest.layout import index_path, subset_obs_path
from cxg_assets.ingest.plan.chunk_plan import ChunkPlan
from cxg_assets.ingest.quantities import counted
from cxg_assets.ingest.selection.index import CensusIndex
from cxg_assets.ingest.storage.feather import FeatherFile, feather_source
from cxg_assets.ingest.storage.store import Store

Fact = int | float | str | list[str]


@dataclass(frozen=True, kw_only=True)
class Audit:
    """What was looked at, and what is wrong with it.

    Attributes:
        wrong: What is wrong and what to do, in words; empty when all is right.
        facts: What was counted and looked at, by name.
    """

    wrong: str = ""
    facts: Mapping[str, Fact] = field(default_factory=dict)

    @property
    def passed(self) -> bool:
        """Whether all is right."""
        return not self.wrong


def audit_index(index: CensusIndex, store: Store, census: CensusLocator) -> Audit:
    """Compares an index with the Census: as many rows as the Census counts, in a file that is whole.

    Only counts are read: obs' own from its array's metadata, the file's size from a listing.

    Args:
        index: What is known of the index.
        store: The default store.
        census: Where its release is.

    Raises:
        BadInput: The Census cannot be opened, or does not have the organism any more.
    """
    path = index_path(index.release.version, index.organism)
    n_bytes = store.sizes(path.rpartition("/")[0]).get(path, 0)
    with census.open() as opened:
        n_census = opened.obs(index.organism).count
    facts: dict[str, Fact] = {
        "n_obs": index.n_obs,
        "n_obs_of_census": n_census,
        "n_bytes": n_bytes,
        "expected_n_bytes": index.n_bytes,
    }
    wrong: list[str] = []
    if index.n_obs != n_census:
        cells = counted(n_census, f"{index.organism} cell")
        wrong.append(f"the index has {counted(index.n_obs, 'row')}, the Census counts {cells}")
    if n_bytes != index.n_bytes:
        wrong.append(f"{store.uri(path)} has {n_bytes:,} bytes, {index.n_bytes:,} were written")
    if wrong:
        beside = f"{path.removesuffix('.feather')}.json"
        wrong[-1] += f". Delete {store.uri(beside)} and materialize census_index again"
    return Audit(wrong="; ".join(wrong), facts=facts)


def audit_plan(plan: ChunkPlan, store: Store) -> Audit:
    """Looks whether every cell of the subset is in exactly one chunk, and whether each chunk has a fingerprint.

    Memory: 8 bytes a cell of the subset.

    Args:
        plan: The plan.
        store: The destination; the subset's joinids are read from there.

    Raises:
        FileNotFoundError: The subset's obs file is not there.
        CxgError: It cannot be read.
    """
    header = plan.header
    joinids = read_joinids(store, subset_obs_path(header.subset, header.subset_fingerprint))
    n_in_none, n_in_several = _coverage(plan, len(joinids))
    n_beyond, misplaced = 0, ""
    for chunk in plan.chunks:
        n_beyond += max(chunk.row_stop - len(joinids), 0)
        cells = joinids[chunk.row_start : chunk.row_stop]
        ends = (chunk.first_joinid, chunk.last_joinid)
        if not misplaced and (len(cells) == 0 or (int(cells[0]), int(cells[-1])) != ends):
            misplaced = f"chunk {chunk.key} does not begin and end with the cells of its rows"
    sort_cells(joinids)  # which no chunk is compared with any more
    n_twice = n_repeated(joinids)
    n_fingerprints = len({chunk.fingerprint for chunk in plan.chunks})
    facts: dict[str, Fact] = {
        "n_obs": len(joinids),
        "n_chunks": len(plan.chunks),
        "n_fingerprints": n_fingerprints,
        "n_in_no_chunk": n_in_none,
        "n_in_several_chunks": n_in_several,
    }
    wrong = [
        f"{counted(n_in_none, 'cell')} of the subset in no chunk" if n_in_none else "",
        f"{counted(n_in_several, 'cell')} in several chunks" if n_in_several else "",
        f"chunks have {counted(n_beyond, 'row')} that the subset does not have" if n_beyond else "",
        f"cells are in the subset twice: {n_twice:,}" if n_twice else "",
        misplaced,
        f"{counted(n_fingerprints, 'fingerprint')} for {counted(len(plan.chunks), 'chunk')}"
        if n_fingerprints < len(plan.chunks)
        else "",
    ]
    found = "; ".join(what for what in wrong if what)
    return Audit(wrong=f"{found}. Materialize chunk_plan again" if found else "", facts=facts)


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


def read_joinids(store: Store, path: str) -> np.ndarray:
    """soma_joinids of a feather file of the store, (n_obs,) int64, in its order; the array is the caller's to change.

    Batch by batch, since all at once would be there twice: in Arrow's memory, and in one piece.

    Raises:
        FileNotFoundError: It is not there.
        CxgError: It cannot be read.
    """
    source = feather_source(store, path)
    try:
        with FeatherFile(source, columns=("soma_joinid",)) as opened:
            joinids = np.empty(opened.n_rows, np.int64)
            n_obs = 0
            for batch in opened.batches():
                joinids[n_obs : n_obs + batch.num_rows] = batch["soma_joinid"].to_numpy()
                n_obs += batch.num_rows
            return joinids
    except (pa.ArrowException, OSError, KeyError, ValueError) as error:
        raise CxgError(f"{store.uri(path)} is damaged ({error}); materialize filtered_subset again") from error
