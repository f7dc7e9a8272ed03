"""Load what the assets made, for an asset downstream or a notebook: `defs.load_asset_value(key, …)`.

| asset | loaded as |
| --- | --- |
| `census_index`, `filtered_subset` | `pandas.DataFrame`; by type also `pyarrow.Table`, `pyarrow.dataset.Dataset` |
| `h5ad_chunks` | `AnnData`; of several partitions a dict of them, by partition, in plan order |
| `dataset` | `anndata.experimental.AnnCollection` over all chunks of what is published, in plan order |

Metadata of the input chooses the rest: `load` is `memory` or `lazy` (of chunks `memory` when left out, of a dataset
`lazy`), `columns` is a list of columns of a table. The assets store what they make themselves: nothing is written here.

Index and chunks need the Dagster instance that knows of them (`DAGSTER_HOME`, or `instance=`), as releases and
partitions are on record there. Subset and dataset do not: what is published is found in the store.
`ingest/dataset/load.py` has it all without Dagster.
"""

from typing import TYPE_CHECKING, Any

import dagster as dg
import pyarrow as pa
from dagster import DagsterInstance
from dagster._core.errors import DagsterInvariantViolationError

from cxg_assets import settings
from cxg_assets.ingest.dataset.load import (
    load_published_plan,
    open_chunk,
    open_dataset,
    open_table,
    published_checksums,
    read_chunk,
    read_table,
    require_landed,
)
from cxg_assets.ingest.errors import BadInput, shown
from cxg_assets.ingest.layout import index_path, subset_obs_path
from cxg_assets.ingest.storage.follow_up import follow_up
from cxg_assets.ingest.storage.store import Store
from cxg_assets.instance.provenance import current_plan, latest_data_version
from cxg_assets.names import CHUNK_IO_MANAGER, DATASET_IO_MANAGER, DESTINATION, INDEX_IO_MANAGER, SUBSET_IO_MANAGER
from cxg_assets.resources.store import StoreResource

if TYPE_CHECKING:
    import pandas as pd
    import pyarrow.dataset as pads

LOAD = "load"
COLUMNS = "columns"
"""Metadata of an input."""

MEMORY, LAZY = "memory", "lazy"


class _Loader(dg.ConfigurableIOManager):
    """Loads from the store; the keys that it takes are the store resource's."""

    store: dg.ResourceDependency[StoreResource]

    def handle_output(self, context: dg.OutputContext, obj: object) -> None:
        """Refuses: an asset of this kind stores what it makes itself.

        Raises:
            BadInput: Always.
        """
        raise BadInput(
            f"{context.asset_key.to_user_string()} uses an IO manager that only loads the assets of cxg_assets; "
            "give it an io_manager_key of its own"
        )

    def _opened(self, context: dg.InputContext) -> Store:
        """The store that the asset lies in."""
        upstream = context.upstream_output
        metadata = {} if upstream is None else upstream.definition_metadata
        return self.store.locator(metadata.get(DESTINATION) or "").open()


class IndexIOManager(_Loader):
    """Loads a census index: obs of all cells of an organism."""

    def load_input(self, context: dg.InputContext) -> "pd.DataFrame | pa.Table | pads.Dataset":
        """The index that was materialized last.

        Raises:
            BadInput: None was on this Dagster instance; a column does not exist.
        """
        release = _version_on_record(context)
        if release is None:
            folder = settings.dagster_home()
            is_there = _instance(context) is None and (folder / "dagster.yaml").exists()
            place = str(folder) if is_there else "the instance's folder"
            raise BadInput(
                f"{context.asset_key.to_user_string()} was never materialized on this Dagster instance, so it is not "
                f"known which release is meant; set DAGSTER_HOME to {place}, or materialize it first"
            )
        return _table(context, self._opened(context), index_path(release, context.asset_key.path[0]))


class SubsetIOManager(_Loader):
    """Loads a filtered subset: its cells, with soma_joinid, the chunks' obs columns, nnz and dataset_id."""

    def load_input(self, context: dg.InputContext) -> "pd.DataFrame | pa.Table | pads.Dataset":
        """The subset that was materialized last; without a Dagster instance, the one that is published.

        Raises:
            BadInput: It was neither materialized nor published; a column does not exist.
        """
        name, store = context.asset_key.path[0], self._opened(context)
        fingerprint = _version_on_record(context) or load_published_plan(store, name).header.subset_fingerprint
        return _table(context, store, subset_obs_path(name, fingerprint))


class ChunkIOManager(_Loader):
    """Loads chunks of the current plan."""

    def load_input(self, context: dg.InputContext) -> Any:
        """A chunk as AnnData; of several partitions, or of all where there is no partition, a dict of them.

        Raises:
            BadInput: A chunk has not landed, or nothing is planned; `load` is neither memory nor lazy.
        """
        name, store = context.asset_key.path[0], self._opened(context)
        lazy = _asked(context, MEMORY) == LAZY
        if not context.has_asset_partitions:
            raise BadInput(
                f"{context.asset_key.to_user_string()}: partition_key is missing, like '00000'; "
                f"all chunks at once are the asset {name}/dataset"
            )
        keys = list(context.asset_partition_keys)
        plan = current_plan(name, store, _instance(context))
        if plan is None:
            raise BadInput(f"{name} has no chunk plan at {store.url}; {follow_up(store, 'ingest', name)} makes it")
        require_landed(store, plan, keys)
        if lazy:
            loaded = {chunk.key: open_chunk(store, plan, chunk.key) for chunk in plan.chunks_of(keys)}
        else:
            checksums = published_checksums(store, plan)
            loaded = {chunk.key: read_chunk(store, plan, chunk.key, checksums) for chunk in plan.chunks_of(keys)}
        return loaded[keys[0]] if context.has_partition_key and len(keys) == 1 else loaded


class DatasetIOManager(_Loader):
    """Loads the published dataset as one collection."""

    def load_input(self, context: dg.InputContext) -> Any:
        """All chunks of what `dataset.json` points to, whatever was planned or made since.

        Raises:
            BadInput: It is not published; `load` is neither memory nor lazy.
        """
        in_memory = _asked(context, LAZY) == MEMORY
        return open_dataset(self._opened(context), context.asset_key.path[0], in_memory=in_memory)


def build_io_managers(store: StoreResource) -> dict[str, Any]:
    """The IO managers of the assets, by resource key."""
    return {
        INDEX_IO_MANAGER: IndexIOManager(store=store),
        SUBSET_IO_MANAGER: SubsetIOManager(store=store),
        CHUNK_IO_MANAGER: ChunkIOManager(store=store),
        DATASET_IO_MANAGER: DatasetIOManager(store=store),
    }


def _table(context: dg.InputContext, store: Store, path: str) -> "pd.DataFrame | pa.Table | pads.Dataset":
    import pyarrow.dataset as pads

    wanted = context.dagster_type.typing_type
    columns = (context.definition_metadata or {}).get(COLUMNS)
    if wanted is pads.Dataset:
        return open_table(store, path)
    table = read_table(store, path, columns)
    return table if wanted is pa.Table else table.to_pandas()


def _asked(context: dg.InputContext, default: str) -> str:
    asked = (context.definition_metadata or {}).get(LOAD, default)
    if asked not in (MEMORY, LAZY):
        raise BadInput(f"metadata of the input {context.asset_key.to_user_string()}: load: {shown(asked)} is unknown; "
                       f"choose {MEMORY} or {LAZY}")  # fmt: skip
    return asked


def _version_on_record(context: dg.InputContext) -> str | None:
    """Data version of the latest materialization; None if there is none."""
    instance = _instance(context)
    try:
        return None if instance is None else latest_data_version(instance, context.asset_key)
    except dg.Failure:
        return None


def _instance(context: dg.InputContext) -> DagsterInstance | None:
    try:
        return context.instance
    except DagsterInvariantViolationError:
        return None  # in a notebook without DAGSTER_HOME
