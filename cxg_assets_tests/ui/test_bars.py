"""Bars are drawn to scale, fit into what the UI shows without a click, and have their numbers in a table."""

import re
from typing import Any
from urllib.parse import unquote
from xml.etree import ElementTree

import pytest

from cxg_assets.ui import bars, plots

SVG = "{http://www.w3.org/2000/svg}"
MANY = {f"CD{n}-positive, alpha-beta T cell": 10_000 - 17 * n for n in range(900)}
ODD = {"a <b> & 'c' [d](e) #f %g \\h `i` |": 3, "T-λ·é": 2, "x" * 300: 1}


def drawn(metadata: Any) -> ElementTree.Element:
    """The picture that a browser is given."""
    markdown = re.fullmatch(r"!\[([^\]]*)\]\(<data:image/svg\+xml,([^<>\n]*)>\)", metadata.value)
    assert markdown is not None
    return ElementTree.fromstring(unquote(markdown[2]))


def texts(svg: ElementTree.Element) -> list[str]:
    return ["".join(text.itertext()) for text in svg.iter(f"{SVG}text")]


def lengths(svg: ElementTree.Element) -> list[int]:
    """Pixels of each bar."""
    [path, _] = svg.iter(f"{SVG}path")
    return [int(length) for length in re.findall(r"h(\d+)", path.attrib["d"])]


@pytest.mark.parametrize("counts", [{"a": 1}, MANY, ODD], ids=["one", "many", "odd"])
def test_a_picture_is_shown_without_a_click(counts: dict[str, int]) -> None:
    assert len(str(bars.picture("Cells by cell type", counts).value)) < 1_000


def test_bars_are_as_long_as_their_cells_over_an_axis_with_its_unit() -> None:
    svg = drawn(bars.picture("Cells by tissue", {"blood": 4_000, "lung": 1_000, "eye": 1}))

    assert texts(svg) == ["blood 4,000", "lung 1,000", "eye 1", "0", "5,000 cells"]
    assert lengths(svg) == [240, 60, 1]


def test_of_many_labels_the_largest_are_drawn_and_the_others_together() -> None:
    svg = drawn(bars.picture("Cells by cell type", MANY))
    *labels, _, _ = texts(svg)

    *alone, others = labels
    assert alone == [f"{label} {n_obs:,}" for label, n_obs in list(MANY.items())[: len(alone)]]
    n_others = sum(list(MANY.values())[len(alone) :])
    assert others == f"{len(MANY) - len(alone)} others {n_others:,}"
    assert len(lengths(svg)) == len(alone)


def test_a_label_is_text_whatever_is_in_it() -> None:
    assert texts(drawn(bars.picture("Cells", ODD)))[:3] == [f"{next(iter(ODD))} 3", "T-λ·é 2", f"{'x' * 39}… 1"]


def rows(metadata: Any) -> list[list[str]]:
    """The cells of a table without its head."""
    return [line.strip("| ").split(" | ") for line in metadata.value.splitlines()[2:]]


def test_the_table_has_the_numbers_of_the_picture() -> None:
    counts = {"blood": 4_000, "lung": 999, "eye": 1}

    written = rows(bars.table("tissue", counts))

    assert [f"{label} {n_obs}" for label, n_obs, _ in written] == texts(drawn(bars.picture("Cells", counts)))[:3]
    assert [share for *_, share in written] == ["80.0 %", "20.0 %", "0.0 %"]


def test_cells_that_were_not_counted_by_label_are_in_the_last_row() -> None:
    assert rows(bars.table("cell type", {"a": 6, "b": 3}, 1))[-1] == ["others", "1", "10.0 %"]
    *_, last = rows(bars.table("cell type", MANY, 5))
    assert last[0] == "others"
    assert sum(int(n_obs.replace(",", "")) for _, n_obs, _ in rows(bars.table("x", MANY, 5))) == sum(MANY.values()) + 5


def test_the_colours_are_those_of_the_other_pictures() -> None:
    svg = drawn(bars.picture("Cells", {"a": 1}))
    [bar, axis] = svg.iter(f"{SVG}path")
    assert (bar.attrib["stroke"], axis.attrib["stroke"], svg.attrib["fill"]) == (plots.BLUE, plots.TEXT, plots.TEXT)
