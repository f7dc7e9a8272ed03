"""Reads what was made: a chunk as AnnData, a published dataset as one collection, obs as a table.

Only what belongs to a plan is read, and what is read is what the plan means: a file that is not there, or is another,
is an error that names it.

Of an S3 store, what is read lazily is a local copy in a folder of `TMPDIR`. It goes when the object that was returned
goes: hold on to that one, not only to a part of it.
"""

import contextlib
import resource
import weakref
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import h5py
import pyarrow as pa

from cxg_assets.ingest.chunks.reading.h5ad_file import told_in
from cxg_assets.ingest.chunks.stored_chunk import fetch_chunk, read_report, require_chunk
from cxg_assets.ingest.dataset.manifest import read_manifest
from cxg_assets.ingest.errors import BadInput, CxgError, shown, shown_names
from cxg_assets.ingest.formats import H5AD, ZARR
from cxg_assets.ingest.layout import manifest_path
from cxg_assets.ingest.plan.chunk_plan import Chunk, ChunkPlan, load_plan
from cxg_assets.ingest.plan.published import read_dataset, remedy
from cxg_assets.ingest.plan.stored import stored_sizes
from cxg_assets.ingest.storage.feather import FeatherFile, FeatherSource, feather_source
from cxg_assets.ingest.storage.store import Store

if TYPE_CHECKING:
    import pyarrow.dataset as pads
    from anndata import AnnData
    from anndata.experimental import AnnCollection

SPARE_FILES = 100
"""Files that a process has open besides those of a dataset: libraries, sockets, Dagster's databases."""


@dataclass(frozen=True, kw_only=True)
class LoadedDataset:
    """The chunks of one plan, as data. `load_dataset` gives that of what is published.

    Attributes:
        store: The destination.
        plan: The plan.
    """

    store: Store
    plan: ChunkPlan

    def chunk(self, key: str, *, lazy: bool = False) -> "AnnData":
        """One chunk: (n_obs, n_vars), X a CSR matrix, obs_names the soma_joinids.

        Args:
            key: Key of the chunk, five digits.
            lazy: X as a dask array, obs and var as xarray datasets, which `.to_memory()` reads. Else all is read now,
                and compared with the SHA-256 that was published, if the plan was.

        Raises:
            BadInput: The chunk is not stored, or not in the plan; what lazy needs, dask and xarray, is not installed.
            CxgError: The file is damaged, or not the chunk that the plan means.
            StoreError: The store did not give it.
        """
        _require_decoder(self.plan)
        [chunk] = self.plan.chunks_of([key])
        return self._open_lazily(chunk) if lazy else self._read(chunk)

    def chunks(self, keys: Sequence[str], *, lazy: bool = False) -> dict[str, "AnnData"]:
        """Some chunks by key, in plan order. That all are stored is seen to with one listing, before the first is read.

        Raises:
            BadInput: As `chunk`; the message names all that are missing.
        """
        self._require_stored(keys)
        return {chunk.key: self.chunk(chunk.key, lazy=lazy) for chunk in self.plan.chunks_of(keys)}

    def cells(self, *, lazy: bool = True) -> "AnnCollection":
        """All chunks as one collection, in plan order; `collection[rows].X` reads these rows only.

        Args:
            lazy: X stays in the files, and obs is read. Else all is read now, as `chunk` does.

        Raises:
            BadInput: A chunk is not stored; there are more files than this process may open.
            CxgError: A file is damaged, or not what was published.
            StoreError: The store did not give one.
        """
        from anndata.experimental import AnnCollection

        keys = [chunk.key for chunk in self.plan.chunks]
        if not lazy:
            return AnnCollection(list(self.chunks(keys).values()))
        self._require_stored(keys)
        _require_open_files(self.plan)
        _require_decoder(self.plan)
        with contextlib.ExitStack() as stack:
            collection = AnnCollection([self._open_backed(stack, chunk) for chunk in self.plan.chunks])
            _keep(stack.pop_all(), collection)
        return collection

    @cached_property
    def _published(self) -> Mapping[str, str]:
        """SHA-256 of each chunk as it was published, by chunk key; empty when this plan was not."""
        try:
            header = self.plan.header
            manifest = read_manifest(self.store.get(manifest_path(header.subset.name, header.plan_id)))
        except FileNotFoundError:
            return {}
        return {row.chunk: row.sha256 for row in manifest}

    def _read(self, chunk: Chunk) -> "AnnData":
        header = self.plan.header
        try:
            files = fetch_chunk(self.store, header, chunk)
        except FileNotFoundError as error:
            raise self._missing(chunk, error) from error
        published = self._published.get(chunk.key)
        if published and (other := files.damage(published)):
            raise CxgError(f"{other}: it is not the file that was published; {remedy(self.store, header)}")
        require_chunk(lambda: files.reader.told_by(files.objects), self.store, header, chunk)
        return files.read()

    def _missing(self, chunk: Chunk, error: FileNotFoundError) -> CxgError:
        """What to say of a chunk that is not there, or of which an object is not."""
        marker = self.plan.header.marker(chunk)
        if marker == self.plan.path(chunk) or not self.store.exists(marker):
            return self._not_stored([chunk.key])
        return CxgError(f"chunk {chunk.key}: {error}; {remedy(self.store, self.plan.header)}")

    def _open_lazily(self, chunk: Chunk) -> "AnnData":
        _require_lazy()
        import anndata.experimental

        lazily: Any = anndata.experimental.read_lazy
        if self.plan.header.format == ZARR:
            return lazily(self._open_folder(chunk))
        with contextlib.ExitStack() as stack:
            file = self._local_chunk(stack, chunk)
            # anndata opens the file by its name wherever a part of X is computed, also in another process.
            opened = lazily(h5py.File(file, "r"))
            _keep(stack.pop_all(), opened)
        return opened

    def _open_folder(self, chunk: Chunk) -> Any:
        """A zarr chunk as an open group; its metadata has been read, and compared with the plan."""
        from cxg_assets.ingest.chunks.reading.zarr_folder import open_folder

        try:
            read_report(self.store, self.plan.header, chunk)
        except FileNotFoundError as error:
            raise self._not_stored([chunk.key]) from error
        return open_folder(self.store, self.plan.path(chunk))

    def _open_backed(self, stack: contextlib.ExitStack, chunk: Chunk) -> "AnnData":
        from anndata import read_h5ad

        if self.plan.header.format == ZARR:
            from cxg_assets.ingest.chunks.reading.zarr_folder import with_x_in_store

            return with_x_in_store(self._open_folder(chunk))
        opened = read_h5ad(self._local_chunk(stack, chunk), backed="r")
        stack.callback(opened.file.close)
        return opened

    def _local_chunk(self, stack: contextlib.ExitStack, chunk: Chunk) -> Path:
        try:
            file = stack.enter_context(self.store.local_copy(self.plan.path(chunk)))
        except FileNotFoundError as error:
            raise self._not_stored([chunk.key]) from error
        require_chunk(lambda: told_in(file), self.store, self.plan.header, chunk)
        return file

    def _require_stored(self, keys: Sequence[str]) -> None:
        sizes = stored_sizes(self.store, self.plan)
        missing = [chunk.key for chunk in self.plan.chunks_of(keys) if chunk.key not in sizes]
        if missing:
            raise self._not_stored(missing)

    def _not_stored(self, keys: Sequence[str]) -> BadInput:
        named = ", ".join(keys[:5]) + (f" and {len(keys) - 5:,} more" if len(keys) > 5 else "")
        have = "chunk {} is" if len(keys) == 1 else "chunks {} are"
        header = self.plan.header
        return BadInput(
            f"{header.subset.name}, plan {header.plan_id}: {have.format(named)} not stored at {self.store.url}; "
            f"{self.store.follow_up('ingest', header.subset.name)} writes what is missing"
        )


def load_dataset(store: Store, subset_name: str, split: str | None = None) -> LoadedDataset:
    """What `dataset.json` points to, whatever runs have made since. Only the plan is read now.

    Args:
        store: The destination.
        subset_name: Name of the subset.
        split: Only the chunks of this part of its split; None loads all.

    Raises:
        BadInput: Nothing of the subset is published there, its plan was removed, or it has no such part.
        CxgError: dataset.json or the plan cannot be read.
    """
    try:
        dataset = read_dataset(store, subset_name)
    except FileNotFoundError as error:
        ingest = store.follow_up("ingest", subset_name)
        raise BadInput(
            f"{subset_name} is not published at {store.url} ({error}); {ingest} writes and publishes it"
        ) from error
    try:
        plan = load_plan(store, subset_name, dataset.header.plan_id)
    except FileNotFoundError as error:
        raise BadInput(str(error)) from error
    if split is not None:
        parts = plan.header.subset.parts
        if split not in parts:
            has = f"it has {', '.join(parts)}" if parts else "it was made without a split"
            raise BadInput(f"split: {shown(split)} is no part of {subset_name}; {has}")
        plan = replace(plan, chunks=tuple(chunk for chunk in plan.chunks if chunk.split == split))
    return LoadedDataset(store=store, plan=plan)


def load_table(store: Store, path: str, columns: Sequence[str] | None = None) -> pa.Table:
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
    """Opens such a file as an Arrow dataset, which is read batch by batch; arguments and errors as of `load_table`."""
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
    if plan.header.format != H5AD or plan.header.compression != "zstd":
        return
    try:
        import hdf5plugin  # noqa: F401
    except ImportError as error:
        raise BadInput(
            f"the chunks of {plan.header.subset.name} are compressed with zstd; pip install hdf5plugin to read them"
        ) from error


def _require_open_files(plan: ChunkPlan) -> None:
    """A collection holds every file open."""
    limit: Any = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
    if plan.header.format == H5AD and limit != resource.RLIM_INFINITY and len(plan.chunks) + SPARE_FILES > limit:
        raise BadInput(
            f"{plan.header.subset.name} has {len(plan.chunks):,} files, and this process may open {limit:,}; "
            f"start it after `ulimit -n {len(plan.chunks) + SPARE_FILES}`, or load its chunks one by one"
        )
