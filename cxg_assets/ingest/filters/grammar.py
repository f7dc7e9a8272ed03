"""The language of `value_filter` strings: from text to a small tree of conditions.

It is the language that the parser of tiledbsoma 2.3.0 (`_query_condition.py`) accepts, with `contains(column, value)`
for columns that join several values of a cell by ` || `, with `descendants(term)` and `file(name)` in place of a list,
and less what SOMA reads in a way nobody means: `-'b'` taken as the empty string, all after the list in
`a in ['x'] == 'y'` ignored. The text goes through `ast.parse` only; nothing in it is ever executed. Whether a tree fits
the columns is for `value_filter` to check.
"""

import ast
import re
import threading
import warnings
from dataclasses import dataclass, field
from typing import Literal, NoReturn

from cxg_assets.ingest.errors import BadInput
from cxg_assets.ingest.filters.lookup import Lookup
from cxg_assets.ingest.filters.source import Place, Source, place_of, shorten
from cxg_assets.ingest.filters.stand_ins import FILE, StandIn, read_stand_in

__all__ = [
    "CONTAINING",
    "HALF_CHARACTER",
    "MEMBERSHIP",
    "Condition",
    "Group",
    "Node",
    "Source",
    "Value",
    "parse_expression",
]

MAX_TEXT_CHARACTERS = 1_000_000
# Below the 200 nested parentheses of Python's own parser, so that the canonical text of what is accepted parses again.
MAX_NESTED_LEVELS = 100

Value = str | bool | int | float | None
Operator = Literal["==", "!=", "<", "<=", ">", ">=", "in", "not in", "contains", "not contains"]
Joiner = Literal["and", "or"]
MEMBERSHIP = ("in", "not in")
CONTAINING = ("contains", "not contains")
"""Of columns that join several values of a cell: whether one of the constants is among them."""

HALF_CHARACTER = re.compile("[\ud800-\udfff]")
_COMPARISONS: dict[type[ast.cmpop], Operator] = {
    ast.Eq: "==", ast.NotEq: "!=", ast.Lt: "<", ast.LtE: "<=", ast.Gt: ">", ast.GtE: ">=",
}  # fmt: skip
_MIRRORED: dict[Operator, Operator] = {"==": "==", "!=": "!=", "<": ">", "<=": ">=", ">": "<", ">=": "<="}
# Also right for missing values and NaN: TileDB negates the operator, so `not x < 5` is `x >= 5` and drops both.
_NEGATED: dict[Operator, Operator] = {
    "==": "!=", "!=": "==", "<": ">=", ">=": "<", ">": "<=", "<=": ">", "in": "not in", "not in": "in",
    "contains": "not contains", "not contains": "contains",
}  # fmt: skip
_JOINERS: dict[type[ast.AST], Joiner] = {ast.And: "and", ast.BitAnd: "and", ast.Or: "or", ast.BitOr: "or"}
_OTHER_JOINER: dict[Joiner, Joiner] = {"and": "or", "or": "and"}
_UNSUPPORTED: dict[type[ast.AST], str] = {
    ast.Attribute: "is attribute access",
    ast.BinOp: "is arithmetic",
    ast.Call: "is a function call",
    ast.Constant: "is a constant, not a condition",
    ast.IfExp: "is an if-else",
    ast.JoinedStr: "is an f-string",
    ast.NamedExpr: "is an assignment",
}


@dataclass(frozen=True, kw_only=True)
class Condition:
    """One comparison of one column with constants.

    Attributes:
        column: Name of the column.
        op: Comparison, with the column on its left.
        values: Constants; exactly one unless `op` is one of `MEMBERSHIP` or `CONTAINING`.
        stand_in: What stands for the constants: of `descendants(id)` `value_filter` puts them into `values`.
        listed: The constants of `file(name)`, which `value_filter` puts in.
        place: Where it stands in the text.
    """

    column: str
    op: Operator
    values: tuple[Value, ...]
    stand_in: StandIn | None = None
    listed: Lookup | None = None
    place: Place = field(compare=False, repr=False)


@dataclass(frozen=True, kw_only=True)
class Group:
    """Two or more terms that are joined by `and` or by `or`; no term is a group with the same joiner."""

    joiner: Joiner
    terms: "tuple[Node, ...]"


Node = Condition | Group

_ONE_TREE = threading.Lock()
"""Before Python 3.11.8 and 3.12.2, trees that are made side by side spoil each other's count of levels, which is a
SystemError (https://github.com/python/cpython/issues/106905)."""


def parse_expression(source: Source) -> Node:
    """Reads a filter, with its negations pushed down into the operators.

    Raises:
        BadInput: If the text is empty, too long, or not a filter of this language.
    """
    if not source.text:
        raise BadInput(f"{source.where}: the filter is empty. Leave it out to select everything.")
    if len(source.text) > MAX_TEXT_CHARACTERS:
        raise BadInput(
            f"{source.where}: the filter has {len(source.text):,} characters, the limit is {MAX_TEXT_CHARACTERS:,}. "
            "Filter on fewer values, or on a column that groups them."
        )
    if bad := HALF_CHARACTER.search(source.text) or re.search("\0", source.text):
        raise BadInput(f"{source.where}: the filter contains {bad[0]!a}, which is not text. Remove it.")
    try:
        with warnings.catch_warnings():
            # Python warns of spellings like '\d', which mean what they say here.
            warnings.simplefilter("ignore")
            with _ONE_TREE:
                tree = ast.parse(source.text, mode="eval")
        return _Reader(source).node(tree.body, negated=False, level=0)
    except SyntaxError as error:
        source.fail_syntax(error)
    except (RecursionError, MemoryError):
        # Python's parser raises MemoryError when its own stack is used up, whatever memory is left.
        raise BadInput(
            f"{source.where}: the filter is nested too deeply. Use fewer parentheses, or `in [...]` for many values."
        ) from None


class _Reader:
    """Turns the syntax tree of one filter into conditions, refusing everything that is not one."""

    def __init__(self, source: Source) -> None:
        self._source = source

    def node(self, node: ast.expr, *, negated: bool, level: int) -> Node:
        if level > MAX_NESTED_LEVELS:
            raise RecursionError
        if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.Not):
            return self.node(node.operand, negated=not negated, level=level + 1)
        if isinstance(node, ast.BoolOp | ast.BinOp) and type(node.op) in _JOINERS:
            operands = node.values if isinstance(node, ast.BoolOp) else _operands(node)
            terms = [self.node(operand, negated=negated, level=level + 1) for operand in operands]
            return _join(_JOINERS[type(node.op)], terms, negated)
        if isinstance(node, ast.Compare):
            return self._comparison(node, negated)
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "contains":
            return self._containing(node, negated)
        if isinstance(node, ast.Name):
            self._fail(node, "is not a condition", f"Compare it with a value, like {shorten(node.id)} == True.")
        self._refuse(node)

    def _comparison(self, node: ast.Compare, negated: bool) -> Node:
        """Reads `a == 1`, `1 == a`, a chain like `0 < a <= 9`, or `a in [1, 2]`."""
        if isinstance(node.ops[0], ast.In | ast.NotIn):
            return self._membership(node, negated)
        terms: list[Node] = []
        left = node.left
        for operation, right in zip(node.ops, node.comparators, strict=True):
            if type(operation) not in _COMPARISONS:
                self._fail(node, "uses an operator that filters do not have here", "Use == or !=, and join with `and`.")
            column, value, op = left, right, _COMPARISONS[type(operation)]
            if not _names_column(left):
                column, value, op = right, left, _MIRRORED[op]
            if not _names_column(column):
                self._constant(value)  # refuses what is neither, with a message of its own
                self._constant(column)
                self._fail(node, "compares constants only", "Compare a column with a constant.")
            if _names_column(value):
                self._fail(value, "is a column, or text without quotes", "Compare with a constant, and quote text.")
            terms.append(self._condition(node, column, op, [self._constant(value)], negated))
            left = right
        return _join("and", terms, negated)

    def _membership(self, node: ast.Compare, negated: bool) -> Condition:
        op: Operator = "in" if isinstance(node.ops[0], ast.In) else "not in"
        items = node.comparators[0]
        if len(node.ops) > 1:
            self._fail(node, f"goes on after the list of `{op}`", "Join conditions with `and`.")
        for side in (node.left, items):
            if isinstance(side, ast.BinOp):
                self._refuse(side)
        if not _names_column(node.left):
            self._fail(node.left, f"is not a column, and `{op}` needs one on its left", "Write: column in ['a', 'b'].")
        if (stand_in := read_stand_in(items, self._source)) is not None:
            return self._condition(node, node.left, op, [], negated, stand_in)
        if not isinstance(items, ast.List):
            self._fail(items, "is not a list", f"Write the values after `{op}` in square brackets.")
        if not items.elts:
            self._fail(node, "has an empty list", "Give at least one value, or leave the condition out.")
        for item in items.elts:
            if isinstance(item, ast.UnaryOp):
                self._fail(
                    item, "has a sign, which SOMA does not read in a list", "Write column == -1 or column == -2."
                )
        return self._condition(node, node.left, op, [self._constant(item) for item in items.elts], negated)

    def _containing(self, node: ast.Call, negated: bool) -> Condition:
        """Reads `contains(column, 'a')` or `contains(column, ['a', 'b'])`, which SOMA does not have."""
        if len(node.args) != 2 or node.keywords or not _names_column(node.args[0]):
            self._fail(node, "needs a column and a value", "Write contains(disease, 'influenza').")
        column, wanted = node.args
        if (stand_in := read_stand_in(wanted, self._source)) is not None:
            if stand_in.kind == FILE:
                self._fail(node, "looks for the values of a file", "Only `in` and `not in` have those.")
            return self._condition(node, column, "contains", [], negated, stand_in)
        items = wanted.elts if isinstance(wanted, ast.List) else [wanted]
        if not items:
            self._fail(node, "has an empty list", "Give at least one value, or leave the condition out.")
        return self._condition(node, column, "contains", [self._constant(item) for item in items], negated)

    def _condition(
        self,
        node: ast.expr,
        column: ast.expr,
        op: Operator,
        values: list[Value],
        negated: bool,
        stand_in: StandIn | None = None,
    ) -> Condition:
        name = column.id if isinstance(column, ast.Name) else self._argument(column)
        if not isinstance(name, str):
            self._fail(column, "does not name a column", 'Write attr("name").')
        op = _NEGATED[op] if negated else op
        return Condition(column=name, op=op, values=tuple(values), stand_in=stand_in, place=place_of(node))

    def _constant(self, node: ast.expr) -> Value:
        """Returns the value that a filter spells out, with its sign."""
        sign, operand = 1, node
        while isinstance(operand, ast.UnaryOp) and isinstance(operand.op, ast.USub | ast.UAdd):
            sign = -sign if isinstance(operand.op, ast.USub) else sign
            operand = operand.operand
        if isinstance(operand, ast.Constant):
            value = operand.value
        elif isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "val":
            value = self._argument(node)
        else:
            self._refuse(node)
        if value is not None and not isinstance(value, str | int | float):
            self._fail(node, "is not text, a number, True, False or None", "Write another constant.")
        if isinstance(value, int) and value.bit_length() > 1024:
            self._fail(node, "is too large for any column", "Use a smaller number.")
        if operand is node:
            return value
        if value is None or isinstance(value, str | bool):
            self._fail(node, "has a sign but is not a number", "Remove the sign.")
        return sign * value

    def _argument(self, node: ast.expr) -> object:
        """Returns the constant inside `attr(...)` or `val(...)`."""
        arguments = node.args if isinstance(node, ast.Call) and not node.keywords else []
        if len(arguments) == 1 and isinstance(arguments[0], ast.Constant):
            return arguments[0].value
        self._fail(node, "needs one plain constant as its argument", 'Write attr("name") or val(1).')

    def _refuse(self, node: ast.expr) -> NoReturn:
        """Refuses a construct that is no part of the language."""
        if isinstance(node, ast.BinOp) and type(node.op) in _JOINERS:
            remedy = "Put each comparison in parentheses: & and | bind tighter than ==."
            self._fail(node, "does not join two comparisons", remedy)
        remedy = "Compare columns with constants, and join the comparisons with and, or, not."
        if isinstance(node, ast.Attribute):
            remedy = 'Write attr("a.b") for a column with a dot in its name.'
        problem = _UNSUPPORTED.get(type(node), f"is a {type(node).__name__}")
        self._fail(node, f"{problem}, which filters do not have here", remedy)

    def _fail(self, node: ast.expr, problem: str, remedy: str) -> NoReturn:
        self._source.fail(place_of(node), problem, remedy)


def _operands(node: ast.BinOp) -> list[ast.expr]:
    """Returns the operands of `a & b & c`, which Python nests to the left, in order and without recursion."""
    operands: list[ast.expr] = []
    left: ast.expr = node
    while isinstance(left, ast.BinOp) and type(left.op) is type(node.op):
        operands.append(left.right)
        left = left.left
    return [left, *reversed(operands)]


def _join(joiner: Joiner, terms: list[Node], negated: bool) -> Node:
    """Joins terms (negated ones by the other joiner, after De Morgan), merging groups that are joined the same way."""
    joiner = _OTHER_JOINER[joiner] if negated else joiner
    merged: list[Node] = []
    for term in terms:
        merged += term.terms if isinstance(term, Group) and term.joiner == joiner else [term]
    return merged[0] if len(merged) == 1 else Group(joiner=joiner, terms=tuple(merged))


def _names_column(node: ast.expr) -> bool:
    called = node.func if isinstance(node, ast.Call) else None
    return isinstance(node, ast.Name) or (isinstance(called, ast.Name) and called.id == "attr")
