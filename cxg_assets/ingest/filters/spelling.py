"""Trees of filters as text again, in one fixed spelling for texts that mean the same."""

from dataclasses import replace
from keyword import iskeyword

from cxg_assets.ingest.errors import BadInput
from cxg_assets.ingest.filters.grammar import (
    CONTAINING,
    MEMBERSHIP,
    Condition,
    Group,
    Node,
    Source,
    Value,
    parse_expression,
)
from cxg_assets.ingest.filters.stand_ins import FILE, StandIn
from cxg_assets.ingest.value_lists import Lists

__all__ = ["columns_of", "conditions_of", "files_of", "plain_spelling", "render"]


def render(node: Node) -> str:
    """Writes a tree as text that parses to an equal tree."""
    if isinstance(node, Group):
        terms = (f"({render(term)})" if isinstance(term, Group) else render(term) for term in node.terms)
        return f" {node.joiner} ".join(terms)
    # ascii(): what repr() escapes follows the Unicode tables of the Python version, and fingerprints must not.
    plain = node.column.isascii() and node.column.isidentifier() and not iskeyword(node.column)
    name = node.column if plain else f"attr({node.column!a})"
    if node.stand_in is not None and not node.values:
        wanted = str(node.stand_in)
    else:
        values = ", ".join(ascii(value) for value in node.values)
        is_list = node.op in MEMBERSHIP or len(node.values) > 1
        wanted = f"[{values}]" if is_list else values
    if node.op in CONTAINING:
        return f"{node.op.removesuffix('contains')}contains({name}, {wanted})"
    return f"{name} {node.op} {wanted}"


def conditions_of(node: Node) -> list[Condition]:
    """The conditions of a tree, from left to right."""
    return [found for term in node.terms for found in conditions_of(term)] if isinstance(node, Group) else [node]


def columns_of(node: Node) -> tuple[str, ...]:
    """Names of the columns of a tree, in order of first use."""
    return tuple(dict.fromkeys(condition.column for condition in conditions_of(node)))


def plain_spelling(text: str, lists: Lists | None = None) -> str:
    """A spelling that needs no schema, to tell whether a filter was edited or only written in another way.

    `ValueFilter.canonical` knows the types of the columns. Here `True`, `1` and `1.0` are one constant: whichever of
    them a column takes, it takes as the same.

    Args:
        text: A filter.
        lists: The values of the files that it names.

    Returns:
        The same text for filters that differ in what `ValueFilter.canonical` leaves out; a text that is no filter as
        it is, as those who apply it say what is wrong.
    """
    try:
        return render(_plain(parse_expression(Source(text=text.strip(), where="value_filter")), lists or {}))
    except BadInput:
        return text


def files_of(text: str) -> tuple[str, ...]:
    """Names of the files whose values a filter asks for; none of a text that is no filter.

    Args:
        text: A filter.
    """
    try:
        root = parse_expression(Source(text=text.strip(), where="value_filter"))
    except BadInput:
        return ()
    stand_ins = (condition.stand_in for condition in conditions_of(root))
    return tuple(dict.fromkeys(it.argument for it in stand_ins if it is not None and it.kind == FILE))


def _plain(node: Node, lists: Lists) -> Node:
    if isinstance(node, Group):
        return replace(node, terms=tuple(_plain(term, lists) for term in node.terms))
    if node.stand_in is not None and node.stand_in.kind == FILE and node.stand_in.argument in lists:
        return replace(node, stand_in=StandIn(FILE, lists[node.stand_in.argument].digest))
    values = tuple(_plain_value(value) for value in node.values)
    if node.op in (*MEMBERSHIP, *CONTAINING):
        values = tuple(sorted(set(values), key=lambda value: (isinstance(value, str), str(value))))
    return replace(node, values=values)


def _plain_value(value: Value) -> Value:
    if isinstance(value, bool) or (isinstance(value, float) and value.is_integer()):
        return int(value)
    return value
