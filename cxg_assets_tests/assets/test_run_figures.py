"""What a run and a dataset say of themselves in the UI: figures, a table, pictures, and lines in the log."""

import base64
import io
import re
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import anndata
import dagster as dg
import pandas as pd
import pytest
from PIL import Image

from cxg_assets.ingest.quantities import duration, size
from cxg_assets.names import chunk_plan_key, dataset_key, filtered_subset_key, h5ad_chunks_key
from cxg_assets.ui.metadata import report_from
from cxg_assets_tests.platforms import Platform

FIGURES = {
    "n_obs", "n_bytes", "bytes_per_cell", "nnz", "cells_per_second", "nnz_decoded", "read_seconds", "encode_seconds",
    "upload_seconds", "cpu_seconds", "bytes_read", "read_requests", "write_requests",
}  # fmt: skip
"""Of a chunk that was written in the run."""


@dataclass(frozen=True)
class Finished:
    """A published subset of six chunks, and what was on record when it had just been published.

    Attributes:
        platform: Where it is.
        chunks: Metadata of each chunk, by partition.
        run: Metadata of the run's observation.
        dataset: Metadata of the dataset.
        log: What the run over the chunks said, besides events.
        obs: obs of all files, from anndata.
        n_bytes: Sizes of the files.
    """

    platform: Platform
    chunks: dict[str, dict[str, dg.MetadataValue]]
    run: dict[str, dg.MetadataValue]
    dataset: dict[str, dg.MetadataValue]
    log: list[str]
    obs: pd.DataFrame
    n_bytes: pd.Series


@pytest.fixture
def finished(published: Platform) -> Finished:
    [observation] = published.instance.fetch_observations(h5ad_chunks_key("blood_normal"), limit=2).records
    assert observation.asset_observation is not None
    [made] = published.instance.get_runs(dg.RunsFilter(job_name="blood_normal_missing_chunks"))
    files = [published.file(chunk) for chunk in published.plan.chunks]
    read: Any = anndata.read_h5ad  # declares wider types than it returns
    return Finished(
        platform=published,
        chunks={str(event.partition): dict(event.metadata) for event in published.chunk_events()},
        run=dict(observation.asset_observation.metadata),
        dataset=dict(published.dataset_events()[0].metadata),
        log=[entry.user_message for entry in published.instance.all_logs(made.run_id) if not entry.is_dagster_event],
        obs=pd.concat([read(file).obs for file in files]),
        n_bytes=pd.Series([file.stat().st_size for file in files]),
    )


def table(value: dg.MetadataValue) -> dict[str, str]:
    """Names and values of a table in Markdown."""
    assert isinstance(value, dg.MarkdownMetadataValue)
    rows = [re.fullmatch(r"\| (.+) \| (.+) \|", line) for line in str(value.value).splitlines()[2:]]
    return {row[1]: row[2] for row in rows if row is not None}


def picture_size(value: dg.MetadataValue) -> tuple[int, int]:
    """Width and height of the picture that a Markdown value carries."""
    assert isinstance(value, dg.MarkdownMetadataValue)
    found = re.match(r"!\[[^\]]+\]\(data:image/png;base64,([^)]+)\)\n\n\| ", str(value.value))
    assert found is not None
    data = base64.b64decode(found[1], validate=True)
    assert len(data) < 40_000
    return Image.open(io.BytesIO(data)).size


def test_every_figure_of_a_chunk_is_a_number_that_dagster_plots(finished: Finished) -> None:
    assert len(finished.chunks) == 6
    for metadata in finished.chunks.values():
        assert metadata.keys() >= FIGURES
        for name in FIGURES:
            assert isinstance(metadata[name], dg.IntMetadataValue | dg.FloatMetadataValue), name
        assert isinstance(metadata["stored_at"], dg.TimestampMetadataValue)
        kept: Any = metadata["chunk_report"].value
        assert asdict(report_from(metadata)).items() <= kept.items()


def test_the_time_of_a_chunk_is_within_its_run(finished: Finished) -> None:
    [record] = finished.platform.instance.get_run_records(dg.RunsFilter(job_name="blood_normal_missing_chunks"))
    assert record.start_time is not None
    assert record.end_time is not None
    for metadata in finished.chunks.values():
        assert record.start_time < report_from(metadata).stored_at < record.end_time


def test_what_nobody_knows_of_a_chunk_is_left_out_of_its_figures(tmp_path: Path, finished: Finished) -> None:
    platform = finished.platform
    with dg.DagsterInstance.local_temp(str(tmp_path)) as elsewhere:
        other = Platform(elsewhere, platform.spec, platform.census_uri, platform.store_url)
        assert other.prepare().success
        assert other.make_missing().success
        events = other.chunk_events()
        assert other.publish().success
        dataset = dict(other.dataset_events()[0].metadata)

    assert len(events) == 6
    unknown = FIGURES - {"n_obs", "n_bytes", "bytes_per_cell", "nnz"}
    assert not any(unknown & set(event.metadata) for event in events)
    report = report_from(events[0].metadata)
    assert (report.read_seconds, report.attempt) == (0.0, 0)
    assert {"file_sizes", "cells_by_cell_type"} <= set(dataset)
    assert not {"decoded_cells", "amplification", "cpu_seconds"} & set(dataset)


def test_the_table_of_a_run_says_what_the_files_say(finished: Finished) -> None:
    said = table(finished.run["summary"])

    assert said["Files"] == "6 written, 0 already stored, 0 failed"
    assert said["Observations"] == str(len(finished.obs))
    n_bytes = finished.n_bytes
    assert said["Size"] == f"{n_bytes.sum() / 1e6:.1f} MB, {n_bytes.mean() / 1e3:.1f} kB a file on average"
    assert said["Workers"] == "1, 0 lost, 0 chunks tried again"
    speed = finished.run["cells_per_second"].value
    assert said["Throughput"].startswith(f"{speed:,.0f} cells/s, ")
    # Shorter ones are shown by the UI without a click.
    assert len(str(finished.run["summary"].value)) < 1_000


def test_a_run_carries_its_pictures_and_what_was_decoded(finished: Finished) -> None:
    for name in ("throughput", "file_sizes", "decoded_cells"):
        assert picture_size(finished.run[name])[0] == 800
    plan = finished.platform.plan
    assert finished.run["amplification_expected"].value == pytest.approx(plan.amplification)
    decoded = sum(report_from(metadata).nnz_decoded for metadata in finished.chunks.values())
    assert finished.run["nnz_decoded"].value == decoded
    assert finished.run["amplification"].value == pytest.approx(decoded / sum(c.nnz for c in plan.chunks))
    assert finished.run["amplification"].value > 1  # type: ignore[operator]


def test_a_run_and_a_dataset_tell_what_all_chunks_took(finished: Finished) -> None:
    reports = [report_from(metadata) for metadata in finished.chunks.values()]
    for told in (finished.run, finished.dataset):
        assert told["cpu_seconds"].value == pytest.approx(sum(report.cpu_seconds for report in reports), abs=0.001)
        assert told["bytes_read"].value == sum(report.bytes_read for report in reports) > 0
        assert told["read_requests"].value == pytest.approx(sum(report.read_requests for report in reports), abs=0.1)
        assert told["write_requests"].value == 6
    assert finished.run["driver_cpu_seconds"].value > 0  # type: ignore[operator]
    n_read = round(float(str(finished.run["read_requests"].value)))
    assert table(finished.run["summary"])["Took"].endswith(f" read in {n_read} requests, 6 requests to write")


def test_a_run_that_makes_nothing_has_no_pictures(finished: Finished) -> None:
    assert finished.platform.make_missing().success

    [record] = finished.platform.instance.fetch_observations(h5ad_chunks_key("blood_normal"), limit=1).records
    assert record.asset_observation is not None
    said = table(record.asset_observation.metadata["summary"])
    assert said["Outcome"] == "nothing was written: all 6 chunks requested were already stored"
    assert said["Files"] == "0 written, 6 already stored, 0 failed"
    assert not {"throughput", "file_sizes", "decoded_cells"} & set(record.asset_observation.metadata)


def test_a_dataset_says_what_its_files_say_and_carries_their_pictures(finished: Finished) -> None:
    said = table(finished.dataset["summary"])

    assert said["Observations"] == f"{len(finished.obs)} cells of homo sapiens"
    assert said["Files"] == "6"
    assert said["Size"].startswith(f"{finished.n_bytes.sum() / 1e6:.1f} MB")
    assert finished.dataset["bytes_per_cell"].value == round(finished.n_bytes.sum() / len(finished.obs), 1)
    for name in ("file_sizes", "decoded_cells"):
        assert picture_size(finished.dataset[name])[0] == 800
    # The subset has no such column.
    assert "cells_by_tissue" not in finished.dataset


def test_a_dataset_shows_its_cells_without_a_click_and_in_the_order_in_which_people_ask(finished: Finished) -> None:
    keys = [key for key in finished.dataset if not key.startswith("dagster/")]
    assert keys[:3] == ["summary", "cells_by_cell_type", "cell_types"]
    assert keys.index("load_file") < keys.index("citations") < keys.index("changes") < keys.index("n_bytes")
    assert keys.index("plan_id") < keys.index("file_sizes")
    for key in ("summary", "cells_by_cell_type", "cell_types", "cells_by_dataset_id", "datasets", "citations"):
        assert len(str(finished.dataset[key].value)) < 1_000
    counts = finished.obs["cell_type"].value_counts()
    first = str(finished.dataset["cell_types"].value).splitlines()[2]
    assert f" | {counts.iloc[0]} | {100 * counts.iloc[0] / len(finished.obs):.1f} % |" in first


def test_no_word_but_a_path_makes_the_table_of_a_page_wider_than_its_place(finished: Finished) -> None:
    """The UI breaks values at blanks and hyphens; there is room for some 45 characters (docs/architecture.md)."""
    for asset in (filtered_subset_key, chunk_plan_key, dataset_key):
        [record] = finished.platform.instance.fetch_materializations(asset("blood_normal"), limit=1).records
        assert record.asset_materialization is not None
        for key, value in record.asset_materialization.metadata.items():
            if isinstance(value, dg.TextMetadataValue | dg.PathMetadataValue):
                words = re.split(r"[\s-]", str(value.value))
                assert max((len(word) for word in words if "/" not in word), default=0) <= 45, (asset, key)


def test_the_lines_that_load_a_dataset_can_be_run(finished: Finished) -> None:
    names: dict[str, Any] = {}
    for key in ("load_file", "load_batches"):
        exec(str(finished.dataset[key].value), names)
    assert names["adata"].n_obs == 40
    assert sum(batch.x.shape[0] for batch in names["loader"]) == len(finished.obs)


def test_the_log_says_how_far_the_run_has_come_and_at_its_end_what_it_did(finished: Finished) -> None:
    first, *_, last = [line for line in finished.log if "cells/s" in line]
    assert re.fullmatch(r"1 of 6 chunks, [\d,]+ cells/s, [\d.]+ .+ left", first)
    seconds = float(str(finished.run["ingest_seconds"].value))
    assert last == (
        f"6 chunks, 230 cells, {size(finished.n_bytes.sum())} in {duration(seconds)}: "
        f"{finished.run['cells_per_second'].value:,.0f} cells/s, "
        f"{finished.run['hours_per_million_obs'].value:.3f} hours per 1M observations"
    )
    # The session's Ray has no dashboard.
    assert not [line for line in finished.log if "dashboard" in line]
    assert "ray_dashboard" not in finished.run


def test_a_picture_that_cannot_be_drawn_is_a_warning_and_the_dataset_is_published(
    finished: Finished, pictures: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("cxg_assets.ui.plots.DPI", 0)

    result = finished.platform.publish()

    assert result.success
    metadata = finished.platform.dataset_events()[0].metadata
    assert "file_sizes" not in metadata
    assert "summary" in metadata
    warnings = [entry.user_message for entry in finished.platform.instance.all_logs(result.run_id)]
    assert any(line.startswith("the pictures could not be drawn") for line in warnings)
