"""What stands for the constants of a condition: a term of an ontology, or a file."""

import ast
from dataclasses import dataclass

from cxg_assets.ingest.filters.source import Source, place_of

DESCENDANTS = "descendants"
FILE = "file"

_EXAMPLES = {
    DESCENDANTS: ("needs the id of a term", "Write descendants('CL:0000542')."),
    FILE: ("needs the name of a file", "Write file('datasets.txt')."),
}


@dataclass(frozen=True)
class StandIn:
    """`kind(argument)` in place of a list.

    Attributes:
        kind: `DESCENDANTS`, the term and all below it; or `FILE`, the values of a file beside the YAML.
        argument: The id of the term; the file's name, or of a filter that was checked `ValueList.digest`.
    """

    kind: str
    argument: str

    def __str__(self) -> str:
        """As a filter spells it."""
        return f"{self.kind}({self.argument!a})"


def read_stand_in(node: ast.expr, source: Source) -> StandIn | None:
    """Reads a stand-in, which SOMA does not have; None for anything else.

    Raises:
        BadInput: It has another argument than one text.
    """
    if not (isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in _EXAMPLES):
        return None
    argument = node.args[0] if len(node.args) == 1 and not node.keywords else None
    if not isinstance(argument, ast.Constant) or not isinstance(argument.value, str):
        source.fail(place_of(node), *_EXAMPLES[node.func.id])
    return StandIn(node.func.id, argument.value)
