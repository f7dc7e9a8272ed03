"""The YAML files in `defs/`, as Dagster's component tree."""

from pathlib import Path

import dagster as dg

import cxg_assets.defs

DEFS_FOLDER = Path(cxg_assets.defs.__path__[0])


def subset_tree() -> dg.ComponentTree:
    """The tree over `defs/`, read anew; it works for an installed package as for a checkout."""
    return dg.ComponentTree.from_module(cxg_assets.defs, project_root=DEFS_FOLDER.parent.parent)
