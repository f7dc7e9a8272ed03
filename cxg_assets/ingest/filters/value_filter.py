"""SOMA `value_filter` strings applied to Arrow record batches, without the Census.

`grammar` reads the text; here it is checked against a schema and evaluated. A filter selects what TileDB-SOMA
2.3.0 selects, compared with it in the tests:

- A row with a missing value passes `== None` and nothing else: not `!=`, not `not in`, not a negated comparison.
- A value that is not in the dictionary is ordinary: `==` selects nothing, `!=` every row that has a value.
- `<`, `<=`, `>`, `>=` compare text by code point. On an ordered dictionary they compare positions, where a value that
  is not in the dictionary selects nothing; on one without order they are refused.
- NaN passes `!=` and `not in` only; `in [0.0]` does not select -0.0, which `== 0.0` does.

`descendants(term)` stands for a list of the term and of all below it in its ontology. The ids take its place in
`ValueFilter.canonical`: they are what selects, whichever version of the ontology they are from.

`file(name)` stands for the values of a file. `ValueFilter.canonical` has the digest of them in place of the name.

`contains(column, value)` is ours alone: it selects the rows whose value, or one of those that ` || ` joins in it, is
this one; a negated one selects the other rows that have a value. The Census never sees a filter.

Stricter than SOMA where it changes what was written: a constant that the column cannot hold exactly (5.7 for integers,
2 for a bool, True for a number) is refused.
"""

import difflib
import math
from dataclasses import dataclass, field, replace
from typing import Any, NoReturn

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from cxg_assets.ingest.errors import BadInput, shown, shown_text
from cxg_assets.ingest.filters.compare import ORDER, BoolArray, compare, compare_ranks
from cxg_assets.ingest.filters.grammar import (
    CONTAINING,
    HALF_CHARACTER,
    MEMBERSHIP,
    Condition,
    Group,
    Node,
    Source,
    Value,
    parse_expression,
)
from cxg_assets.ingest.filters.lookup import Lookup, NotOfType, is_same_memory
from cxg_assets.ingest.filters.ontologies import expanded
from cxg_assets.ingest.filters.spelling import columns_of, conditions_of, render
from cxg_assets.ingest.filters.stand_ins import FILE, StandIn
from cxg_assets.ingest.value_lists import Lists

# tiledbsoma 2.3.0 has no PyQueryCondition.create_* for these.
_TYPES_WITHOUT_LISTS = (pa.bool_(), pa.int16(), pa.uint8())


class _Tables:
    """What each condition says of each value of the dictionary it met last.

    One dictionary usually serves many batches. The arrays are kept, so their addresses cannot be given to others.
    """

    def __init__(self) -> None:
        self._latest: dict[Condition, tuple[pa.Array, BoolArray]] = {}

    def __reduce__(self) -> tuple[type["_Tables"], tuple[()]]:
        return _Tables, ()  # a copy starts empty

    def get(self, condition: Condition, dictionary: pa.Array, ordered: bool) -> BoolArray:
        """Returns bools, (len(dictionary) + 1,): one for each value, and last the one for a missing value."""
        known = self._latest.get(condition)
        if known is not None and is_same_memory(known[0], dictionary):
            return known[1]
        by_rank = ordered and condition.op in ORDER
        selected = compare_ranks(condition, dictionary) if by_rank else compare(condition, dictionary)
        table = np.append(selected, condition.op == "==" and condition.values == (None,))
        self._latest[condition] = (dictionary, table)
        return table


@dataclass(frozen=True, kw_only=True)
class ValueFilter:
    """A filter that was checked against a schema. Immutable; cheap to pickle.

    Attributes:
        text: The filter as it was written, without blanks around it.
        canonical: The filter in one fixed spelling: equal for texts that differ only in blanks, quotes, parentheses,
            `&` or `and`, the side of the constant, the order of a list, or where a negation stands. It is a filter
            with the same meaning and, but for `contains`, safe for tiledbsoma 2.3.0, which dies of a segmentation fault
            on `not (a == 1 or b == 2)` and on `not a in [1]`.
        columns: Names of the columns it needs, in order of first use.
        conditions: Its comparisons, from left to right; what was negated has the opposite operator.
    """

    text: str
    canonical: str
    columns: tuple[str, ...]
    conditions: tuple[Condition, ...] = field(repr=False)
    _root: Node = field(repr=False)
    _schema: pa.Schema = field(repr=False)
    _tables: _Tables = field(default_factory=_Tables, init=False, repr=False, compare=False)

    @property
    def column_types(self) -> dict[str, str]:
        """Name of the Arrow type of each column's values: what it takes to check another filter alike."""
        return {field.name: str(_value_type(field.type)) for field in self._schema}

    def alone(self, condition: Condition) -> "ValueFilter":
        """The filter that one of its conditions would be alone."""
        known = {"columns": (condition.column,), "conditions": (condition,), "_root": condition}
        return replace(self, text=render(condition), canonical=render(condition), **known)

    def mask(self, batch: pa.RecordBatch) -> BoolArray:
        """Tells which rows pass.

        Args:
            batch: Rows with at least the columns of the filter. Text may be plain or in dictionaries of any width.

        Returns:
            bool, (batch.num_rows,): True where the row passes.

        Raises:
            BadInput: If a column is missing, or has another type than in the schema the filter was checked against.
        """
        for name in self.columns:
            if name not in batch.schema.names:
                raise BadInput(
                    f"The rows have no column {shown(name)}, which the filter `{shown_text(self.text)}` needs. "
                    f"Read it too; they have: {', '.join(batch.schema.names)}."
                )
            found, checked = batch.schema.field(name).type, self._schema.field(name).type
            if not _compares_alike(found, checked):
                raise BadInput(
                    f"Column {name!r} of the rows is {found}, but the filter `{shown_text(self.text)}` was checked "
                    f"against {checked}. Check it against the schema of the rows."
                )
        return self._mask(self._root, batch)

    def _mask(self, node: Node, batch: pa.RecordBatch) -> BoolArray:
        if isinstance(node, Group):
            combine = np.logical_and if node.joiner == "and" else np.logical_or
            mask = self._mask(node.terms[0], batch)
            for term in node.terms[1:]:
                mask = combine(mask, self._mask(term, batch))
            return mask
        column = batch.column(node.column)
        if not isinstance(column, pa.DictionaryArray):
            return compare(node, column)
        codes = column.indices
        if codes.null_count:
            # The code of a missing value is arbitrary; -1 picks the last entry of the table.
            codes = pc.fill_null(codes.cast(pa.int64()), -1)
        return self._tables.get(node, column.dictionary, column.type.ordered)[codes.to_numpy()]


def parse_filter(
    text: str, schema: pa.Schema, *, where: str = "value_filter", lists: Lists | None = None
) -> ValueFilter:
    """Reads a SOMA `value_filter` and checks it against the columns it will be applied to.

    Args:
        text: The filter, in the language of `tiledbsoma.DataFrame.read(value_filter=...)`. Nothing in it is executed.
        schema: Columns that may be named, with their types.
        where: Place of the filter for messages, like `blood_normal: value_filter`.
        lists: The values of the files that it names.

    Returns:
        The filter, ready for batches of that schema.

    Raises:
        BadInput: If the text is empty or too long, does not parse, names a column that is not there, compares a
            column with a constant that it cannot hold, or uses anything else than comparisons joined by and, or, not.
    """
    source = Source(text=text.strip(), where=where)
    root = _checked(parse_expression(source), schema, lists or {}, source)
    columns = columns_of(root)
    return ValueFilter(
        text=source.text,
        canonical=render(root),
        columns=columns,
        conditions=tuple(conditions_of(root)),
        _root=root,
        _schema=pa.schema([schema.field(name) for name in columns]),
    )


def _checked(node: Node, schema: pa.Schema, lists: Lists, source: Source) -> Node:
    """Returns a tree whose constants have the types of their columns, or raises BadInput."""
    if isinstance(node, Group):
        return replace(node, terms=tuple(_checked(term, schema, lists, source) for term in node.terms))
    name = node.column
    if name not in schema.names:
        close = difflib.get_close_matches(name, schema.names, n=1)
        hint = f"Did you mean {close[0]}? " if close else ""
        remedy = f"{hint}Columns: {', '.join(schema.names)}."
        source.fail(node.place, f"names the column {name[:60]!r}, which is not there", remedy)
    data_type = schema.field(name).type
    value_type = _value_type(data_type)
    if node.op in MEMBERSHIP and value_type in _TYPES_WITHOUT_LISTS:
        source.fail(node.place, f"looks up {value_type} in a list, which SOMA cannot", "Use == and `or`.")
    if node.op in ORDER and isinstance(data_type, pa.DictionaryType) and not data_type.ordered:
        source.fail(node.place, f"orders {name!r}, a dictionary column without an order", "Use ==, !=, in or not in.")
    if node.stand_in is not None and node.stand_in.kind == FILE:
        return _listed(node, node.stand_in.argument, value_type, lists, source)
    if node.stand_in is not None:
        node = replace(node, values=expanded(name, node.stand_in.argument, node.place, source))
    if node.op in CONTAINING and not _is_text(value_type):
        source.fail(node.place, f"looks for a part of {name!r}, a column of {value_type}", "Use == or in.")
    values: list[Any] = [_cast(value, value_type, node, source) for value in node.values]
    is_set = node.op in (*MEMBERSHIP, *CONTAINING)
    return replace(node, values=tuple(sorted(set(values)) if is_set else values))


def _listed(node: Condition, name: str, value_type: pa.DataType, lists: Lists, source: Source) -> Condition:
    """The same with the values of a file, and the digest of them in place of its name."""
    if name not in lists:
        source.fail(node.place, "names a file that is not known here", "Only value_filter of a YAML can name files.")
    if not (_is_text(value_type) or pa.types.is_integer(value_type)):
        source.fail(node.place, f"looks up {value_type} in a file", "List text or whole numbers.")
    try:
        lookup = Lookup.of(lists[name], value_type)
    except NotOfType as error:
        problem = f"looks up {node.column!r}, a column of {value_type}, in a file that has {shown(str(error))}"
        source.fail(node.place, problem, "Take it out of the file.")
    return replace(node, stand_in=StandIn(FILE, lookup.listed.digest), listed=lookup)


def _cast(value: Value, value_type: pa.DataType, condition: Condition, source: Source) -> Value:
    """Returns a constant as a value of a column's type, refusing what could only become another value."""

    def fail(problem: str, remedy: str) -> NoReturn:
        written = ascii(value) if len(ascii(value)) <= 40 else f"{ascii(value)[:39]}…"
        what = f"compares {condition.column!r}, a column of {value_type}, with {written}, which {problem}"
        source.fail(condition.place, what, remedy)

    if value is None:
        if condition.op not in ("==", "!="):
            fail("has no order and cannot be in a list", "Use == or != with None.")
        return None
    if _is_text(value_type):
        if not isinstance(value, str):
            fail("is not text", "Put it in quotes if it is.")
        if HALF_CHARACTER.search(value):
            fail("holds half a character", "Write the whole character.")
        return value
    if isinstance(value, str):
        fail("is text", "Remove the quotes, or filter on another column.")
    if pa.types.is_boolean(value_type):
        if value not in (0, 1):
            fail("is neither True nor False", "Write True or False.")
        return bool(value)
    if isinstance(value, bool):
        fail("is not a number", "Write a number.")
    if pa.types.is_integer(value_type):
        if isinstance(value, float) and (condition.op in MEMBERSHIP or not value.is_integer()):
            fail("is not written as a whole number", "Write a whole number.")
        limits = np.iinfo(value_type.to_pandas_dtype())
        if not limits.min <= value <= limits.max:
            fail("is out of range", f"Write a number from {limits.min} to {limits.max}.")
        return int(value)
    if not (pa.types.is_float32(value_type) or pa.types.is_float64(value_type)):
        fail("filters cannot do", "Filter on another column.")
    try:
        with np.errstate(over="ignore"):
            # Adding 0.0 turns -0.0 into 0.0, which compares the same.
            number = float(value_type.to_pandas_dtype()(float(value))) + 0.0
    except OverflowError:
        number = math.inf
    if not math.isfinite(number):
        fail("is too large", "Write a smaller number.")
    return number


def _value_type(data_type: pa.DataType) -> pa.DataType:
    return data_type.value_type if isinstance(data_type, pa.DictionaryType) else data_type


def _is_text(value_type: pa.DataType) -> bool:
    return pa.types.is_string(value_type) or pa.types.is_large_string(value_type)


def _compares_alike(found: pa.DataType, checked: pa.DataType) -> bool:
    """Tells whether constants that were checked against one type compare the same with another."""
    one, other = (_value_type(data_type) for data_type in (found, checked))
    is_ordered = [isinstance(data_type, pa.DictionaryType) and data_type.ordered for data_type in (found, checked)]
    return is_ordered[0] == is_ordered[1] and (one == other or (_is_text(one) and _is_text(other)))
