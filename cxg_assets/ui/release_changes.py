"""What is other in a dataset since the release before, for its page: a picture and a table."""

from cxg_assets.ingest.compare.changes import ReleaseChanges
from cxg_assets.ui import bars
from cxg_assets.ui.markdown import escaped, table
from cxg_assets.ui.metadata import Metadata

_NUMBERS = ("before", "after", "new", "gone", "changed")

TITLE_LENGTH = 40
"""Characters of a dataset's title that are shown."""


def release_changes_metadata(changes: ReleaseChanges | None) -> Metadata:
    """Keys of `dataset`; none where there was no other release before."""
    if changes is None:
        return {}
    n_same = changes.n_after - changes.n_new - changes.n_changed
    cells = {"new": changes.n_new, "gone": changes.n_gone, "changed": changes.n_changed, "as before": n_same}
    return {
        "since_release": changes.in_words,
        "cells_since_release": bars.picture(f"Cells since Census build {changes.before}", cells),
        "datasets_since_release": bars.longest_shown(lambda n: _datasets(changes, n), bars.MAX_ROWS),
    }


def _datasets(changes: ReleaseChanges, n: int) -> str:
    """The datasets of which most cells are other, as a table of so many rows."""
    rows = [
        (
            escaped(one.title[:TITLE_LENGTH] or one.dataset_id) + (" (another version)" if one.is_replaced else ""),
            *(f"{count:,}" for count in (one.n_before, one.n_after, one.n_new, one.n_gone, one.n_changed)),
        )
        for one in changes.datasets
    ]
    left = len(rows) - n
    more = f"\n\nand {left:,} more; `cxg-assets diff` has all" if left > 0 else ""
    return (table(("dataset", *_NUMBERS), rows[:n], numbers=_NUMBERS) if rows else "no dataset has other cells") + more
