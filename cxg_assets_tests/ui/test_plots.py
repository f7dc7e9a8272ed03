"""Pictures show the figures that they were given, are small, and can be read on white and on black."""

import base64
import io
import itertools
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from PIL import Image

from cxg_assets.ingest.chunks.amplification import Decoding
from cxg_assets.ingest.chunks.report import ChunkReport
from cxg_assets.ui import plots

pytestmark = pytest.mark.usefixtures("pictures")

BEGAN_AT = 1_700_000_000.0
REPORT = ChunkReport(
    chunk="00000",
    fingerprint="f" * 64,
    uri="file:///00000.h5ad",
    n_obs=100,
    n_vars=10,
    nnz=500,
    n_bytes=4_000_000,
    sha256="a" * 64,
    first_joinid=0,
    last_joinid=99,
    worker="node:1",
    attempt=1,
)
MANY = 100_000


def stored(worker: str, *seconds: float) -> list[ChunkReport]:
    return [replace(REPORT, worker=worker, stored_at=BEGAN_AT + second) for second in seconds]


def many_reports(n_workers: int) -> list[ChunkReport]:
    return [
        replace(REPORT, worker=f"node:{n % n_workers}", stored_at=BEGAN_AT + 1 + n / 50, n_bytes=10**6 + n % 977)
        for n in range(MANY)
    ]


def many_decoded(n_chunks: int) -> Decoding:
    cells = np.full(n_chunks, 100)
    return Decoding(n_obs=cells, n_obs_expected=cells * 1.5, nnz_wanted=cells * 5, nnz_decoded=cells * 10)


def texts(figure: Any) -> list[str]:
    """Every text that a reader sees."""
    from matplotlib.text import Text

    figure.draw_without_rendering()
    return [text.get_text() for text in figure.findobj(Text) if text.get_text()]


def shapes(figure: Any) -> list[Any]:
    """The bars and steps of a picture."""
    return list(figure.axes[0].patches)


def pixels(png: bytes) -> np.ndarray:
    """(height, width, 4) uint8."""
    return np.array(Image.open(io.BytesIO(png)).convert("RGBA"))


def heights(figure: Any) -> np.ndarray:
    """Heights of the steps of each layer of a stack, (n_layers, N_BINS)."""
    layers: list[np.ndarray] = []
    for collection in figure.axes[0].collections:
        outline = collection.get_paths()[0].vertices
        middle = (np.arange(plots.N_BINS) + 0.5) * outline[:, 0].max() / plots.N_BINS
        layers.append(np.array([np.ptp(_crossings(outline, x)) for x in middle]))
    return np.array(layers)


def _crossings(outline: np.ndarray, x: float) -> list[float]:
    """Where the vertical at x meets the horizontal edges of an outline."""
    return [a[1] for a, b in itertools.pairwise(outline) if a[1] == b[1] and min(a[0], b[0]) < x < max(a[0], b[0])]


def test_the_cells_under_the_throughput_are_those_of_each_worker() -> None:
    reports = stored("a:1", 10, 20, 30) + stored("b:2", 60)

    figure = plots.throughput(reports, BEGAN_AT).figure

    layers = heights(figure)
    assert layers.sum(axis=1) == pytest.approx([300, 100])  # a bin is a second
    assert layers[0, :30] == pytest.approx(np.full(30, 10))
    assert layers[0, 30:] == pytest.approx(np.zeros(30))
    assert layers[1] == pytest.approx(np.full(60, 100 / 60))
    said = texts(figure)
    assert {"Cells a second", "Time (seconds)", "a:1", "b:2"} <= set(said)
    assert "Throughput by worker: 7 cells/s on average" in said


def test_of_many_workers_the_largest_are_drawn_and_the_others_together() -> None:
    reports = [r for n in range(40) for r in stored(f"node:{n}", *range(1, 41 - n))]

    figure = plots.throughput(reports, BEGAN_AT).figure

    assert heights(figure).shape[0] == 6
    assert heights(figure).sum() * 40 / plots.N_BINS == pytest.approx(100 * len(reports))
    assert [name for name in texts(figure) if "node" in name or "other" in name] == [
        *(f"node:{n}" for n in range(5)),
        "35 other workers",
    ]


def test_a_worker_whose_clock_is_behind_is_drawn_from_the_beginning() -> None:
    figure = plots.throughput(stored("a:1", -5, 60), BEGAN_AT).figure
    assert heights(figure).sum() == pytest.approx(100)


@pytest.mark.parametrize(("seconds", "unit"), [(100, "seconds"), (600, "minutes"), (9_000, "hours")])
def test_the_time_has_the_unit_that_fits(seconds: float, unit: str) -> None:
    assert f"Time ({unit})" in texts(plots.throughput(stored("a:1", seconds), BEGAN_AT).figure)


def test_file_sizes_are_counted_as_numpy_counts_them() -> None:
    sizes = [int(size) for size in np.random.default_rng(1).normal(5e6, 4e5, size=500)]

    figure = plots.file_sizes(sizes).figure

    counts, edges = np.histogram(np.array(sizes) / 1e6, bins=plots.N_BINS)
    drawn = shapes(figure)[0].get_data()
    assert drawn.values.tolist() == counts.tolist()
    assert drawn.edges == pytest.approx(edges)
    assert f"File sizes: 500 files, {np.mean(sizes) / 1e6:.1f} MB on average" in texts(figure)
    assert {"File size (MB)", "Files"} <= set(texts(figure))


def test_expected_and_decoded_cells_are_drawn_for_each_cell_wanted() -> None:
    cells = np.array([100, 100, 50])
    decoded = Decoding(
        n_obs=cells,
        n_obs_expected=np.array([200.0, 150.0, 50.0]),
        nnz_wanted=10 * cells,
        nnz_decoded=np.array([3_000, 1_000, 500]),
    )

    figure = plots.decoded_cells(decoded).figure

    of_tiledb, of_the_plan = (patch.get_data().values.tolist() for patch in shapes(figure))
    assert of_tiledb == [3.0, 1.0, 1.0]
    assert of_the_plan == [2.0, 1.5, 1.0]
    assert {"decoded: 1.80 on average", "expected by the plan: 1.60"} <= set(texts(figure))


def every_picture(reports: Sequence[ChunkReport]) -> dict[str, plots.Picture]:
    return {
        "throughput": plots.throughput(reports, BEGAN_AT),
        "file_sizes": plots.file_sizes([report.n_bytes for report in reports]),
        "decoded": plots.decoded_cells(many_decoded(len(reports))),
    }


def numbers(picture: plots.Picture) -> np.ndarray:
    """The table of a picture, (n_rows, n_columns) float64."""
    return np.array([[float(value.replace(",", "")) for value in row] for row in picture.rows])


def test_the_table_of_a_picture_has_the_numbers_that_are_drawn() -> None:
    reports = [replace(report, n_bytes=4_000_000 + n) for n, report in enumerate(stored("a:1", *range(1, 61)))]
    pictures = every_picture([*reports, *stored("b:2", 7, 60)])

    by_time = numbers(pictures["throughput"])
    np.testing.assert_allclose(by_time[:, 2:].T, heights(pictures["throughput"].figure), atol=0.06)
    assert pictures["throughput"].columns == (
        "Time (seconds) from", "to", "a:1, cells a second", "b:2, cells a second",
    )  # fmt: skip
    [files] = shapes(pictures["file_sizes"].figure)
    assert numbers(pictures["file_sizes"])[:, 2].tolist() == [n for n in files.get_data().values if n]
    decoded, expected = (patch.get_data() for patch in shapes(pictures["decoded"].figure))
    np.testing.assert_allclose(numbers(pictures["decoded"])[:, 2:].T, [decoded.values, expected.values], atol=0.01)
    assert numbers(pictures["decoded"])[:, 1].tolist() == decoded.edges[1:].tolist()


def test_every_axis_says_what_it_counts_and_every_colour_is_of_the_palette() -> None:
    from matplotlib.colors import to_hex

    for picture in every_picture(stored("a:1", 3, 4) + stored("b:2", 5)).values():
        [axes] = picture.figure.axes
        assert axes.get_title()
        assert axes.get_xlabel()
        assert axes.get_ylabel()
        patches: list[Any] = list(axes.patches)
        used = {to_hex(patch.get_facecolor() if patch.get_fill() else patch.get_edgecolor()) for patch in patches}
        layers: list[Any] = list(axes.collections)
        used |= {to_hex(colour) for layer in layers for colour in layer.get_facecolor()}
        assert used
        assert used <= set(plots.WORKER_COLOURS)


def n_like(seen: np.ndarray, colour: str) -> int:
    """Pixels of a colour; the palette may be off by a little."""
    rgb = np.array([int(colour[at : at + 2], 16) for at in (1, 3, 5)])
    return int(((np.abs(seen[..., :3].astype(int) - rgb) < 8).all(axis=2) & (seen[..., 3] > 100)).sum())


def test_pictures_of_one_chunk_and_of_a_hundred_thousand_are_small_and_show_something() -> None:
    few, many = every_picture(stored("a:1", 3)), every_picture(many_reports(64))

    for name in few:
        for picture in (few[name], many[name]):
            png = plots.as_png(picture.figure)
            assert len(png) < 40_000
            seen = pixels(png)
            assert seen.shape[1] == plots.WIDTH * plots.DPI
            assert n_like(seen, plots.BLUE) + n_like(seen, plots.SKY) > 1_000
            assert n_like(seen, plots.TEXT) > 1_000


@pytest.mark.parametrize("background", [(255, 255, 255), (17, 21, 28)], ids=["light", "dark"])
def test_text_and_colours_can_be_told_from_the_background_of_either_theme(background: tuple[int, int, int]) -> None:
    for colour in (plots.TEXT, *plots.WORKER_COLOURS):
        rgb = tuple(int(colour[at : at + 2], 16) for at in (1, 3, 5))
        lighter, darker = sorted((_luminance(rgb), _luminance(background)), reverse=True)
        # What WCAG asks of text of that size, and of graphics.
        assert (lighter + 0.05) / (darker + 0.05) > (4 if colour == plots.TEXT else 2)


def _luminance(rgb: Sequence[int]) -> float:
    """Relative luminance by WCAG 2."""
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in (value / 255 for value in rgb)]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def test_nothing_is_painted_behind_a_picture() -> None:
    seen = pixels(plots.as_png(plots.file_sizes([1, 2, 3]).figure))
    assert (seen[[0, 0, -1, -1], [0, -1, 0, -1], 3] == 0).all()


def test_markdown_carries_the_picture_and_says_what_it_shows() -> None:
    text = plots.as_markdown(plots.file_sizes([1, 2, 3]), "Sizes")

    assert text.startswith("![Sizes](data:image/png;base64,")
    image, _, table = text.partition("\n\n")
    data = base64.b64decode(image.removeprefix("![Sizes](data:image/png;base64,").removesuffix(")"), validate=True)
    assert pixels(data).shape[1] == 800
    assert table.splitlines()[0] == "| File size from (bytes) | to (bytes) | Files |"
    assert len(table.splitlines()) == 2 + 3


def test_drawing_leaves_no_figure_behind_and_does_not_load_pyplot() -> None:
    program = (
        "import sys; from cxg_assets.ui import plots; assert 'matplotlib' not in sys.modules; "
        "plots.as_png(plots.file_sizes([1, 2]).figure); assert 'matplotlib.pyplot' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", program], check=True)
