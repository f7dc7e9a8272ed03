"""Compares census index and filtered subset with what they were made from: rows, and the cells that were asked for."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import pyarrow as pa

from cxg_assets.ingest.census.census import CensusLocator
from cxg_assets.ingest.census.distinct import is_in_order, n_repeated
from cxg_assets.ingest.census.many_hashes import ManyHashes
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
AT_ONCE = 1 << 20
"""Cells of a subset that are looked up at once: 8 MiB of joinids."""

BATCHES_AT_ONCE = 32
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

    Memory: `AT_ONCE` cells and a few batches of the index, decoded. Of an index in S3 all joinids are fetched,
    and of what else is looked at the batches with a cell of the subset; what tells cells apart only where the index
    has one twice.

    Raises:
        FileNotFoundError: A file is not there.
        CxgError: The subset's obs file cannot be read.
    """
    obs_path = subset_obs_path(name, subset.fingerprint)
    source = feather_source(index_store, index_path(index.release.version, index.organism))
    with FeatherFile(source) as opened:
        names = set(opened.schema.names)
        # Where no cell of the whole index is there twice, none of the subset is; to see it again is most of what is
        # read.
        is_known = has_none(opened.note)
    columns = [name for name in (PRIMARY, *(() if is_known else CELL)) if name in names]
    try:
        found = _look_up(_slices(store, obs_path), source, columns)
    except _NotInOrder:
        joinids = np.concatenate(list(joinid_batches(store, obs_path)))
        joinids.sort()
        found = _look_up([joinids], source, columns)
    return SubsetFindings(
        contents=_contents(subset, found.n_obs, found.n_unknown),
        primary=_primary(subset.selection.value_filter, found.n_not_primary if PRIMARY in names else None),
        duplicates=_duplicates(found, names.issuperset(CELL)),
        split=verify_split(subset, feather_source(store, obs_path)),
    )


def joinid_batches(store: Store, path: str) -> Iterator[np.ndarray]:
    """soma_joinids of a feather file of the store, in its order, a batch at a time: each (n,) int64, n above 0.

    Raises:
        FileNotFoundError: It is not there.
        CxgError: It cannot be read.
    """
    source = feather_source(store, path)
    try:
        with FeatherFile(source, columns=("soma_joinid",)) as opened:
            for batch in opened.batches():
                if batch.num_rows:
                    yield batch["soma_joinid"].to_numpy()
    except (pa.ArrowException, OSError, KeyError, ValueError) as error:
        raise CxgError(f"{store.uri(path)} is damaged ({error}); {AGAIN}") from error


def _slices(store: Store, path: str) -> Iterator[np.ndarray]:
    """The same in order, `AT_ONCE` at a time; all at once where the file is in no order."""
    held: list[np.ndarray] = []
    last = -1
    for joinids in joinid_batches(store, path):
        if last > joinids[0] or not is_in_order(joinids):
            raise _NotInOrder
        last = int(joinids[-1])
        held.append(joinids)
        if sum(map(len, held)) >= AT_ONCE:
            yield np.concatenate(held)
            held = []
    if held:
        yield np.concatenate(held)


class _NotInOrder(Exception):
    """A subset's joinids are not, as in every one that `write_subset` wrote."""


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


@dataclass(kw_only=True)
class _LookedUp:
    """What was found of a subset's cells in an index.

    Attributes:
        n_obs: Cells.
        n_same_joinid: Those with the joinid of another.
        n_unknown: Those that the index does not have.
        n_not_primary: Those that it has and that are not primary.
        n_same_cell: Those whose `CELL` is another's too.
    """

    n_obs: int = 0
    n_same_joinid: int = 0
    n_unknown: int = 0
    n_not_primary: int = 0
    n_same_cell: int = 0


def _look_up(slices: Iterable[np.ndarray], index: FeatherSource, columns: list[str]) -> _LookedUp:
    """Finds cells in an index, batch by batch; batches without one of them are not decoded but for their joinids.

    Each slice has (n,) int64 joinids in order, from those of the one before on; columns are what the index has of
    `PRIMARY` and `CELL`, as far as it is looked up.
    """
    found = _LookedUp()
    first, last = 0, -1
    with (
        ManyHashes() as hashes,
        FeatherFile(index, columns=("soma_joinid",)) as places,
        FeatherFile(index, columns=columns) as looked_up,
    ):
        for joinids in slices:
            found.n_obs += len(joinids)
            found.n_same_joinid += n_repeated(joinids) + int(last == joinids[0])
            last = int(joinids[-1])
            is_found = np.zeros(len(joinids), np.bool_)
            for number, rows, whole in _hits(joinids, is_found, places, looked_up, first):
                first = number
                if not columns:
                    continue
                batch = whole.take(pa.array(rows))
                if PRIMARY in columns:
                    is_primary = batch[PRIMARY].to_numpy(zero_copy_only=False).astype(bool)
                    found.n_not_primary += len(rows) - int(np.sum(is_primary))
                if set(CELL) <= set(columns):
                    hashes.add(hash_rows([batch[name] for name in CELL]))
            found.n_unknown += len(joinids) - int(np.count_nonzero(is_found))
        found.n_same_cell = hashes.n_repeated()
    return found


def _hits(
    joinids: np.ndarray, is_found: np.ndarray, places: FeatherFile, looked_up: FeatherFile, start: int
) -> Iterator[tuple[int, np.ndarray, pa.RecordBatch]]:
    """For each batch of an index (`places`: its joinids) with any of the cells: its number, their rows, what is wanted.

    Begins with batch `start`, and ends behind the last of the cells. Writes (n_obs,) bool `is_found`.
    """
    is_behind = False
    for first in range(start, places.n_batches, BATCHES_AT_ONCE):
        numbers = range(first, min(first + BATCHES_AT_ONCE, places.n_batches))
        found: dict[int, np.ndarray] = {}
        for number, batch in zip(numbers, places.batches(numbers), strict=False):  # it may end before
            known = batch["soma_joinid"].to_numpy()
            if is_behind := bool(len(known)) and known[0] > joinids[-1]:
                break
            found[number] = _rows_of(joinids, known, is_found)
        hits = [number for number, rows in found.items() if len(rows)]
        for number, batch in zip(hits, looked_up.batches(hits), strict=True):
            yield number, found[number], batch
        if is_behind:
            return


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


def _duplicates(found: _LookedUp, has_cells: bool) -> Finding:
    n_joinids = found.n_same_joinid
    facts: dict[str, Fact] = {"n_obs": found.n_obs, "n_same_soma_joinid": n_joinids}
    if has_cells:
        facts |= {"n_same_observation_joinid_in_dataset": found.n_same_cell}
    else:
        facts |= {"not_looked_at": f"obs of this build has no {' and '.join(CELL)}"}
    wrong = [
        f"{counted(n_joinids, 'cell')} with the soma_joinid of another" if n_joinids else "",
        f"{counted(found.n_same_cell, 'cell')} with dataset_id and observation_joinid of another"
        if found.n_same_cell
        else "",
    ]
    advice = "look at them in the census index; exclude their datasets by dataset_id, or ask for primary cells only"
    return Finding.of(wrong, advice, facts)
