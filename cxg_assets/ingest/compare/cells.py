"""The cells of a subset in one release, held so that those of another are told from them.

A cell is named by its dataset and by its `observation_joinid` in it, which the Census keeps from build to build
(`CELL`); soma_joinids are other numbers in every build.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

import numpy as np
import pyarrow as pa

from cxg_assets.ingest.census.repeated_cells import CELL
from cxg_assets.ingest.census.row_hashes import HashTable, hash_rows
from cxg_assets.ingest.choice.groups import Coding
from cxg_assets.ingest.errors import BadInput

LABELS = (
    *("cell_type", "tissue", "tissue_general", "tissue_type", "disease", "assay", "development_stage", "sex"),
    *("self_reported_ethnicity", "donor_id", "suspension_type", "is_primary_data"),
)
"""obs columns whose values are compared, as far as both releases have them."""

COUNTS = ("raw_sum", "nnz")
"""obs columns that are other when the counts of a cell are."""


def compared_columns(one: pa.Schema, other: pa.Schema) -> tuple[str, ...]:
    """The columns that are compared.

    Raises:
        BadInput: A release does not tell cells.
    """
    missing = [name for name in CELL if name not in one.names or name not in other.names]
    if missing:
        raise BadInput(
            f"obs has no {' and no '.join(missing)} in both releases: cells cannot be told from build to build "
            "(the Census has it from build 2023-12-15 on)"
        )
    return tuple(name for name in (*LABELS, *COUNTS) if name in one.names and name in other.names)


@dataclass(frozen=True, eq=False)
class Alike:
    """What two releases share: the numbers that stand for values."""

    columns: tuple[str, ...]
    datasets: Coding = field(default_factory=Coding)
    values: dict[str, Coding] = field(default_factory=dict)

    def of(self, name: str, column: pa.Array) -> np.ndarray:
        """A column as numbers that are equal where the values are; of counts the values themselves."""
        if name in COUNTS:
            return column.to_numpy(zero_copy_only=False)
        return self.values.setdefault(name, Coding()).codes(column)


def texts(values: Coding) -> list[str]:
    """Values in the order of their numbers."""
    return ["(missing)" if value is None else str(value) for value in values.code_of]


class Cells:
    """The cells of one release. Memory: some 35 bytes a cell, and 1 or 2 a label, 4 to 8 a count."""

    def __init__(self, batches: Iterable[pa.RecordBatch], n_obs: int, alike: Alike) -> None:
        """Reads them.

        Args:
            batches: obs, with `CELL` and the compared columns.
            n_obs: How many they are.
            alike: Shared with the other release.
        """
        hashes = np.empty(n_obs, np.uint64)
        self.dataset = np.empty(n_obs, np.int32)
        self.columns: dict[str, np.ndarray] = {}
        start = 0
        for batch in batches:
            rows = slice(start, start := start + batch.num_rows)
            hashes[rows] = hash_rows([batch[name] for name in CELL])
            self.dataset[rows] = alike.datasets.codes(batch[CELL[0]])
            for name in alike.columns:
                self._hold(name, rows, alike.of(name, batch[name]), n_obs)
        self._table = HashTable(hashes)
        self.is_found = np.zeros(n_obs, np.bool_)

    def _hold(self, name: str, rows: slice, values: np.ndarray, n_obs: int) -> None:
        """Keeps values of some rows, whole numbers in as few bytes as the largest so far takes; none is below 0."""
        dtype = values.dtype
        if dtype.kind == "i":
            dtype = np.min_scalar_type(int(values.max(initial=0)))
        kept = self.columns.get(name)
        if kept is None:
            kept = np.empty(n_obs, dtype)
        self.columns[name] = kept.astype(np.promote_types(kept.dtype, dtype), copy=False)
        self.columns[name][rows] = values

    def look_up(self, batches: Iterable[pa.RecordBatch], alike: Alike) -> Iterator["Seen"]:
        """Goes through the cells of the other release, and notes which of these are there."""
        for batch in batches:
            places = self._table.find(hash_rows([batch[name] for name in CELL]))
            is_known = places >= 0
            here = places[is_known]
            self.is_found[here] = True
            before = {name: self.columns[name][here] for name in alike.columns}
            after = {name: alike.of(name, batch[name])[is_known] for name in alike.columns}
            yield Seen(alike.datasets.codes(batch[CELL[0]]), is_known, before, after)


@dataclass(frozen=True, eq=False)
class Seen:
    """Some cells of the later release.

    Attributes:
        dataset: (n_rows,) int32, number of the dataset of each.
        is_known: (n_rows,) bool, whether the earlier release has it.
        before: Columns of those that it has, as they were, (n_known,) each.
        after: As they are.
    """

    dataset: np.ndarray
    is_known: np.ndarray
    before: dict[str, np.ndarray]
    after: dict[str, np.ndarray]

    def differs(self, name: str) -> np.ndarray:
        """Whether a column of a known cell is another, (n_known,) bool; NaN is equal to NaN."""
        before, after = self.before[name], self.after[name]
        return (before != after) & ((before == before) | (after == after))
