"""Reads lists that lie beside a YAML, genes or values of obs, as people write them or a spreadsheet saves them."""

import codecs
import csv
from collections.abc import Callable
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc

from cxg_assets.ingest.errors import BadInput, shown, shown_path
from cxg_assets.ingest.filters.lookup import value_list
from cxg_assets.ingest.filters.spelling import files_of
from cxg_assets.ingest.gene_selection import FEATURE_ID
from cxg_assets.ingest.value_lists import ValueList

COLUMN = "feature_id"
"""Header of the column that is read, in capitals or not."""

_VOCABULARY = "genes.vocabulary"
_DELIMITERS = ",;\t"

_UTF_16 = (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)
"""What spreadsheets begin a "Unicode text" with."""


def read_gene_file(path: Path, attribute: str = "genes.file", organism: str = "") -> tuple[str, ...]:
    """Reads feature_ids, or names of genes, from a text file: one a line, blank lines and what follows a `#` left out.

    The first line may be the header `feature_id`. Of a file with more columns, separated by commas, semicolons or tabs,
    that has such a header, the column of that name is read; of one with a column for each organism that of `organism`.
    There a gene may be missing, which is left out: of a vocabulary, whose genes have places, it is refused.

    Args:
        path: The file, in UTF-8 with or without a byte order mark, or in UTF-16 with one.
        attribute: What the user calls it, for the message.
        organism: As the Census spells it.

    Raises:
        BadInput: The file cannot be read as text, has no genes, or has a line that is none.
    """
    lines = [
        (number, text)
        for number, line in enumerate(_text_of(path, attribute).splitlines(), 1)
        if (text := line.split("#", 1)[0].strip())
    ]
    of_organism = _header(lines[0][1], organism) if lines and organism else None
    header = of_organism or (_header(lines[0][1], COLUMN) if lines else None)
    delimiter, column = header or ("", 0)
    genes: list[str] = []
    for number, line in lines[0 if header is None else 1 :]:
        where = f"{attribute}: {shown_path(path)}:{number}"
        if of_organism is not None and not _field(line, delimiter, column):
            if attribute == _VOCABULARY:
                raise BadInput(f"{where}: no gene of {organism} is there; take the line out")
            continue
        genes.append(_gene(where, line, delimiter, column))
    if not genes:
        advice = "leave genes out to keep all genes" if attribute.startswith("genes.") else "write one on each line"
        raise BadInput(f"{attribute}: {shown_path(path)} has no genes; {advice}")
    return tuple(genes)


def read_values(path: Path, attribute: str) -> tuple[str, ...]:
    """Reads values of an obs column from a text file: one a line, blank lines and lines that begin with # left out.

    Args:
        path: The file, in UTF-8 with or without a byte order mark, or in UTF-16 with one.
        attribute: What the user calls it, for the message.

    Raises:
        BadInput: The file cannot be read as text, or has no values.
    """
    return tuple(dict.fromkeys(_values_of(path, attribute).to_pylist()))


def read_lists(value_filter: str | None, locate: Callable[[str], Path]) -> dict[str, ValueList]:
    """Reads the files that a filter over obs names, by these names.

    Args:
        value_filter: SOMA filter over obs, or None. A text that is none names no file: who parses it says why.
        locate: Where a file of that name lies.

    Raises:
        BadInput: A file cannot be read as text, or has no values.
    """
    names = () if value_filter is None else files_of(value_filter)
    return {name: value_list(_values_of(locate(name), "value_filter")) for name in names}


def _values_of(path: Path, attribute: str) -> pa.Array:
    """The lines of a file that are values, large_string: a million of them in a third of a second."""
    text = pa.array([_text_of(path, attribute).replace("\r", "\n")], pa.large_string())
    lines = pc.call_function("split_pattern", [text], pc.SplitPatternOptions("\n")).flatten()
    lines = pc.call_function("utf8_trim_whitespace", [lines])
    is_comment = pc.call_function("starts_with", [lines], pc.MatchSubstringOptions("#"))
    is_value = pc.call_function("and_not", [pc.call_function("not_equal", [lines, ""]), is_comment])
    values = lines.filter(is_value)
    if not len(values):
        raise BadInput(f"{attribute}: {shown_path(path)} has no values; write one on each line")
    return values


def _text_of(path: Path, attribute: str) -> str:
    """Text of a file.

    Raises:
        BadInput: It cannot be read, or is none.
    """
    try:
        if path.exists() and not path.is_file():
            raise BadInput(f"{attribute}: cannot read {shown_path(path)}: it is not a file")
        content = path.read_bytes()
    except OSError as error:
        raise BadInput(f"{attribute}: cannot read {shown_path(path)}: {error.strerror or error}") from error
    encoding = "utf-16" if content.startswith(_UTF_16) else "utf-8-sig"
    try:
        return content.decode(encoding)
    except UnicodeDecodeError as error:
        line = content[: error.start].count(b"\n") + 1
        name = encoding.removesuffix("-sig").upper()
        raise BadInput(
            f"{attribute}: cannot read {shown_path(path)}: line {line} is not text in {name}; save it as text or CSV "
            "in UTF-8"
        ) from error


def _header(line: str, column: str) -> tuple[str, int] | None:
    """Delimiter of a table and number of a column, when its first line names the column; else None."""
    for delimiter in ("", *_DELIMITERS):
        names = [field.lower() for field in _fields(line, delimiter)]
        if column in names:
            return delimiter, names.index(column)
    return None


def _fields(line: str, delimiter: str) -> list[str]:
    """Fields of a line, without blanks and quotes around them; without a delimiter the line is one."""
    if not delimiter:
        return [line.strip("\"'").strip()]
    try:
        return [field.strip() for field in next(csv.reader([line], delimiter=delimiter))]
    except csv.Error:  # a field of more than 128 KiB
        return [line]


def _field(line: str, delimiter: str, column: int) -> str:
    """One field; empty where the line is shorter."""
    fields = _fields(line, delimiter)
    return fields[column] if column < len(fields) else ""


def _gene(where: str, line: str, delimiter: str, column: int) -> str:
    gene = _field(line, delimiter, column)
    if not FEATURE_ID.fullmatch(gene):
        raise BadInput(f"{where}: {shown(gene or line)} is not a feature_id (like ENSG00000081237)")
    return gene
