"""Exports a published dataset as Parquet: a file for each chunk, the vocabulary, and a card that `datasets` reads."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from cxg_assets.ingest.dataset.load import load_dataset
from cxg_assets.ingest.errors import CxgError
from cxg_assets.ingest.export.card import export_card
from cxg_assets.ingest.export.parquet_chunk import chunk_schema, differences, plain_column, write_chunk
from cxg_assets.ingest.finding import named
from cxg_assets.ingest.layout import citations_path, exported_chunk_path, exported_file_path, plan_folder
from cxg_assets.ingest.plan.chunk_plan import Chunk
from cxg_assets.ingest.plan.published import read_dataset
from cxg_assets.ingest.storage.scratch import scratch_folder
from cxg_assets.ingest.storage.store import Store

if TYPE_CHECKING:
    from anndata import AnnData


@dataclass(frozen=True, kw_only=True)
class ParquetExport:
    """What an export has.

    Attributes:
        plan_id: The plan that is published.
        card_path: Its card, relative to the destination; the folder of it is the export.
        n_obs: Rows of all files.
        n_files: Files of chunks.
        n_written: Of them, those that this run wrote; the others were there.
        n_bytes: Bytes of the files of chunks.
    """

    plan_id: str
    card_path: str
    n_obs: int
    n_files: int
    n_written: int
    n_bytes: int


def export_parquet(store: Store, subset_name: str, on_chunk: Callable[[], object] | None = None) -> ParquetExport:
    """Writes what is missing of the export of a published dataset; the card last, when all else is there.

    The file of a chunk has the chunk's fingerprint in its name: what is there is not written again. Each file is read
    back before it is stored, and every row compared with the chunk, which has the SHA-256 that was published. Memory:
    one chunk as AnnData, and `CELLS_PER_GROUP` of its cells.

    Args:
        store: The destination.
        subset_name: Name of the subset.
        on_chunk: Called after each chunk.

    Raises:
        BadInput: Nothing of the subset is published there, or an obs column has the name of one of the lists.
        CxgError: A chunk is damaged, or what was written of it is not the chunk.
        StoreError: The store did not give or take a file.
    """
    published, dataset = load_dataset(store, subset_name), read_dataset(store, subset_name)
    plan, plan_id = published.plan, published.plan.header.plan_id
    if dataset.header.plan_id != plan_id:
        raise CxgError(f"{subset_name}: plan {dataset.header.plan_id} was published meanwhile; export again")
    sizes = store.sizes(plan_folder(subset_name, plan_id))
    adata: AnnData | None = None
    n_written, n_bytes = 0, 0
    with scratch_folder() as folder:
        for chunk in plan.chunks:
            path = exported_chunk_path(subset_name, plan_id, chunk.split, chunk.key, chunk.fingerprint)
            if path not in sizes:
                adata = published.chunk(chunk.key)
                n_bytes += _write(store, path, adata, chunk, folder / "chunk.parquet")
                n_written += 1
            else:
                n_bytes += sizes[path]
            if on_chunk is not None:
                on_chunk()
        if adata is None:
            adata = published.chunk(plan.chunks[0].key)
        genes = _vocabulary(adata)
        pq.write_table(genes, folder / "genes.parquet", compression="zstd", store_schema=False)
        store.put(exported_file_path(subset_name, plan_id, "genes.parquet"), folder / "genes.parquet")
    citations = store.get(citations_path(subset_name, plan_id))
    store.put(exported_file_path(subset_name, plan_id, "citations.csv"), citations)
    card_path = exported_file_path(subset_name, plan_id, "README.md")
    store.put(card_path, export_card(dataset, chunk_schema(adata), genes.schema))
    return ParquetExport(
        plan_id=plan_id,
        card_path=card_path,
        n_obs=sum(chunk.n_obs for chunk in plan.chunks),
        n_files=len(plan.chunks),
        n_written=n_written,
        n_bytes=n_bytes,
    )


def _write(store: Store, path: str, adata: "AnnData", chunk: Chunk, file: Path) -> int:
    """Stores the file of a chunk, and returns its size in bytes."""
    write_chunk(adata, file)
    if wrong := differences(file, adata):
        raise CxgError(f"chunk {chunk.key}: its parquet file is not what was written: {named(wrong)}; export again")
    store.put(path, file)
    return file.stat().st_size


def _vocabulary(adata: "AnnData") -> pa.Table:
    """The genes in their order: the place that the lists have, then var."""
    var: Any = adata.var
    columns = {"gene": pa.array(np.arange(len(var), dtype=np.int32))}
    return pa.table({**columns, **{str(name): plain_column(var[name]) for name in var}})
