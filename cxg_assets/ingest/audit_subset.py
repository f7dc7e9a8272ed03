"""Looks at a filtered subset: whether it has what it says, and whether its cells are those that were asked for."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from cxg_assets.ingest.audit import Audit, Fact, read_joinids
from cxg_assets.ingest.feather import FeatherFile
from cxg_assets.ingest.filter_grammar import Condition, Node, Source, parse_expression
from cxg_assets.ingest.index import CensusIndex
from cxg_assets.ingest.layout import index_path, subset_obs_path
from cxg_assets.ingest.store import Store
from cxg_assets.ingest.subset import FilteredSubset

PRIMARY = "is_primary_data"
CELL = ("dataset_id", "observation_joinid")
"""What tells a cell of the Discover corpus: the second names it within the first."""


@dataclass(frozen=True, kw_only=True)
class SubsetAudits:
    """What was found out of one subset.

    Attributes:
        contents: As many cells and genes as it says, all of them in the index.
        primary: Primary cells only, where its filter asks for them.
        duplicates: No cell twice.
    """

    contents: Audit
    primary: Audit
    duplicates: Audit


def audit_subset(
    value_filter: str | None, subset: FilteredSubset, name: str, store: Store, index: CensusIndex, index_store: Store
) -> SubsetAudits:
    """Compares the cells of a subset's obs file with the index.

    Memory: 24 bytes a cell of the subset and a batch of the index. Of an index in S3 a copy is fetched.

    Args:
        value_filter: The subset's filter over obs; None keeps every cell.
        subset: What is known of the subset.
        name: Its name.
        store: Its destination.
        index: What is known of the index.
        index_store: The default store.

    Raises:
        FileNotFoundError: A file is not there.
        CxgError: The subset's obs file cannot be read.
    """
    joinids = read_joinids(store, subset_obs_path(name, subset.fingerprint))
    with index_store.local_copy(index_path(index.release.version, index.organism)) as file:
        with FeatherFile(file) as opened:
            names = set(opened.schema.names)
        found = _look_up(joinids, file, [column for column in ("soma_joinid", PRIMARY, *CELL) if column in names])
    n_found, n_not_primary, cells = found
    return SubsetAudits(
        contents=_contents(subset, joinids, n_found),
        primary=_primary(value_filter, n_not_primary if PRIMARY in names else None),
        duplicates=_duplicates(joinids, cells if names.issuperset(CELL) else None),
    )


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


def _look_up(joinids: np.ndarray, file: Path, columns: list[str]) -> tuple[int, int, np.ndarray]:
    """Finds cells in an index.

    Returns:
        How many are there, how many of these are not primary, and a hash of each one's `CELL`, uint64.
    """
    import pandas.util  # a fifth of a second for every process that only names the checks

    hash_rows: Any = pandas.util.hash_pandas_object  # pandas types it as the decorators that it has
    wanted = np.unique(joinids)
    n_found = n_not_primary = 0
    cells: list[np.ndarray] = []
    with FeatherFile(file, columns=("soma_joinid",)) as places, FeatherFile(file, columns=columns) as index:
        for number in range(places.n_batches):
            known = places.batch(number)["soma_joinid"].to_numpy()
            rows = np.flatnonzero(np.isin(known, wanted[slice(*np.searchsorted(wanted, (known[0], known[-1] + 1)))]))
            if not len(rows):
                continue
            batch = index.batch(number).take(pa.array(rows))
            n_found += len(rows)
            if PRIMARY in columns:
                n_not_primary += len(rows) - int(np.sum(batch[PRIMARY].to_numpy(zero_copy_only=False).astype(bool)))
            if set(CELL) <= set(columns):
                frame = batch.select(CELL).to_pandas()
                cells.append(hash_rows(frame, index=False).to_numpy())
    return n_found, n_not_primary, np.concatenate([np.empty(0, np.uint64), *cells])


def _contents(subset: FilteredSubset, joinids: np.ndarray, n_found: int) -> Audit:
    facts: dict[str, Fact] = {
        "n_obs": len(joinids),
        "n_vars": subset.n_vars,
        "n_obs_before": subset.n_obs_before,
        "n_vars_before": subset.n_vars_before,
    }
    n_unknown = len(np.unique(joinids)) - n_found
    wrong = [
        "the subset has no cells; loosen value_filter" if len(joinids) == 0 else "",
        "the subset has no genes; loosen genes" if subset.n_vars == 0 else "",
        f"obs.feather has {len(joinids):,} cells, subset.json says {subset.n_obs:,}; materialize filtered_subset again"
        if len(joinids) != subset.n_obs
        else "",
        f"{n_unknown:,} cells are not in the census index; materialize filtered_subset again" if n_unknown else "",
    ]
    return Audit(wrong="; ".join(what for what in wrong if what), facts=facts)


def _primary(value_filter: str | None, n_not_primary: int | None) -> Audit:
    is_asked = asks_for_primary(value_filter)
    facts: dict[str, Fact] = {"asked_for": "primary cells only" if is_asked else "no matter whether they are primary"}
    if n_not_primary is None:
        return Audit(facts=facts | {"not_looked_at": f"obs of this build has no {PRIMARY}"})
    facts |= {"n_not_primary": n_not_primary}
    if is_asked and n_not_primary:
        return Audit(
            wrong=f"{n_not_primary:,} cells are not primary, and value_filter asks for {PRIMARY} == True; "
            "materialize filtered_subset again",
            facts=facts,
        )
    return Audit(facts=facts)


def _duplicates(joinids: np.ndarray, cells: np.ndarray | None) -> Audit:
    n_joinids = len(joinids) - len(np.unique(joinids))
    facts: dict[str, Fact] = {"n_obs": len(joinids), "n_same_soma_joinid": n_joinids}
    wrong = [f"{n_joinids:,} cells have the soma_joinid of another" if n_joinids else ""]
    if cells is None:
        facts |= {"not_looked_at": f"obs of this build has no {' and '.join(CELL)}"}
    else:
        # Of 64-bit hashes: by chance two of a billion cells are taken for one with a probability of 3 %.
        n_cells = len(cells) - len(np.unique(cells))
        facts |= {"n_same_observation_joinid_in_dataset": n_cells}
        wrong.append(f"{n_cells:,} cells have dataset_id and observation_joinid of another" if n_cells else "")
    found = "; ".join(what for what in wrong if what)
    advice = ". Look at them in the census index; exclude their datasets by dataset_id, or ask for primary cells only"
    return Audit(wrong=found + advice if found else "", facts=facts)
