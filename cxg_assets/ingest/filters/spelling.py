"""Trees of filters as text again, in one fixed spelling for texts that mean the same."""

from dataclasses import replace
from keyword import iskeyword

from cxg_assets.ingest.errors import BadInput
from cxg_assets.ingest.filters.grammar import CONTAINING, MEMBERSHIP, Group, Node, Source, Value, parse_expression

__all__ = ["columns_of", "plain_spelling", "render"]


def render(node: Node) -> str:
    """Writes a tree as text that parses to an equal tree."""
    if isinstance(node, Group):
        terms = (f"({render(term)})" if isinstance(term, Group) else render(term) for term in node.terms)
        return f" {node.joiner} ".join(terms)
    # ascii(): what repr() escapes follows the Unicode tables of the Python version, and fingerprints must not.
    plain = node.column.isascii() and node.column.isidentifier() and not iskeyword(node.column)
    name = node.column if plain else f"attr({node.column!a})"
    values = ", ".join(ascii(value) for value in node.values)
    if node.term is not None and not node.values:
        term = f"descendants({node.term!a})"
        return (
            f"{node.op.removesuffix('contains')}contains({name}, {term})"
            if node.op in CONTAINING
            else f"{name} {node.op} {term}"
        )
    if node.op in CONTAINING:
        wanted = values if len(node.values) == 1 else f"[{values}]"
        return f"{node.op.removesuffix('contains')}contains({name}, {wanted})"
    return f"{name} {node.op} [{values}]" if node.op in MEMBERSHIP else f"{name} {node.op} {values}"


def columns_of(node: Node) -> tuple[str, ...]:
    """Names of the columns of a tree, in order of first use."""
    if not isinstance(node, Group):
        return (node.column,)
    return tuple(dict.fromkeys(name for term in node.terms for name in columns_of(term)))


def plain_spelling(text: str) -> str:
    """A spelling that needs no schema, to tell whether a filter was edited or only written in another way.

    `ValueFilter.canonical` knows the types of the columns. Here `True`, `1` and `1.0` are one constant: whichever of
    them a column takes, it takes as the same.

    Args:
        text: A filter.

    Returns:
        The same text for filters that differ in what `ValueFilter.canonical` leaves out; a text that is no filter as
        it is, as those who apply it say what is wrong.
    """
    try:
        return render(_plain(parse_expression(Source(text=text.strip(), where="value_filter"))))
    except BadInput:
        return text


def _plain(node: Node) -> Node:
    if isinstance(node, Group):
        return replace(node, terms=tuple(_plain(term) for term in node.terms))
    values = tuple(_plain_value(value) for value in node.values)
    if node.op in (*MEMBERSHIP, *CONTAINING):
        values = tuple(sorted(set(values), key=lambda value: (isinstance(value, str), str(value))))
    return replace(node, values=values)


def _plain_value(value: Value) -> Value:
    if isinstance(value, bool) or (isinstance(value, float) and value.is_integer()):
        return int(value)
    return value
