"""Compares the values of a column with the constants of a condition."""

from collections.abc import Callable

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from cxg_assets.ingest.filters.grammar import CONTAINING, MEMBERSHIP, Condition

BoolArray = npt.NDArray[np.bool_]

SEPARATOR = " || "
"""Joins the values of a cell that has several."""

_ARROW_FUNCTIONS = {
    "==": "equal", "!=": "not_equal", "<": "less", "<=": "less_equal", ">": "greater", ">=": "greater_equal",
}  # fmt: skip
ORDER: dict[str, Callable[..., BoolArray]] = {
    "<": np.less, "<=": np.less_equal, ">": np.greater, ">=": np.greater_equal,
}  # fmt: skip


def compare(condition: Condition, values: pa.Array) -> BoolArray:
    """Compares plain values with the constants of a condition; bool, (len(values),)."""
    if condition.listed is not None:
        is_there = condition.listed.places(values) >= 0
        return is_there if condition.op == "in" else values.is_valid().to_numpy(zero_copy_only=False) & ~is_there
    if condition.op in MEMBERSHIP:
        constants = pa.array(condition.values, type=values.type)
        selected = pc.call_function("is_in", [values], pc.SetLookupOptions(constants))
        if condition.op == "not in":
            selected = pc.call_function("and_not", [values.is_valid(), selected])
    elif condition.op in CONTAINING:
        selected = _contains(condition, values)
    elif condition.values == (None,):
        selected = values.is_null() if condition.op == "==" else values.is_valid()
    else:
        constant = pa.scalar(condition.values[0], type=values.type)
        selected = pc.call_function(_ARROW_FUNCTIONS[condition.op], [values, constant]).fill_null(False)
    return selected.to_numpy(zero_copy_only=False)


def _contains(condition: Condition, values: pa.Array) -> pa.Array:
    """Which values have one of the constants among those that `SEPARATOR` joins; as for SOMA, no missing one passes."""
    parts = pc.call_function("split_pattern", [values], pc.SplitPatternOptions(SEPARATOR))
    single = [wanted for wanted in condition.values if SEPARATOR not in str(wanted)]
    is_wanted = pc.call_function("is_in", [parts.flatten()], pc.SetLookupOptions(pa.array(single, values.type)))
    has_one = np.zeros(len(values), np.bool_)
    has_one[pc.call_function("list_parent_indices", [parts]).to_numpy()[is_wanted.to_numpy(zero_copy_only=False)]] = (
        True
    )
    selected = pa.array(has_one)
    enclosed = pc.call_function("binary_join_element_wise", [SEPARATOR, values, SEPARATOR, ""])
    for several in condition.values:
        if SEPARATOR in str(several):
            options = pc.MatchSubstringOptions(f"{SEPARATOR}{several}{SEPARATOR}")
            found = pc.call_function("match_substring", [enclosed], options)
            selected = pc.call_function("or", [selected, found.fill_null(False)])
    return selected if condition.op == "contains" else pc.call_function("and_not", [values.is_valid(), selected])


def compare_ranks(condition: Condition, dictionary: pa.Array) -> BoolArray:
    """Compares the position of each value of an ordered dictionary with that of the constant."""
    rank = pc.index(dictionary, pa.scalar(condition.values[0], type=dictionary.type)).as_py()
    if rank < 0:
        return np.zeros(len(dictionary), dtype=np.bool_)
    return ORDER[condition.op](np.arange(len(dictionary)), rank)
