"""What a filter meets on its way through obs or var: why it selects nothing, and which labels it overlooks."""

from collections import Counter

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from cxg_assets.ingest.errors import shown, shown_text
from cxg_assets.ingest.filters.grammar import Condition
from cxg_assets.ingest.filters.label_hints import N_LISTED, unknown_label
from cxg_assets.ingest.filters.label_traps import (
    LABEL_OPERATORS,
    SELECTING,
    SEPARATOR,
    compound_warning,
    in_words,
    overlooked,
)
from cxg_assets.ingest.filters.value_filter import ValueFilter

MAX_LABELS = 100_000
"""Different values of a column of plain text that are kept to look for near ones."""


class FilterWatch:
    """Looks at the batches that a filter is applied to.

    Dictionaries are looked at once. Rows are counted again only where that tells something: by condition as long as
    nothing is selected, by label where a compound value of the column holds a label of the filter. A file and a read
    of the Census have one dictionary a column, so that codes of all batches mean the same.
    """

    def __init__(self, value_filter: ValueFilter) -> None:
        """Nothing is seen yet."""
        self.n_rows = 0
        self._n_selected = self._n_evaluated = 0
        self._passed = dict.fromkeys(value_filter.conditions, 0)
        self._alone = {condition: value_filter.alone(condition) for condition in self._passed}
        self._by_column: dict[str, list[Condition]] = {}
        for condition in self._passed:
            if condition.op in LABEL_OPERATORS and any(isinstance(value, str) for value in condition.values):
                self._by_column.setdefault(condition.column, []).append(condition)
        self._labels: dict[str, list[str]] = {}
        self._distinct: dict[str, set[str]] = {}
        self._overlooked: dict[Condition, list[str]] = {}
        self._n_by_code: dict[str, npt.NDArray[np.int64]] = {}
        self._lists = [_ListWatch(condition) for condition in self._passed if condition.listed is not None]

    def see(self, batch: pa.RecordBatch, n_selected: int) -> None:
        """Looks at a batch that the filter was applied to.

        Args:
            batch: Rows with the columns of the filter.
            n_selected: How many of them passed.
        """
        self._n_selected += n_selected
        if not self._n_selected:
            self._n_evaluated += batch.num_rows
            for condition, alone in self._alone.items():
                self._passed[condition] += int(alone.mask(batch).sum())
        self.look_at(batch)

    def look_at(self, batch: pa.RecordBatch) -> None:
        """Looks at the labels of a batch alone, of those columns of the filter that it has."""
        self.n_rows += batch.num_rows
        for listed in self._lists:
            listed.look_at(batch)
        for column in self._by_column:
            if column not in batch.schema.names:
                continue
            values = batch.column(column)
            if isinstance(values, pa.DictionaryArray):
                self._see_codes(column, values)
            elif not self._n_selected:
                self._see_text(column, values)

    @property
    def counted_columns(self) -> tuple[str, ...]:
        """Columns with a compound value that the filter overlooks: how many cells have it takes all rows of them."""
        return tuple(self._n_by_code)

    @property
    def columns_of_plain_text(self) -> tuple[str, ...]:
        """Columns that the filter asks for labels, and that have no dictionary."""
        return tuple(column for column in self._by_column if column not in self._labels)

    def unknown_labels(self, noun: str = "cell") -> list[str]:
        """Labels that the filter asks for and no row has, with those that are near; a text for each, and bounded.

        Args:
            noun: What a row is: `cell` or `gene`.
        """
        return self._unknown_labels(noun, [item for item in self._unknown() if item[0].op in SELECTING])

    def why_nothing(self, noun: str) -> str:
        """Why nothing was selected.

        Args:
            noun: What a row is: `cell` or `gene`.
        """
        reasons = self.unknown_labels(noun) or self._compound_warnings(noun)
        reasons += [listed.warning(noun) for listed in self._lists if listed.none_is_there(self.n_rows)]
        if not reasons and len(self._passed) > 1:
            counts = [f"{shown_text(in_words(condition))}: {n:,}" for condition, n in self._passed.items()]
            reasons = [f"{noun}s that pass each condition alone: {'; '.join(counts[:N_LISTED])}"]
        return "; ".join(reasons) or "loosen it"

    def warnings(self, noun: str = "cell", *, is_whole: bool = True) -> list[str]:
        """What the filter overlooks, a line for each; of plain text, as older builds have it, nothing is known.

        Args:
            noun: What a row is: `cell` or `gene`.
            is_whole: All rows were seen.
        """
        unknown = self._unknown_labels(noun, [item for item in self._unknown() if item[0].column in self._labels])
        lists = [listed.warning(noun) for listed in self._lists if listed.lacks(self.n_rows if is_whole else 0)]
        return [f"value_filter: {warning}" for warning in (*unknown, *self._compound_warnings(noun), *lists)]

    def _unknown_labels(self, noun: str, unknown: list[tuple[Condition, str]]) -> list[str]:
        texts = [
            unknown_label(noun, condition.column, label, self._known(condition.column))
            for condition, label in unknown[:N_LISTED]
        ]
        more = len(unknown) - N_LISTED
        return [*texts, f"{more:,} more labels of the filter are not there"] if more > 0 else texts

    def _compound_warnings(self, noun: str) -> list[str]:
        warnings = [
            compound_warning(condition, values, self._n_by_label(condition.column), f"{self.n_rows:,} {noun}s")
            for condition, values in self._overlooked.items()
        ]
        return [warning for warning in warnings if warning is not None]

    def _see_codes(self, column: str, values: pa.DictionaryArray) -> None:
        if column not in self._labels:
            self._labels[column] = values.dictionary.to_pylist()
            found = overlooked(self._by_column[column], self._labels[column])
            self._overlooked |= found
            if found:
                self._n_by_code[column] = np.zeros(len(values.dictionary), np.int64)
        if column in self._n_by_code:
            n_by_code = self._n_by_code[column]
            n_by_code += np.bincount(values.indices.drop_null().to_numpy(), minlength=len(n_by_code))

    def _see_text(self, column: str, values: pa.Array) -> None:
        distinct = self._distinct.setdefault(column, set())
        if len(distinct) < MAX_LABELS:
            distinct.update(values.unique().drop_null().to_pylist())

    def _known(self, column: str) -> list[str]:
        return self._labels[column] if column in self._labels else sorted(self._distinct.get(column, ()))

    def _unknown(self) -> list[tuple[Condition, str]]:
        """Labels of the filter that no row has, with their conditions; not those that are in compound values."""
        found: list[tuple[Condition, str]] = []
        for column, conditions in self._by_column.items():
            if column not in self._labels and not self._n_evaluated:
                continue  # plain text of which nothing was read
            known = set(self._known(column))
            for condition in conditions:
                parts = {part for value in self._overlooked.get(condition, ()) for part in value.split(SEPARATOR)}
                # A dictionary may have labels that no row has, and of plain text not all may be kept.
                is_unused = bool(self._n_evaluated) and not self._passed[condition] and condition.op in SELECTING
                is_complete = len(self._distinct.get(column, ())) < MAX_LABELS
                for label in condition.values if condition.stand_in is None else ():  # most have no cell
                    if isinstance(label, str) and label not in parts:
                        found += [(condition, label)] if is_unused or (is_complete and label not in known) else []
        return found

    def _n_by_label(self, column: str) -> Counter[str] | None:
        if not self.n_rows:
            return None
        return Counter(dict(zip(self._labels[column], self._n_by_code[column].tolist(), strict=True)))


class _ListWatch:
    """Which values of a file are in its column."""

    def __init__(self, condition: Condition) -> None:
        assert condition.listed is not None
        self._condition, self._lookup = condition, condition.listed
        self._is_there = np.zeros(len(self._lookup.values), np.bool_)
        self._n_rows = 0
        self._has_labels = False

    def look_at(self, batch: pa.RecordBatch) -> None:
        if self._has_labels or self._condition.column not in batch.schema.names:
            return
        column = batch.column(self._condition.column)
        if isinstance(column, pa.DictionaryArray):
            self._has_labels, column = True, column.dictionary
        self._n_rows += batch.num_rows
        places = self._lookup.places(column)
        self._is_there[places[places >= 0]] = True

    def lacks(self, n_rows: int) -> bool:
        """Whether a value is missing, as far as is known; of a column without a dictionary when all rows were seen."""
        return self._is_known(n_rows) and not self._is_there.all()

    def none_is_there(self, n_rows: int) -> bool:
        return self._is_known(n_rows) and not self._is_there.any()

    def _is_known(self, n_rows: int) -> bool:
        return self._has_labels or 0 < self._n_rows == n_rows

    def warning(self, noun: str) -> str:
        missing = np.flatnonzero(~self._is_there)
        named = [str(self._lookup.values[int(place)]) for place in missing[:N_LISTED]]
        more = f" and {len(missing) - N_LISTED:,} more" if len(missing) > N_LISTED else ""
        return (
            f"{len(missing):,} of {len(self._is_there):,} values of the file for {self._condition.column} are of no "
            f"{noun}: {', '.join(shown(name) for name in named)}{more}"
        )
