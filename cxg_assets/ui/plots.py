"""Pictures of what a run made, for the pages of the Dagster UI.

The background is transparent, and every colour can be told from the white of the UI's light theme and from the
near-black of its dark one. Colours are those of Okabe and Ito, which colour-blind people can tell apart. What is drawn
is bounded (bins, the largest of many), so that a picture of 100,000 chunks is as small as that of one. Each has
its numbers as a table below it.

matplotlib is imported when the first picture is drawn: it takes a second, and only a run's end needs it.
"""

import base64
import contextlib
import io
import itertools
import threading
from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from cxg_assets.ingest.chunks.amplification import Decoding
from cxg_assets.ingest.chunks.report import ChunkReport
from cxg_assets.ingest.quantities import byte_unit, size
from cxg_assets.ui.bars import BLUE, TEXT
from cxg_assets.ui.markdown import table

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.axis import Axis
    from matplotlib.figure import Figure

ORANGE, GREEN, PINK, SKY, VERMILION = "#e69f00", "#009e73", "#cc79a7", "#56b4e9", "#d55e00"

WORKER_COLOURS = (BLUE, ORANGE, GREEN, PINK, SKY, VERMILION)
"""One for each worker that is drawn by itself; the others are drawn together."""

N_BINS = 60
"""Bins of a histogram, and of the chunks of a plan."""

WIDTH, DPI = 8.0, 100
"""Inches, and pixels to the inch."""


class Picture(NamedTuple):
    """A picture and its numbers.

    Attributes:
        figure: The picture.
        columns: Names of the columns of the table, with units.
        rows: What is drawn, a row a bar or step.
    """

    figure: "Figure"
    columns: Sequence[str]
    rows: Sequence[Sequence[str]]


def as_markdown(picture: Picture, alt: str) -> str:
    """A picture with its table as Markdown that carries it, which the UI renders.

    Args:
        picture: The picture.
        alt: For those who do not see it.
    """
    png = base64.b64encode(as_png(picture.figure)).decode()
    numbers = table(picture.columns, picture.rows, numbers=picture.columns)
    return f"![{alt}](data:image/png;base64,{png})\n\n{numbers}"


def as_png(figure: "Figure") -> bytes:
    """A picture as a PNG with a palette: a third of the size."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from PIL import Image

    # `Figure.savefig` draws everything twice, and packs what is unpacked again here.
    canvas = FigureCanvasAgg(figure)
    canvas.draw()
    png = io.BytesIO()
    drawn = Image.fromarray(np.asarray(canvas.buffer_rgba()))
    drawn.quantize(128, method=Image.Quantize.FASTOCTREE).save(png, format="png", optimize=True)
    return png.getvalue()


def import_ahead() -> None:
    """Imports beside what the caller does next, like waiting for workers, what drawing needs."""

    def load() -> None:
        with contextlib.suppress(ImportError):  # drawing meets it again
            import matplotlib.backends.backend_agg
            import matplotlib.figure  # noqa: F401
            import PIL.Image  # noqa: F401

    threading.Thread(target=load, name="matplotlib", daemon=True).start()


def throughput(reports: Sequence[ChunkReport], began_at: float) -> Picture:
    """Cells a second over the time of a run, by worker.

    The cells of a chunk are spread over the time since its worker's chunk before.

    Args:
        reports: Of chunks that were made in the run; at least one.
        began_at: When the run began, in seconds since 1970.
    """
    stored = np.array([report.stored_at for report in reports]) - began_at
    n_obs = np.array([report.n_obs for report in reports], np.float64)
    names, worker = np.unique([report.worker for report in reports], return_inverse=True)
    # Clocks of other machines may be behind ours.
    seconds = max(float(stored.max()), 1e-3)
    edges = np.linspace(0, seconds, N_BINS + 1)

    def rate(number: int) -> np.ndarray:
        times, cells = stored[worker == number], n_obs[worker == number]
        order = np.argsort(times, kind="stable")
        total = np.append(0.0, np.cumsum(cells[order]))
        return np.diff(np.interp(edges, np.append(0.0, np.clip(times[order], 0, seconds)), total)) / edges[1]

    largest_first = np.argsort(-np.bincount(worker, weights=n_obs), kind="stable")
    n_alone = len(names) if len(names) <= len(WORKER_COLOURS) else len(WORKER_COLOURS) - 1
    rates = [rate(number) for number in largest_first]
    drawn, others, labels = rates[:n_alone], rates[n_alone:], [str(names[n]) for n in largest_first[:n_alone]]
    if others:
        drawn.append(np.sum(others, axis=0))
        labels.append(f"{len(others):,} other workers")
    unit, unit_name = next(((u, n) for u, n in ((3_600, "hours"), (60, "minutes")) if seconds >= 2 * u), (1, "seconds"))

    figure, axes = _figure(3.6)
    # Steps, as a bin's rate is that of all its time.
    axes.stackplot(
        edges / unit, *(np.append(r, r[-1:]) for r in drawn), step="post", labels=labels, colors=WORKER_COLOURS
    )
    axes.set_title(f"Throughput by worker: {n_obs.sum() / seconds:,.0f} cells/s on average")
    axes.set_xlabel(f"Time ({unit_name})")
    axes.set_ylabel("Cells a second")
    axes.set_xlim(0, seconds / unit)
    axes.set_ylim(bottom=0)
    _counts(axes.yaxis)
    _legend(figure)
    columns = (f"{axes.get_xlabel()} from", "to", *(f"{label}, cells a second" for label in labels))
    rows = [
        (f"{start:,.2f}", f"{stop:,.2f}", *(f"{layer[n]:,.1f}" for layer in drawn))
        for n, (start, stop) in enumerate(itertools.pairwise(edges / unit))
    ]
    return Picture(figure, columns, rows)


def file_sizes(n_bytes: Sequence[int]) -> Picture:
    """How large the files are; at least one."""
    sizes = np.array(n_bytes, np.float64)
    unit, name = byte_unit(float(sizes.max()))
    counts, edges = np.histogram(sizes / unit, bins=min(N_BINS, max(len(sizes), 1)))

    figure, axes = _figure(2.8)
    axes.stairs(counts, edges, fill=True, color=BLUE)
    number = f"{len(sizes):,} file{'s' if len(sizes) > 1 else ''}"
    axes.set_title(f"File sizes: {number}, {size(float(sizes.mean()))} on average")
    axes.set_xlabel(f"File size ({name})")
    axes.set_ylabel("Files")
    axes.set_ylim(bottom=0)
    _counts(axes.yaxis)
    rows = [
        (f"{start:,.3f}", f"{stop:,.3f}", f"{n:,}")
        for n, (start, stop) in zip(counts, itertools.pairwise(edges), strict=True)
        if n
    ]
    return Picture(figure, (f"File size from ({name})", f"to ({name})", "Files"), rows)


def decoded_cells(decoding: Decoding) -> Picture:
    """Read overhead over the chunks, at least one: expected, and as TileDB counted."""
    n_chunks = len(decoding.n_obs)
    edges = np.unique(np.linspace(0, n_chunks, min(N_BINS, n_chunks) + 1).astype(np.int64))

    def per_bin(values: np.ndarray, wanted: np.ndarray) -> np.ndarray:
        return np.add.reduceat(values, edges[:-1]) / np.maximum(np.add.reduceat(wanted, edges[:-1]), 1)

    figure, axes = _figure(3.2)
    decoded = per_bin(decoding.nnz_decoded, decoding.nnz_wanted)
    axes.stairs(decoded, edges, fill=True, color=SKY, label=f"decoded: {decoding.amplification:,.2f} on average")
    expected = per_bin(decoding.n_obs_expected, decoding.n_obs)
    label = f"expected by the plan: {decoding.amplification_expected:,.2f}"
    axes.stairs(expected, edges, color=VERMILION, linewidth=1.6, baseline=None, label=label)
    axes.set_title("Read overhead: cells decoded for each cell kept")
    axes.set_xlabel("Chunks, in the order of the plan")
    axes.set_ylabel("Cells decoded")
    axes.set_xlim(0, n_chunks)
    axes.set_ylim(0, 1.05 * float(max(decoded.max(), expected.max(), 1)))
    _counts(axes.xaxis)
    _legend(figure)
    rows = [
        (f"{first + 1:,}", f"{stop:,}", f"{of_tiledb:.2f}", f"{of_the_plan:.2f}")
        for first, stop, of_tiledb, of_the_plan in zip(edges[:-1], edges[1:], decoded, expected, strict=True)
    ]
    columns = ("From chunk", "to chunk", "Cells decoded for each kept", "Expected by the plan")
    return Picture(figure, columns, rows)


def _figure(height: float) -> tuple["Figure", "Axes"]:
    """A figure without pyplot, which would keep it for ever."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(WIDTH, height), dpi=DPI, layout="constrained", facecolor="none")
    axes = figure.add_subplot(facecolor="none")
    axes.title.set_color(TEXT)
    axes.title.set_fontsize(11)
    for axis in (axes.xaxis, axes.yaxis):
        axis.label.set_color(TEXT)
    axes.tick_params(colors=TEXT, labelsize=9)
    axes.grid(color=TEXT, alpha=0.25, linewidth=0.6)
    axes.set_axisbelow(True)
    for side, spine in axes.spines.items():
        spine.set_color(TEXT)
        spine.set_visible(side in ("left", "bottom"))
    return figure, axes


def _counts(axis: "Axis") -> None:
    """Whole numbers at the ticks of an axis, written with commas."""
    from matplotlib.ticker import MaxNLocator, StrMethodFormatter

    axis.set_major_locator(MaxNLocator(nbins=6, integer=True))
    axis.set_major_formatter(StrMethodFormatter("{x:,.0f}"))


def _legend(figure: "Figure") -> None:
    """Below the axes: on what is drawn, grey could not be read."""
    legend = figure.legend(loc="outside lower center", ncols=3, frameon=False, fontsize=8, labelcolor=TEXT)
    for text in legend.get_texts():
        text.set_parse_math(False)
