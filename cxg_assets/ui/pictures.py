"""Which pictures go to which event. Drawing is an extra: what goes wrong with it never fails a run."""

from collections.abc import Callable, Sequence

import dagster as dg

from cxg_assets.ingest.chunks.amplification import decoding
from cxg_assets.ingest.chunks.report import ChunkReport
from cxg_assets.ingest.plan.chunk_plan import ChunkPlan
from cxg_assets.ui import plots
from cxg_assets.ui.metadata import Metadata, decoding_metadata


def run_pictures(plan: ChunkPlan, reports: Sequence[ChunkReport], began_at: float) -> Metadata:
    """Figures and pictures of the chunks that a run made, from `began_at` on, in seconds since 1970."""
    if not reports:
        return {}
    return {
        "throughput": _picture(plots.throughput(reports, began_at), "Cells a second over time, by worker"),
        **file_pictures(plan, reports),
    }


def drawn(log: dg.DagsterLogManager, draw: Callable[[], Metadata]) -> Metadata:
    """What was drawn; nothing, with a warning in the log, where that failed."""
    try:
        return draw()
    except Exception as error:  # noqa: BLE001 - whatever it was, the chunks are stored
        log.warning(f"the pictures could not be drawn, and nothing else is missing: {type(error).__name__}: {error}")
        return {}


def file_pictures(plan: ChunkPlan, reports: Sequence[ChunkReport]) -> Metadata:
    """Figures and pictures of files, of one run or of a whole dataset, whichever runs made its chunks."""
    sizes = plots.file_sizes([report.n_bytes for report in reports])
    found: Metadata = {"file_sizes": _picture(sizes, "Sizes of the files")}
    made = decoding(plan.chunks, reports)
    if len(made.n_obs):
        found["decoded_cells"] = _picture(plots.decoded_cells(made), "Read overhead: cells decoded for each cell kept")
        found |= decoding_metadata(made)
    return found


def _picture(picture: plots.Picture, alt: str) -> dg.MetadataValue:
    return dg.MetadataValue.md(plots.as_markdown(picture, alt))
