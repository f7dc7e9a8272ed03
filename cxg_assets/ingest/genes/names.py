"""Finds genes of var by what people write: a feature_id, with or without version, or a name that only one gene has."""

from collections import Counter, defaultdict
from collections.abc import Sequence

import pyarrow as pa

from cxg_assets.ingest.errors import BadInput, shown, shown_names
from cxg_assets.ingest.gene_selection import without_version

N_NAMED = 5
"""How many genes a message names before it only counts."""


def find_genes(var: pa.Table, listed: Sequence[str], attribute: str) -> list[int | None]:
    """The row of var of each gene that is listed; None where var does not have it.

    A feature_id is taken before a feature_name, where something is both.

    Args:
        var: All genes, with `feature_id` and perhaps `feature_name`.
        listed: Feature_ids, with or without version, and feature_names.
        attribute: What the user calls the list, for the message.

    Raises:
        BadInput: A gene is listed twice, or a name stands for several genes.
    """
    row_of = {gene: row for row, gene in enumerate(var["feature_id"].to_pylist())}
    found = [row_of.get(gene, row_of.get(without_version(gene))) for gene in listed]
    unknown = {gene for gene, row in zip(listed, found, strict=True) if row is None}
    if unknown and "feature_name" in var.schema.names:
        named = _rows_by_name(var, unknown)
        _refuse_ambiguous(var, named, attribute)
        found = [named[gene][0] if gene in named else row for gene, row in zip(listed, found, strict=True)]
    _refuse_repeated(listed, found, attribute)
    return found


def _rows_by_name(var: pa.Table, names: set[str]) -> dict[str, list[int]]:
    rows: defaultdict[str, list[int]] = defaultdict(list)
    for row, name in enumerate(var["feature_name"].to_pylist()):
        if name in names:
            rows[name].append(row)
    return dict(rows)


def _refuse_ambiguous(var: pa.Table, named: dict[str, list[int]], attribute: str) -> None:
    several = {name: rows for name, rows in sorted(named.items()) if len(rows) > 1}
    if not several:
        return
    texts = [
        f"{shown(name)} is the name of {shown_names(var['feature_id'].take(pa.array(rows)).to_pylist(), N_NAMED)}"
        for name, rows in list(several.items())[:N_NAMED]
    ]
    more = f" and {len(several) - N_NAMED:,} more" if len(several) > N_NAMED else ""
    raise BadInput(f"{attribute}: {'; '.join(texts)}{more}; write the feature_id that is meant in place of the name")


def _refuse_repeated(listed: Sequence[str], found: Sequence[int | None], attribute: str) -> None:
    """A gene is the same one by each of its names; what var does not have is so by its spelling without version."""
    same = [without_version(gene) if row is None else row for gene, row in zip(listed, found, strict=True)]
    counts = Counter(same)
    if len(counts) < len(listed):
        twice = sorted({gene for gene, which in zip(listed, same, strict=True) if counts[which] > 1})
        raise BadInput(f"{attribute}: listed twice: {shown_names(twice, N_NAMED)}; list each gene once")
