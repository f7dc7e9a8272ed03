"""Markdown as the UI renders it: tables, labels as text, and digests that do not widen a page."""

import re
from collections.abc import Collection, Iterable, Mapping, Sequence
from urllib.parse import quote

import dagster as dg

SHOWN = 1_000
"""Characters of Markdown from which on the UI shows a link in its place."""


def table(headings: Sequence[str], rows: Iterable[Sequence[str]], *, numbers: Collection[str] = ()) -> str:
    """A table.

    Args:
        headings: Of its columns.
        rows: Markdown for each column.
        numbers: Headings of the columns that are aligned to the right.
    """
    rules = ["---:" if heading in numbers else "---" for heading in headings]
    return "\n".join(f"| {' | '.join(row)} |" for row in (headings, rules, *rows))


def names_and_values(rows: Mapping[str, str]) -> dg.MetadataValue:
    """A table without headings."""
    return dg.MetadataValue.md(table(("", ""), rows.items()))


def escaped(label: str) -> str:
    """A label as one line of text: what the Census says of itself is never a tag, a link, a picture or another row."""
    return re.sub(r"([\\`*_~\[\]<>|#$&])", r"\\\1", " ".join(label.split()))


def doi_link(doi: str) -> str:
    """A link to what a DOI names, wherever else its text would lead."""
    return f"[{escaped(doi)}](https://doi.org/{quote(doi)})"


def in_groups(digest: str) -> str:
    """A digest in groups of 16 characters: in one piece it would be wider than the column of values."""
    return " ".join(re.findall(".{1,16}", digest))
