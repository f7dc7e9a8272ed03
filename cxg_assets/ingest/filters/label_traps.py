"""Labels that do not mean what they seem to: one of several in a compound value, a name that several genes have.

Current releases join several values of a cell by ` || ` in one label of obs (`'A || B'` in `disease`), which is another
label than `'A'` to `==`. `feature_name` of var is no key: some names stand for more than one gene.
"""

from collections.abc import Mapping, Sequence

import pyarrow as pa

from cxg_assets.ingest.errors import shown, shown_text
from cxg_assets.ingest.filters.compare import SEPARATOR
from cxg_assets.ingest.filters.grammar import MEMBERSHIP, Condition
from cxg_assets.ingest.filters.label_hints import N_LISTED
from cxg_assets.ingest.filters.value_filter import parse_filter
from cxg_assets.ingest.gene_selection import GeneSelection

SELECTING = ("==", "in")
LABEL_OPERATORS = ("==", "in", "!=", "not in")


class CompoundValues:
    """The compound values of one column of obs."""

    def __init__(self, labels: Sequence[str]) -> None:
        """Takes them out of the column's labels, whose order tells which comes first in a message."""
        self._by_part: dict[str, dict[str, None]] = {}
        for label in labels:
            if SEPARATOR in label:
                for part in label.split(SEPARATOR):
                    self._by_part.setdefault(part, {})[label] = None

    def containing(self, label: str) -> list[str]:
        """Those of which a label is a part, but for the label itself."""
        first, *others = label.split(SEPARATOR)
        rest = [self._by_part.get(part, {}) for part in others]
        return [
            value for value in self._by_part.get(first, {}) if value != label and all(value in part for part in rest)
        ]


def overlooked(conditions: Sequence[Condition], labels: Sequence[str]) -> dict[Condition, list[str]]:
    """For each condition on one column the compound values that it does not speak of, though it names a part of them.

    A value that another condition of the same kind names is spoken of.

    Args:
        conditions: Conditions on that column.
        labels: Its labels.
    """
    compounds = CompoundValues(labels)
    found: dict[Condition, list[str]] = {}
    for condition in conditions:
        alike = [other for other in conditions if (other.op in SELECTING) == (condition.op in SELECTING)]
        named = {value for other in alike for value in other.values}
        labels_asked = [label for label in condition.values if isinstance(label, str)]
        values = dict.fromkeys(value for label in labels_asked for value in compounds.containing(label))
        found[condition] = [value for value in values if value not in named]
    return {condition: values for condition, values in found.items() if values}


def compound_warning(
    condition: Condition, values: Sequence[str], n_obs: Mapping[str, int] | None, where: str
) -> str | None:
    """Warns of compound values that a condition does not speak of; None if no cell has one.

    Args:
        condition: A condition with `LABEL_OPERATORS`.
        values: The compound values that it overlooks.
        n_obs: Cells by label; None if nobody has counted them.
        where: What the numbers are of.
    """
    if n_obs is not None:
        values = sorted((value for value in values if n_obs.get(value)), key=lambda value: -n_obs[value])
    if not values:
        return None
    named = [shown(value) if n_obs is None else f"{shown(value)} ({n_obs[value]:,})" for value in values[:N_LISTED]]
    more = f" and {len(values) - N_LISTED:,} more" if len(values) > N_LISTED else ""
    cells = "cells" if n_obs is None else f"{sum(n_obs[value] for value in values):,} of {where}"
    selects = condition.op in SELECTING
    what = "one of them" if len(condition.values) > 1 else "it"
    return (
        f"{shown_text(in_words(condition))} {'misses' if selects else 'keeps'} {cells} in which {condition.column} "
        f"holds {what} among several values: {', '.join(named)}{more}. "
        f"To {'select them' if selects else 'leave them out'} as well, {_with_compounds(condition, values)}"
    )


def gene_name_warnings(selection: GeneSelection | None, var: pa.Table, genes: pa.Table) -> list[str]:
    """Warns of names in a gene filter that stand for more than one gene.

    Args:
        selection: Which genes.
        var: All genes, with `feature_id` and `feature_name`.
        genes: Those of them that are kept.
    """
    if selection is None or selection.value_filter is None or "feature_name" not in var.schema.names:
        return []
    conditions = parse_filter(selection.value_filter, var.schema).conditions
    asked = [condition for condition in conditions if condition.column == "feature_name"]
    asked = [condition for condition in asked if condition.op in LABEL_OPERATORS]
    wanted = {value for condition in asked for value in condition.values}
    if not wanted:
        return []
    named: dict[str, list[str]] = {}
    for name, gene in zip(var["feature_name"].to_pylist(), var["feature_id"].to_pylist(), strict=True):
        if name in wanted:
            named.setdefault(str(name), []).append(str(gene))
    kept = set(genes["feature_id"].to_pylist())
    warnings: list[str] = []
    for condition in asked:
        for name in condition.values:
            affected = [gene for gene in named.get(str(name), ()) if (gene in kept) == (condition.op in SELECTING)]
            if len(affected) > 1:
                warnings.append(_gene_warning(condition, str(name), affected))
    return warnings


def in_words(condition: Condition) -> str:
    """A condition as it is written."""
    if condition.stand_in is not None:
        return f"{condition.column} {condition.op} {condition.stand_in}"
    values = ", ".join(repr(value) for value in condition.values)
    return f"{condition.column} {condition.op} {f'[{values}]' if condition.op in MEMBERSHIP else values}"


def _with_compounds(condition: Condition, values: Sequence[str]) -> str:
    """How to write a condition so that it speaks of compound values too."""
    if condition.stand_in is not None:
        written = f"contains({condition.column}, {condition.stand_in})"
        return f"write {'' if condition.op in SELECTING else 'not '}{written}"
    if condition.op in MEMBERSHIP:
        return "add them to the list"
    operator = "in" if condition.op == "==" else "not in"
    written = ", ".join(repr(value) for value in (condition.values[0], *values[:N_LISTED]))
    more = ", …" if len(values) > N_LISTED else ""
    return f"write {condition.column} {operator} [{written}{more}]"


def _gene_warning(condition: Condition, name: str, genes: Sequence[str]) -> str:
    keeps = condition.op in SELECTING
    more = f" and {len(genes) - N_LISTED:,} more" if len(genes) > N_LISTED else ""
    return (
        f"genes.value_filter: feature_name {shown(name)} stands for {len(genes):,} genes, "
        f"{', '.join(genes[:N_LISTED])}{more}: all of them are {'kept' if keeps else 'left out'}. To "
        f"{'keep' if keeps else 'leave out'} one of them, write feature_id in place of feature_name"
    )
