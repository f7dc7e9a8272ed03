"""Reads what was made: a chunk as AnnData, a published dataset as one collection, obs as a table.

Only what belongs to a plan is read, and what is read is what the plan means: a file that is not there, or is another,
is an error that names it.

Of an S3 store, what is read lazily is a local copy in a folder of `TMPDIR`. It goes when the object that was returned
goes: hold on to that one, not only to a part of it.
"""

import contextlib
import hashlib
import io
import resource
import weakref
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import h5py
import pyarrow as pa

from cxg_assets.ingest.chunks.stored_chunk import require_chunk
from cxg_assets.ingest.dataset.manifest import read_manifest
from cxg_assets.ingest.errors import BadInput, CxgError, shown_names
from cxg_assets.ingest.layout import manifest_path
from cxg_assets.ingest.plan.chunk_plan import Chunk, ChunkPlan, landed_sizes, load_plan
from cxg_assets.ingest.plan.published import read_dataset, remedy
from cxg_assets.ingest.storage.feather import FeatherFile, FeatherSource, feather_source
from cxg_assets.ingest.storage.follow_up import follow_up
from cxg_assets.ingest.storage.store import Store

if TYPE_CHECKING:
    import pyarrow.dataset as pads
    from anndata import AnnData
    from anndata.experimental import AnnCollection

SPARE_FILES = 100
"""Files that a process has open besides those of a dataset: libraries, sockets, Dagster's databases."""


def load_published_plan(store: Store, subset: str) -> ChunkPlan:
    """The plan that `dataset.json` points to.

    Raises:
        BadInput: Nothing of the subset is published there, or its plan was removed.
        CxgError: dataset.json or the plan cannot be read.
    """
    try:
        dataset = read_dataset(store, subset)
    except FileNotFoundError as error:
        ingest = follow_up(store, "ingest", subset)
        raise BadInput(
            f"{subset} is not published at {store.url} ({error}); {ingest} makes and publishes it"
        ) from error
    try:
        return load_plan(store, subset, dataset.plan_id)
    except FileNotFoundError as error:
        raise BadInput(str(error)) from error


def published_checksums(store: Store, plan: ChunkPlan) -> dict[str, str]:
    """SHA-256 of each chunk as it was published, by chunk key; empty when this plan was not.

    Raises:
        CxgError: The manifest cannot be read.
    """
    try:
        manifest = read_manifest(store.get(manifest_path(plan.header.subset, plan.header.plan_id)))
    except FileNotFoundError:
        return {}
    return dict(zip(manifest["chunk"].to_pylist(), manifest["sha256"].to_pylist(), strict=True))


def require_landed(store: Store, plan: ChunkPlan, keys: Sequence[str]) -> None:
    """Makes sure that chunks can be read, with one listing: before the first is, not after hours.

    Raises:
        BadInput: Chunks have not landed, or are not in the plan; the message names them.
    """
    sizes = landed_sizes(store, plan)
    missing = [chunk.key for chunk in plan.chunks_of(keys) if chunk.key not in sizes]
    if missing:
        raise _not_landed(store, plan, missing)


def read_chunk(store: Store, plan: ChunkPlan, key: str, checksums: Mapping[str, str] | None = None) -> "AnnData":
    """Reads a chunk into memory.

    Args:
        store: The destination.
        plan: The plan, from `load_published_plan` or `chunk_plan.load_plan`.
        key: Key of the chunk, five digits.
        checksums: What `published_checksums` gave: what is read is compared with it.

    Raises:
        BadInput: The chunk has not landed, or is not in the plan.
        CxgError: The file is damaged, or not the chunk that the plan means.
        StoreError: The store did not give it.

    Returns:
        (n_obs, n_vars), X a CSR matrix, obs_names the soma_joinids.
    """
    from anndata.io import read_elem

    _require_decoder(plan)
    [chunk] = plan.chunks_of([key])
    try:
        data = store.get(plan.path(chunk))
    except FileNotFoundError as error:
        raise _not_landed(store, plan, [key]) from error
    published = (checksums or {}).get(key)
    if published is not None and hashlib.sha256(data).hexdigest() != published:
        raise CxgError(
            f"{store.uri(plan.path(chunk))} is not the file that was published: its SHA-256 is another; "
            f"{remedy(store, plan.header)}"
        )
    require_chunk(io.BytesIO(data), store, plan.header, chunk)
    with h5py.File(io.BytesIO(data), "r") as file:
        adata: Any = read_elem(file)
    return adata


def open_chunk(store: Store, plan: ChunkPlan, key: str) -> "AnnData":
    """Opens a chunk lazily: X as a dask array, obs and var as xarray datasets; `.to_memory()` reads it.

    Args:
        store: The destination.
        plan: The plan, from `load_published_plan` or `chunk_plan.load_plan`.
        key: Key of the chunk, five digits.

    Raises:
        BadInput: The chunk has not landed, or is not in the plan; dask or xarray is not installed.
        CxgError: The file is not the chunk that the plan means.
        StoreError: The store did not give it.
    """
    _require_lazy()
    import anndata.experimental

    _require_decoder(plan)
    [chunk] = plan.chunks_of([key])
    with contextlib.ExitStack() as stack:
        file = _local_chunk(stack, store, plan, chunk)
        # anndata opens the file by its name wherever a part of X is computed, also in another process.
        lazily: Any = anndata.experimental.read_lazy
        opened = lazily(h5py.File(file, "r"))
        _keep(stack.pop_all(), opened)
    return opened


def open_dataset(store: Store, subset: str, *, in_memory: bool = False) -> "AnnCollection":
    """Opens the published dataset as one collection of cells, in plan order.

    What is published counts, whatever runs have made since. `collection[rows].X` reads these rows only.

    Args:
        store: The destination.
        subset: Name of the subset.
        in_memory: Read all of X now and compare each file with its SHA-256; else X stays in the files, and obs is read.

    Raises:
        BadInput: It is not published; it has more files than this process may open.
        CxgError: A file is missing, damaged, or not what was published.
        StoreError: The store did not give one.
    """
    from anndata.experimental import AnnCollection

    plan = load_published_plan(store, subset)
    keys = [chunk.key for chunk in plan.chunks]
    require_landed(store, plan, keys)
    if in_memory:
        checksums = published_checksums(store, plan)
        return AnnCollection([read_chunk(store, plan, key, checksums) for key in keys])
    _require_open_files(plan)
    with contextlib.ExitStack() as stack:
        collection = AnnCollection([_open_backed(stack, store, plan, chunk) for chunk in plan.chunks])
        _keep(stack.pop_all(), collection)
    return collection


def read_table(store: Store, path: str, columns: Sequence[str] | None = None) -> pa.Table:
    """Reads a feather file of this project into memory.

    Args:
        store: Where it is.
        path: `layout.index_path` or `layout.subset_obs_path`.
        columns: These columns only, in this order; None reads all.

    Raises:
        BadInput: It has not such a column.
        FileNotFoundError: There is no such file.
        StoreError: The store did not give it.
    """
    source = feather_source(store, path)
    _require_columns(source, columns)
    with FeatherFile(source, columns=columns) as opened:
        table = opened.read()
    return table if columns is None else table.select(list(columns))


def open_table(store: Store, path: str) -> "pads.Dataset":
    """Opens a feather file of this project as an Arrow dataset, which is read batch by batch.

    Args:
        store: Where it is.
        path: `layout.index_path` or `layout.subset_obs_path`.

    Raises:
        FileNotFoundError: There is no such file.
        StoreError: The store did not give it.
    """
    import pyarrow.dataset as pads
    import pyarrow.fs as pafs

    with contextlib.ExitStack() as stack:
        file = stack.enter_context(store.local_copy(path))
        mapped = pafs.LocalFileSystem(use_mmap=True)
        dataset = pads.dataset(str(file), format="feather", filesystem=mapped)
        _keep(stack.pop_all(), dataset)
    return dataset


def _keep(stack: contextlib.ExitStack, owner: object) -> None:
    """Lets what is on the stack live as long as its owner, and no longer than this process."""
    weakref.finalize(owner, stack.close)


def _local_chunk(stack: contextlib.ExitStack, store: Store, plan: ChunkPlan, chunk: Chunk) -> Path:
    try:
        file = stack.enter_context(store.local_copy(plan.path(chunk)))
    except FileNotFoundError as error:
        raise _not_landed(store, plan, [chunk.key]) from error
    require_chunk(file, store, plan.header, chunk)
    return file


def _open_backed(stack: contextlib.ExitStack, store: Store, plan: ChunkPlan, chunk: Chunk) -> "AnnData":
    from anndata import read_h5ad

    _require_decoder(plan)
    opened = read_h5ad(_local_chunk(stack, store, plan, chunk), backed="r")
    stack.callback(opened.file.close)
    return opened


def _not_landed(store: Store, plan: ChunkPlan, keys: Sequence[str]) -> BadInput:
    named = ", ".join(keys[:5]) + (f" and {len(keys) - 5:,} more" if len(keys) > 5 else "")
    have = "chunk {} has" if len(keys) == 1 else "chunks {} have"
    return BadInput(
        f"{plan.header.subset}, plan {plan.header.plan_id}: {have.format(named)} not landed at {store.url}; "
        f"{follow_up(store, 'ingest', plan.header.subset)} makes what is missing"
    )


def _require_columns(source: FeatherSource, columns: Sequence[str] | None) -> None:
    with FeatherFile(source) as opened:
        unknown = [name for name in columns or () if name not in opened.schema.names]
        if unknown:
            raise BadInput(f"columns: there is no {shown_names(unknown)}; there are {', '.join(opened.schema.names)}")


def _require_lazy() -> None:
    try:
        import dask.array  # noqa: F401
        import xarray  # noqa: F401
    except ImportError as error:
        raise BadInput(
            f"a lazy chunk needs dask and xarray ({error}); pip install 'anndata[lazy]', or load it into memory"
        ) from error


def _require_decoder(plan: ChunkPlan) -> None:
    """HDF5 finds the zstd filter once hdf5plugin is imported."""
    if plan.header.compression != "zstd":
        return
    try:
        import hdf5plugin  # noqa: F401
    except ImportError as error:
        raise BadInput(
            f"the chunks of {plan.header.subset} are compressed with zstd; pip install hdf5plugin to read them"
        ) from error


def _require_open_files(plan: ChunkPlan) -> None:
    """A collection holds every file open."""
    limit: Any = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
    if limit != resource.RLIM_INFINITY and len(plan.chunks) + SPARE_FILES > limit:
        raise BadInput(
            f"{plan.header.subset} has {len(plan.chunks):,} files, and this process may open {limit:,}; "
            f"start it after `ulimit -n {len(plan.chunks) + SPARE_FILES}`, or load its chunks one by one"
        )
