"""The one entry point: every subset in `defs/` that can be loaded, with what they share; the others are named."""

import dagster as dg

from cxg_assets.code_location import complete
from cxg_assets.components import known_previews
from cxg_assets.components.not_loaded import log_not_loaded, not_loaded_assets
from cxg_assets.components.subset_tree import load_definitions, subset_tree

with known_previews():
    _loaded = load_definitions(subset_tree())
    defs = complete(dg.Definitions.merge(_loaded.definitions, not_loaded_assets(_loaded.not_loaded)))
log_not_loaded(_loaded.not_loaded)
