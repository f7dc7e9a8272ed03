"""How the UI and the log show what in `defs/` could not be loaded: an asset in place of those that are missing."""

import logging
import os
import re
from collections.abc import Sequence
from pathlib import Path

import dagster as dg

from cxg_assets.components.subset_tree import NotLoaded

NOT_LOADED = "not_loaded"
"""Name of the asset, in the group of the subset."""

NOT_LOADED_TAG = "cxg_assets/not_loaded"
"""Its tag, by which the UI finds all of them."""

_log = logging.getLogger("dagster.cxg_assets")


def not_loaded_assets(not_loaded: Sequence[NotLoaded]) -> dg.Definitions:
    """An asset for each folder or file that could not be loaded, which says what is wrong. Nothing can be run on it."""
    # Names that differ only in what Dagster does not allow share an asset.
    by_group: dict[str, list[NotLoaded]] = {}
    for one in not_loaded:
        by_group.setdefault(_group_of(one.path), []).append(one)
    return dg.Definitions(assets=[_asset(group, ones) for group, ones in by_group.items()])


def log_not_loaded(not_loaded: Sequence[NotLoaded]) -> None:
    """Logs a warning for each mistake."""
    for one in not_loaded:
        for mistake in one.mistakes:
            _log.warning("not loaded: %s", _visible(mistake))


def _asset(group: str, ones: Sequence[NotLoaded]) -> dg.AssetSpec:
    mistakes = [_visible(mistake) for one in ones for mistake in one.mistakes]
    lines = "\n".join(f"- `{mistake.replace('`', chr(39))}`" for mistake in mistakes)
    return dg.AssetSpec(
        [group, NOT_LOADED],
        group_name=group,
        description=f"**{group} is not loaded:** its assets, jobs and sensors are missing until this is corrected and "
        f"the definitions are reloaded.\n\n{lines}",
        kinds={"yaml"},
        tags={NOT_LOADED_TAG: ""},
        metadata={
            "mistakes": "\n".join(mistakes),
            "path": dg.MetadataValue.path(_visible(str(ones[0].path))),
        },
    )


def _group_of(path: Path) -> str:
    """Name of a folder or file as Dagster allows it in names of groups: that of the subset, where it can be one."""
    return re.sub(r"[^A-Za-z0-9_]", "_", _visible(path.name))


def _visible(text: str) -> str:
    """Text that can be encoded, whatever bytes a file name has."""
    return os.fsencode(text).decode("utf-8", "backslashreplace")
