"""The text of a filter, and what is said of a piece of it that is wrong."""

import ast
import re
from dataclasses import dataclass
from typing import NoReturn

from cxg_assets.ingest.errors import BadInput

SHOWN_CHARACTERS = 60
"""Of a piece of a filter in a message."""

Place = tuple[int, int, int, int]
"""Line and byte of a line where a piece of text starts and ends, as Python's syntax tree counts them."""

_LINE_END = re.compile("\r\n|\r|\n")  # as Python's tokenizer counts lines


@dataclass(frozen=True, kw_only=True)
class Source:
    """The text of a filter and the name of the place where a user wrote it; words the complaints about it."""

    text: str
    where: str

    def fail(self, place: Place, problem: str, remedy: str) -> NoReturn:
        """Raises BadInput that shows one piece of the text and where it stands."""
        row, column, last_row, last_column = place
        line = _LINE_END.split(self.text)[row - 1].encode()
        piece = line[column : last_column if last_row == row else None].decode()
        at = self._position(row, len(line[:column].decode()) + 1)
        raise BadInput(f"{self.where}: `{shorten(piece)}` at {at} {problem}. {remedy}")

    def fail_syntax(self, error: SyntaxError) -> NoReturn:
        """Raises BadInput that shows where Python's parser gave up, and why."""
        lines = _LINE_END.split(self.text)
        row = min(max(error.lineno or 1, 1), len(lines))
        line = lines[row - 1]
        # Python counts from 1, and gives 0 or nothing when the text ended too early.
        column = min(error.offset or len(line) + 1, len(line) + 1)
        piece = f"`{shorten(line[column - 1 :])}`" if line[column - 1 :].strip() else "the end"
        remedy = "Write conditions like tissue_general == 'blood' and is_primary_data == True."
        if len(lines) > 1:
            remedy = "Keep the filter on one line (`>-` in YAML), or put all of it in parentheses."
        elif line[column - 1 :].startswith("="):
            remedy = "Use == to compare."
        problem = f"does not parse at {self._position(row, column)}, at {piece}: {shorten(error.msg.rstrip('.'))}"
        raise BadInput(f"{self.where}: the filter {problem}. {remedy}") from None

    def _position(self, row: int, column: int) -> str:
        return f"line {row}, column {column}" if _LINE_END.search(self.text) else f"column {column}"


def place_of(node: ast.expr) -> Place:
    """Where an expression stands."""
    end = (node.end_lineno or node.lineno, node.end_col_offset or node.col_offset)
    return (node.lineno, node.col_offset, *end)


def shorten(text: str) -> str:
    """Text on one line, cut to what a message can show."""
    line = " ".join(text[: 10 * SHOWN_CHARACTERS].split())
    return line if len(line) <= SHOWN_CHARACTERS else f"{line[: SHOWN_CHARACTERS - 1]}…"
