"""What is other since the release before, on a dataset's page: shown without a click."""

import re
from typing import Any

from cxg_assets.ingest.compare.changes import DatasetChange, ReleaseChanges
from cxg_assets.ui.markdown import SHOWN
from cxg_assets.ui.release_changes import release_changes_metadata


def changes(n_datasets: int) -> ReleaseChanges:
    datasets = [
        DatasetChange(
            dataset_id=f"id-{number}", title=f"Title | {number} " * 9, n_before=1_000, n_after=2_000 + number,
            n_new=1_000 + number, n_gone=number, n_changed=7, is_replaced=number == 0,
        )
        for number in range(n_datasets)
    ]  # fmt: skip
    return ReleaseChanges(
        before="2025-01-30", after="2025-11-08", n_before=5_000, n_after=9_000, n_new=4_500, n_gone=500, n_changed=30,
        changed={"cell_type": 30}, relabellings=(), datasets=tuple(datasets), genes_new=("a",), genes_gone=(),
        genes_renamed=0,
    )  # fmt: skip


def test_figures_a_picture_and_a_table_are_shown_where_they_stand() -> None:
    for n_datasets in (0, 1, 40):
        found: dict[str, Any] = release_changes_metadata(changes(n_datasets))

        assert found["since_release"].startswith(
            "since Census build 2025-01-30: 4,500 new cells, 500 gone, 30 with other labels or counts, of 5,000 that "
        )
        assert "data:image/svg+xml" in found["cells_since_release"].value
        table = found["datasets_since_release"].value
        assert len(table) < SHOWN
        rows = re.findall(r"^\| Title", table, flags=re.MULTILINE)
        assert bool(rows) == bool(n_datasets)
        if n_datasets == 40:
            assert f"and {40 - len(rows):,} more; `cxg-assets diff` has all" in table
            assert "(another version) | 1,000 | 2,000 | 1,000 | 0 | 7 |" in table


def test_of_the_same_release_there_is_nothing() -> None:
    assert release_changes_metadata(None) == {}
