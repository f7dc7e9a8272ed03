"""Bars of how many cells carry each label, small enough that the UI shows them without a click, and their table.

The UI shows Markdown of up to 1,000 characters where it stands, and longer Markdown behind a link. A PNG is always
longer; this SVG is not. It is drawn with a grey and a blue that can be told from the white of the UI's light theme and
from the near-black of its dark one.
"""

import html
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from urllib.parse import quote

import dagster as dg

from cxg_assets.ui import markdown
from cxg_assets.ui.markdown import SHOWN, escaped

BLUE = "#0072b2"
"""Of the palette of Okabe and Ito, which colour-blind people can tell apart."""

TEXT = "#777c82"
"""Grey with a contrast of 4.2 to 1 against white, and as much against the dark theme."""

MAX_BARS = 9
"""Of a picture; the last stands for all other labels, where there are more."""

MAX_ROWS = 15
"""Of a table; the last stands for all other labels, where there are more."""

LABEL_LENGTH = 40
"""Characters of a label that are shown."""

_WIDTH, _ROW = 300, 24
"""Pixels: of the longest bar at the end of the axis, and from one bar to the next."""


@dataclass(frozen=True)
class Bar:
    """One bar, or row of the table."""

    label: str
    n_obs: int


def largest(counts: Mapping[str, int], n: int) -> tuple[list[Bar], list[Bar]]:
    """At most n bars, most cells first; where there are more labels, the last stands for all the others.

    Returns:
        Those of one label, and that of all others, if there are any.
    """
    ordered = sorted(counts.items(), key=lambda item: (-item[1], item[0]))
    n_alone = len(ordered) if len(ordered) <= n else n - 1
    alone, others = ordered[:n_alone], ordered[n_alone:]
    rest = [Bar(f"{len(others):,} others", sum(n_obs for _, n_obs in others))] if others else []
    return [Bar(_short(label), n_obs) for label, n_obs in alone], rest


def picture(title: str, counts: Mapping[str, int]) -> dg.MetadataValue:
    """The bars as Markdown that carries an SVG: as many as the UI shows without a click.

    Args:
        title: What is counted, like `Cells by tissue`; for those who do not see the picture as well.
        counts: Cells of each label, of at least one.
    """

    def drawn(n: int) -> str:
        return f"![{title}](<data:image/svg+xml,{quote(_svg(*largest(counts, n)), safe=_SAFE)}>)"

    return longest_shown(drawn, MAX_BARS)


def table(heading: str, counts: Mapping[str, int], n_others: int = 0) -> dg.MetadataValue:
    """The same numbers as a table, with the share of each: as many rows as the UI shows without a click.

    Args:
        heading: What a label is.
        counts: Cells of each label.
        n_others: Cells of labels that were not counted one by one.
    """
    total = sum(counts.values()) + n_others

    def written(n: int) -> str:
        alone, rest = largest(counts, n)
        if n_others:
            rest = [Bar("others", sum(bar.n_obs for bar in rest) + n_others)]
        rows = ((escaped(b.label), f"{b.n_obs:,}", f"{100 * b.n_obs / total:.1f} %") for b in (*alone, *rest))
        return markdown.table((heading, "cells", "share"), rows, numbers=("cells", "share"))

    return longest_shown(written, MAX_ROWS)


def longest_shown(of: Callable[[int], str], most: int) -> dg.MetadataValue:
    """The Markdown with as many rows as the UI shows without a click."""
    texts = (of(n) for n in range(most, 1, -1))
    return dg.MetadataValue.md(next((text for text in texts if len(text) < SHOWN), of(1)))


_SAFE = " '=:/;,.-+!@$~?"
"""What may stand in a data URL between angle brackets of Markdown as it is."""


def _svg(alone: Sequence[Bar], rest: Sequence[Bar]) -> str:
    """A picture of bars, each with its label and number above it, over an axis of cells; what is the rest has none.

    A bar of all others would be the longest, and no label's.
    """
    end = _round_up(max((bar.n_obs for bar in alone), default=1))
    foot = _ROW * len(alone) + 16 * len(rest)
    labels = "".join(
        f"<text y='{_ROW * n + 11}'>{html.escape(bar.label, quote=False)} {bar.n_obs:,}</text>"
        for n, bar in enumerate((*alone, *rest))
    )
    lines = "".join(f"M0 {_ROW * n + 18}h{max(round(_WIDTH * bar.n_obs / end), 1)}" for n, bar in enumerate(alone))
    ticks = f"<text y='{foot + 17}'>0</text><text x='{_WIDTH}' y='{foot + 17}' text-anchor='end'>{end:,} cells</text>"
    return (
        f"<svg xmlns='http://www.w3.org/2000/svg' width='{_WIDTH + 9}' height='{foot + 22}' "
        f"font-family='sans-serif' font-size='12' fill='{TEXT}'>{labels}{ticks}"
        f"<path stroke='{BLUE}' stroke-width='7' d='{lines}'/><path stroke='{TEXT}' d='M0 {foot + 2}h{_WIDTH}'/></svg>"
    )


def _round_up(n: int) -> int:
    """The least of 1, 2, 5, 10, 20, 50 … that is not below a number: where the axis ends."""
    unit = 10 ** math.floor(math.log10(max(n, 1)))
    return next(factor * unit for factor in (1, 2, 5, 10) if factor * unit >= n)


def _short(label: str) -> str:
    return label if len(label) <= LABEL_LENGTH else f"{label[: LABEL_LENGTH - 1]}…"
