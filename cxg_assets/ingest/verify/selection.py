"""Compares census index and filtered subset with what they were made from: rows, and the cells that were asked for."""

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
import pyarrow as pa

from cxg_assets.ingest.census.census import CensusLocator
from cxg_assets.ingest.census.distinct import is_in_order, n_repeated, sort_cells
from cxg_assets.ingest.census.repeated_cells import CELL, has_none
from cxg_assets.ingest.census.row_hashes import hash_rows
from cxg_assets.ingest.errors import CxgError
from cxg_assets.ingest.filters.grammar import Condition, Node, Source, parse_expression
from cxg_assets.ingest.finding import Fact, Finding
from cxg_assets.ingest.layout import index_json_path, index_path, subset_obs_path
from cxg_assets.ingest.quantities import counted
from cxg_assets.ingest.selection.index import CensusIndex
from cxg_assets.ingest.selection.subset import Subset
from cxg_assets.ingest.storage.feather import FeatherFile, FeatherSource, feather_source
from cxg_assets.ingest.storage.store import Store
from cxg_assets.ingest.verify.split import verify_split

PRIMARY = "is_primary_data"
BATCHES_AT_ONCE = 64
"""Batches of an index whose joinids are looked at before what else is needed of them is fetched, several at once."""

AGAIN = "materialize filtered_subset again"


class SubsetFindings(NamedTuple):
    """What was found of a subset.

    Attributes:
        contents: As many cells and genes as it says, all of them in the index.
        primary: Primary cells only, where its filter asks for them.
        duplicates: No cell twice.
        split: No group in two parts.
    """

    contents: Finding
    primary: Finding
    duplicates: Finding
    split: Finding


def verify_index(index: CensusIndex, store: Store, census: CensusLocator) -> Finding:
    """Whether an index has as many rows as the Census counts, in a file that is whole.

    Only counts are read: obs' own from its array's metadata, the file's size from a listing of the default store.

    Raises:
        BadInput: The Census cannot be opened, or does not have the organism any more.
    """
    path = index_path(index.release.version, index.organism)
    n_bytes = store.sizes(path.rpartition("/")[0]).get(path, 0)
    with census.open() as opened:
        n_census = opened.obs(index.organism).count
    rows, cells = counted(index.n_obs, "row"), counted(n_census, f"{index.organism} cell")
    wrong = [
        f"the index has {rows}, the Census counts {cells}" if index.n_obs != n_census else "",
        f"{store.uri(path)} has {n_bytes:,} bytes, {index.n_bytes:,} were written" if n_bytes != index.n_bytes else "",
    ]
    beside = store.uri(index_json_path(index.release.version, index.organism))
    facts = {
        "n_obs": index.n_obs,
        "n_obs_of_census": n_census,
        "n_bytes": n_bytes,
        "expected_n_bytes": index.n_bytes,
    }
    return Finding.of(wrong, f"delete {beside} and materialize census_index again", facts)


def verify_subset(subset: Subset, name: str, store: Store, index: CensusIndex, index_store: Store) -> SubsetFindings:
    """Compares the cells of a subset's obs file with the index; it is judged by the filter that selected it.

    Memory: 17 bytes a cell of the subset and a batch of the index, decoded. Of an index in S3 all joinids are fetched,
    and of what else is looked at the batches with a cell of the subset; what tells cells apart only where the index
    has one twice.

    Raises:
        FileNotFoundError: A file is not there.
        CxgError: The subset's obs file cannot be read.
    """
    obs_path = subset_obs_path(name, subset.fingerprint)
    joinids = read_joinids(store, obs_path)
    sort_cells(joinids)
    source = feather_source(index_store, index_path(index.release.version, index.organism))
    with FeatherFile(source) as opened:
        names = set(opened.schema.names)
        # Where no cell of the whole index is there twice, none of the subset is; to see it again is most of what is
        # read.
        is_known = has_none(opened.note)
    columns = [name for name in (PRIMARY, *(() if is_known else CELL)) if name in names]
    n_unknown, n_not_primary, n_same_cell = _look_up(joinids, source, columns)
    return SubsetFindings(
        contents=_contents(subset, len(joinids), n_unknown),
        primary=_primary(subset.selection.value_filter, n_not_primary if PRIMARY in names else None),
        duplicates=_duplicates(joinids, n_same_cell if names.issuperset(CELL) else None),
        split=verify_split(subset, feather_source(store, obs_path)),
    )


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
        raise CxgError(f"{store.uri(path)} is damaged ({error}); {AGAIN}") from error


def asks_for_primary(value_filter: str | None) -> bool:
    """Whether only primary cells can pass a filter."""
    if value_filter is None:
        return False
    return _demands_primary(parse_expression(Source(text=value_filter.strip(), where="value_filter")))


def _demands_primary(node: Node) -> bool:
    if isinstance(node, Condition):
        is_true = (node.op, node.values) in (("==", (True,)), ("!=", (False,)))
        return node.column == PRIMARY and is_true
    demands = [_demands_primary(term) for term in node.terms]
    return any(demands) if node.joiner == "and" else all(demands)


def _look_up(joinids: np.ndarray, index: FeatherSource, columns: list[str]) -> tuple[int, int, int]:
    """Finds cells in an index, batch by batch; batches without one of them are not decoded but for their joinids.

    Joinids are (n_obs,) int64 in order; columns are what the index has of `PRIMARY` and `CELL`, as far as it is looked
    up. Memory: 9 bytes a cell and a batch.

    Returns:
        Cells that it does not have; cells that it has and that are not primary; cells whose `CELL` is another's too.
    """
    is_found = np.zeros(len(joinids), np.bool_)
    hashes = np.empty(len(joinids) if set(CELL) <= set(columns) else 0, np.uint64)
    n_not_primary = n_hashes = 0
    with FeatherFile(index, columns=("soma_joinid",)) as places, FeatherFile(index, columns=columns) as looked_up:
        for rows, whole in _hits(joinids, is_found, places, looked_up):
            if not columns:
                continue
            batch = whole.take(pa.array(rows))
            if PRIMARY in columns:
                n_not_primary += len(rows) - int(np.sum(batch[PRIMARY].to_numpy(zero_copy_only=False).astype(bool)))
            if len(hashes):
                hashes[n_hashes : n_hashes + len(rows)] = hash_rows([batch[name] for name in CELL])
                n_hashes += len(rows)
    hashes = hashes[:n_hashes]
    sort_cells(hashes)
    return len(joinids) - int(np.count_nonzero(is_found)), n_not_primary, n_repeated(hashes)


def _hits(
    joinids: np.ndarray, is_found: np.ndarray, places: FeatherFile, looked_up: FeatherFile
) -> Iterator[tuple[np.ndarray, pa.RecordBatch]]:
    """For each batch of an index (`places`: its joinids) that has any of the cells, their rows and what is looked up.

    Writes (n_obs,) bool `is_found`.
    """
    for first in range(0, places.n_batches, BATCHES_AT_ONCE):
        numbers = range(first, min(first + BATCHES_AT_ONCE, places.n_batches))
        found = {
            number: _rows_of(joinids, batch["soma_joinid"].to_numpy(), is_found)
            for number, batch in zip(numbers, places.batches(numbers), strict=True)
        }
        hits = [number for number, rows in found.items() if len(rows)]
        for number, batch in zip(hits, looked_up.batches(hits), strict=True):
            yield found[number], batch


def _rows_of(joinids: np.ndarray, known: np.ndarray, is_found: np.ndarray) -> np.ndarray:
    """The rows of a batch of the index, each once, of the cells that are looked for and not found yet; marks them.

    `known` is (n_rows,) int64, the joinids of the batch; in order in every index that `write_index` wrote.
    """
    if not len(known):
        return np.empty(0, np.int64)
    order = None
    if not is_in_order(known):
        order = np.argsort(known, kind="stable")
        known = known[order]
    here = slice(*np.searchsorted(joinids, (known[0], known[-1] + 1)))
    rows = np.searchsorted(known, joinids[here])
    is_here = (known[rows] == joinids[here]) & ~is_found[here]
    is_found[here] |= is_here
    rows = rows[is_here]
    rows = rows[np.append(True, rows[1:] > rows[:-1])[: len(rows)]]
    return rows if order is None else order[rows]


def _contents(subset: Subset, n_obs: int, n_unknown: int) -> Finding:
    wrong = [
        "the subset has no cells; loosen value_filter" if n_obs == 0 else "",
        "the subset has no genes; loosen genes" if subset.n_vars == 0 else "",
        f"obs.feather has {counted(n_obs, 'cell')}, subset.json says {subset.n_obs:,}; {AGAIN}"
        if n_obs != subset.n_obs
        else "",
        f"{counted(n_unknown, 'cell')} missing in the census index; {AGAIN}" if n_unknown else "",
    ]
    facts = {
        "n_obs": n_obs,
        "n_vars": subset.n_vars,
        "n_obs_before": subset.n_obs_before,
        "n_vars_before": subset.n_vars_before,
    }
    return Finding.of(wrong, facts=facts)


def _primary(value_filter: str | None, n_not_primary: int | None) -> Finding:
    is_asked = asks_for_primary(value_filter)
    facts: dict[str, Fact] = {"asked_for": "primary cells only" if is_asked else "no matter whether they are primary"}
    if n_not_primary is None:
        return Finding(facts=facts | {"not_looked_at": f"obs of this build has no {PRIMARY}"})
    others = f"{counted(n_not_primary, 'cell')} not primary, and value_filter asks for {PRIMARY} == True"
    return Finding.of([others if is_asked and n_not_primary else ""], AGAIN, facts | {"n_not_primary": n_not_primary})


def _duplicates(joinids: np.ndarray, n_cells: int | None) -> Finding:
    n_joinids = n_repeated(joinids)
    facts: dict[str, Fact] = {"n_obs": len(joinids), "n_same_soma_joinid": n_joinids}
    if n_cells is None:
        facts |= {"not_looked_at": f"obs of this build has no {' and '.join(CELL)}"}
    else:
        facts |= {"n_same_observation_joinid_in_dataset": n_cells}
    wrong = [
        f"{counted(n_joinids, 'cell')} with the soma_joinid of another" if n_joinids else "",
        f"{counted(n_cells, 'cell')} with dataset_id and observation_joinid of another" if n_cells else "",
    ]
    advice = "look at them in the census index; exclude their datasets by dataset_id, or ask for primary cells only"
    return Finding.of(wrong, advice, facts)
