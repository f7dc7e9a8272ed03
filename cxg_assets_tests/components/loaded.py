"""What was loaded from a tree, as Dagster gets it in the end."""

import dagster as dg

from cxg_assets.code_location import complete
from cxg_assets.components.not_loaded import not_loaded_assets
from cxg_assets.components.subset_tree import Loaded


def keys_of(definitions: dg.Definitions) -> set[dg.AssetKey]:
    return set(definitions.resolve_asset_graph().get_all_asset_keys())


def mistakes_of(loaded: Loaded) -> list[str]:
    return [mistake for one in loaded.not_loaded for mistake in one.mistakes]


def location(loaded: Loaded) -> dg.Definitions:
    """What Dagster gets in the end."""
    return complete(dg.Definitions.merge(loaded.definitions, not_loaded_assets(loaded.not_loaded)))
