"""The ontologies of obs: which terms lie below another.

`ontologies.parquet` is made by `scripts/distil_ontologies.py` from cellxgene-ontology-guide (see NOTICE): the versions
that the schema of the Census of 2025-11-08 prescribes, without deprecated terms. What lies below a term is what has it
among its ancestors there, over `is_a` and `part_of`.
"""

import difflib
import json
from collections import defaultdict
from functools import cache
from pathlib import Path

from cxg_assets.ingest.errors import shown
from cxg_assets.ingest.filters.source import Place, Source

ONTOLOGIES_OF = {
    "assay_ontology_term_id": ("EFO",),
    "cell_type_ontology_term_id": ("CL",),
    "development_stage_ontology_term_id": ("HsapDv", "MmusDv"),
    "disease_ontology_term_id": ("MONDO",),
    "tissue_general_ontology_term_id": ("UBERON",),
    "tissue_ontology_term_id": ("UBERON", "CL"),
}
"""Columns of obs, and the ontologies that their terms are of; a tissue can be a cell culture."""

_FILE = Path(__file__).with_name("ontologies.parquet")


class UnknownTerm(ValueError):
    """There is no such term; the message says what there is."""


def descendants(term: str) -> tuple[str, ...]:
    """A term and all below it, in order.

    Raises:
        UnknownTerm: There is none of that id.
    """
    terms, labels, below = _ontologies()
    row = terms.get(term)
    if row is None:
        raise UnknownTerm(_what_there_is(term, list(terms), labels))
    found, left = {row}, [row]
    while left:
        new = [child for child in below.get(left.pop(), ()) if child not in found]
        found.update(new)
        left += new
    ids = list(terms)
    return tuple(sorted(ids[number] for number in found))


def expanded(column: str, term: str, place: Place, source: Source) -> tuple[str, ...]:
    """What `descendants(term)` stands for in a filter over a column.

    Raises:
        BadInput: There is no such term, or none of its ontology in the column.
    """
    try:
        ids = descendants(term)
    except UnknownTerm as error:
        source.fail(place, f"names no term: {error}", "Look it up in the ontology lookup service.")
    ontology = term.partition(":")[0]
    if ontology not in ONTOLOGIES_OF.get(column, ()):
        columns = [name for name, ontologies in ONTOLOGIES_OF.items() if ontology in ontologies]
        problem = f"looks for terms of {ontology} in {column!r}, which has none"
        source.fail(place, problem, f"Filter on {' or '.join(columns)}.")
    return ids


def versions() -> dict[str, str]:
    """The version of each ontology."""
    import pyarrow.parquet as pq

    return json.loads(pq.read_schema(_FILE).metadata[b"versions"])


@cache
def _ontologies() -> tuple[dict[str, int], list[str], dict[int, list[int]]]:
    """The row of each term by its id, the labels of the rows, and for each row those directly below it."""
    import pyarrow.parquet as pq

    table = pq.read_table(_FILE)
    below: defaultdict[int, list[int]] = defaultdict(list)
    for row, parents in enumerate(table["parents"].to_pylist()):
        for parent in parents:
            below[parent].append(row)
    terms = {term: row for row, term in enumerate(table["term"].to_pylist())}
    return terms, table["label"].to_pylist(), below


def _what_there_is(term: str, ids: list[str], labels: list[str]) -> str:
    ontology = term.partition(":")[0]
    known = versions()
    if ontology in known and term != ontology:
        return f"{ontology} {known[ontology]} has no term {shown(term)} that is not deprecated"
    named = [ids[row] for row, label in enumerate(labels) if label.lower() == term.lower()]
    if named:
        return f"{shown(term)} is a label; its id is {' or '.join(named)}"
    near = difflib.get_close_matches(term, labels, n=1)
    hint = f"; did you mean {ids[labels.index(near[0])]}, {near[0]}?" if near else ""
    return f"{shown(term)} is not the id of a term of {', '.join(known)}{hint}"
