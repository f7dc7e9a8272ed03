"""Loads what the assets made, for an asset downstream or a notebook: `defs.load_asset_value(key, …)`.

| asset | loaded as |
| --- | --- |
| `census_index`, `filtered_subset` | `pandas.DataFrame`; by type also `pyarrow.Table`, `pyarrow.dataset.Dataset` |
| `h5ad_chunks` | `AnnData`; of several partitions a dict of them, by partition, in plan order |
| `dataset` | `anndata.experimental.AnnCollection` over all chunks of what is published, in plan order |

Metadata of the input chooses the rest: `load` is `memory` or `lazy` (of chunks `memory` when left out, of a dataset
`lazy`), `columns` is a list of columns of a table. The assets store what they make themselves: nothing is written here.

Index and chunks need the Dagster instance that knows of them (`DAGSTER_HOME`, or `instance=`), as releases and
partitions are on record there. Subset and dataset do not: what is published is found in the store.
`ingest/dataset/load.py` does the loading, and works without Dagster.
"""

from typing import Any

import dagster as dg
import pyarrow as pa
from dagster import DagsterInstance
from dagster._core.errors import DagsterInvariantViolationError

from cxg_assets import settings
from cxg_assets.ingest.dataset.load import LoadedDataset, load_dataset, load_table, open_table
from cxg_assets.ingest.errors import BadInput, shown
from cxg_assets.ingest.layout import index_path, subset_obs_path
from cxg_assets.ingest.storage.store import Store
from cxg_assets.instance.provenance import current_plan, version_on_record
from cxg_assets.names import DESTINATION, census_index_key, dataset_key, filtered_subset_key, h5ad_chunks_key
from cxg_assets.resources.store import StoreResource

LOAD = "load"
COLUMNS = "columns"
"""Metadata of an input."""

MEMORY, LAZY = "memory", "lazy"


class AssetLoader(dg.ConfigurableIOManager):
    """Loads the assets of this package from the store; the keys that it takes are the store resource's."""

    store: dg.ResourceDependency[StoreResource]

    def handle_output(self, context: dg.OutputContext, obj: object) -> None:
        """Refuses: an asset of this kind stores what it makes itself."""
        raise BadInput(
            f"{context.asset_key.to_user_string()} uses an IO manager that only loads the assets of cxg_assets; "
            "give it an io_manager_key of its own"
        )

    def load_input(self, context: dg.InputContext) -> Any:
        """What an asset made last: of chunks those of the current plan, of a dataset what is published.

        Raises:
            BadInput: It was not made or published; a column does not exist; `load` is neither memory nor lazy.
        """
        load = {census_index_key: _index, filtered_subset_key: _subset, h5ad_chunks_key: _chunks, dataset_key: _cells}
        upstream = context.upstream_output
        metadata = {} if upstream is None else upstream.definition_metadata
        store = self.store.locator(metadata.get(DESTINATION) or "").open()
        name = context.asset_key.path[0]
        return next(load_it for key, load_it in load.items() if key(name) == context.asset_key)(context, store, name)


def _index(context: dg.InputContext, store: Store, experiment: str) -> Any:
    release = _version_on_record(context)
    if release is None:
        folder = settings.dagster_home()
        is_there = _instance(context) is None and (folder / "dagster.yaml").exists()
        place = str(folder) if is_there else "the instance's folder"
        raise BadInput(
            f"{context.asset_key.to_user_string()} was never materialized on this Dagster instance, so it is not "
            f"known which release is meant; set DAGSTER_HOME to {place}, or materialize it first"
        )
    return _table(context, store, index_path(release, experiment))


def _subset(context: dg.InputContext, store: Store, name: str) -> Any:
    fingerprint = _version_on_record(context) or load_dataset(store, name).plan.header.subset.fingerprint
    return _table(context, store, subset_obs_path(name, fingerprint))


def _chunks(context: dg.InputContext, store: Store, name: str) -> Any:
    lazy = _asked(context, MEMORY) == LAZY
    if not context.has_asset_partitions:
        raise BadInput(
            f"{context.asset_key.to_user_string()}: partition_key is missing, like '00000'; "
            f"all chunks at once are the asset {name}/dataset"
        )
    plan = current_plan(name, store, _instance(context))
    if plan is None:
        raise BadInput(f"{name} has no chunk plan at {store.url}; {store.follow_up('ingest', name)} makes it")
    keys = list(context.asset_partition_keys)
    loaded = LoadedDataset(store=store, plan=plan).chunks(keys, lazy=lazy)
    return loaded[keys[0]] if context.has_partition_key and len(keys) == 1 else loaded


def _cells(context: dg.InputContext, store: Store, name: str) -> Any:
    lazy = _asked(context, LAZY) == LAZY
    return load_dataset(store, name).cells(lazy=lazy)


def _table(context: dg.InputContext, store: Store, path: str) -> Any:
    import pyarrow.dataset as pads

    wanted = context.dagster_type.typing_type
    if wanted is pads.Dataset:
        return open_table(store, path)
    table = load_table(store, path, (context.definition_metadata or {}).get(COLUMNS))
    return table if wanted is pa.Table else table.to_pandas()


def _asked(context: dg.InputContext, default: str) -> str:
    asked = (context.definition_metadata or {}).get(LOAD, default)
    if asked not in (MEMORY, LAZY):
        raise BadInput(f"metadata of the input {context.asset_key.to_user_string()}: load: {shown(asked)} is unknown; "
                       f"choose {MEMORY} or {LAZY}")  # fmt: skip
    return asked


def _version_on_record(context: dg.InputContext) -> str | None:
    instance = _instance(context)
    return None if instance is None else version_on_record(instance, context.asset_key)


def _instance(context: dg.InputContext) -> DagsterInstance | None:
    try:
        return context.instance
    except DagsterInvariantViolationError:
        return None  # in a notebook without DAGSTER_HOME
