"""TileDB-SOMA's context: the one place that knows which there is.

Releases after 2.3 are to have `SOMAContext` in its place (https://github.com/single-cell-data/TileDB-SOMA/pull/4363).
"""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from tiledbsoma import SOMATileDBContext as SomaContext


def soma_context(config: Mapping[str, Any], timestamp_ms: int | None = None) -> "SomaContext":
    """A context to open and create with.

    Args:
        config: TileDB's settings.
        timestamp_ms: Read what was there then, in milliseconds since 1970; None reads what is there now.
    """
    # Imported here: tiledbsoma takes over a second, which Dagster's code servers should not pay.
    import tiledbsoma

    return tiledbsoma.SOMATileDBContext(tiledb_config=dict(config), timestamp=timestamp_ms)
