"""What a subset would be, asked of the census index before anything is made of it."""

from collections.abc import Callable
from dataclasses import dataclass, replace

import pyarrow as pa

from cxg_assets.ingest.census.census import CensusLocator
from cxg_assets.ingest.census.tiles import cell_nnz
from cxg_assets.ingest.chunks.memory import file_bytes
from cxg_assets.ingest.embeddings.obsm import find_obsm
from cxg_assets.ingest.layout import index_path
from cxg_assets.ingest.selection.index import CensusIndex
from cxg_assets.ingest.selection.subset import write_subset
from cxg_assets.ingest.spec import SubsetSpec
from cxg_assets.ingest.storage.feather import FeatherFile, count_labels, feather_source
from cxg_assets.ingest.storage.scratch import scratch_folder
from cxg_assets.ingest.storage.store import Store

COUNTED = ("donor_id", "dataset_id", "cell_type")
"""obs columns whose distinct values are counted, as far as obs has them."""

NNZ_PER_SECOND = 20_000_000
"""Non-zeros that a worker with a core of its own writes: 23M measured on 442,368 cells on this machine's disk, with
2 workers on 2 cores (docs/performance.md). Scattered cells and slow networks take longer."""


@dataclass(frozen=True, kw_only=True)
class Estimate:
    """What a subset would be.

    Attributes:
        n_obs: Cells.
        n_vars: Genes.
        n_distinct: Distinct values of each of `COUNTED`.
        parts: Cells of each part of the split; empty without one.
        n_files: h5ad files.
        n_bytes: Bytes of them, about; obs, which is small beside X of all genes, is not counted.
        worker_seconds: Seconds that one worker takes for them, about; so many workers divide them.
    """

    n_obs: int
    n_vars: int
    n_distinct: dict[str, int]
    parts: dict[str, int]
    n_files: int
    n_bytes: int
    worker_seconds: float


def estimate(
    spec: SubsetSpec,
    index: CensusIndex,
    index_store: Store,
    census: CensusLocator,
    warn: Callable[[str], None] | None = None,
) -> Estimate:
    """Filters, samples and splits a subset as `make_subset` does, in temporary files, and counts.

    All but its quality, for which X would be read: without a sample, of what is counted some cells are left out.

    Args:
        spec: The subset.
        index: The census index of its organism.
        index_store: Where the index is.
        census: Where the release is; read as `make_subset` reads it.
        warn: Told of what `make_subset` warns of.

    Raises:
        BadInput: The spec does not fit this Census, or selects nothing.
    """
    source = feather_source(index_store, index_path(index.release.version, spec.experiment))
    columns = tuple(name for name in COUNTED if name in index.columns)
    with census.open() as opened:
        var, layers = opened.var(spec.experiment), opened.layers(spec.experiment)
    with scratch_folder() as folder:
        obs, genes = folder / "obs.feather", folder / "var.feather"
        asked = replace(spec, obs_columns=columns, quality=None)
        subset = write_subset(asked, index, source, var, layers, obs, genes, warn, census)
        n_distinct = {name: len(values) for name, values in count_labels(obs, columns).items()}
        with FeatherFile(obs) as cells, FeatherFile(genes) as kept:
            nnz = sum(int(cell_nnz(batch).sum()) for batch in cells.batches())
            nnz = round(nnz * _share(kept.read(), var))
    n_files, n_layers = subset.n_chunks(spec.chunk_size), 1 + len(spec.further_layers)
    found = find_obsm(census, spec.experiment, spec.obs_embeddings, spec.obsm_layers)
    n_obsm = subset.n_obs * sum(array.n_features for array in found.values())
    of_genes = file_bytes(0, subset.n_vars, spec.compression, spec.genes_text, spec.format)
    return Estimate(
        n_obs=subset.n_obs,
        n_vars=subset.n_vars,
        n_distinct=n_distinct,
        parts=dict(subset.parts),
        n_files=n_files,
        n_bytes=file_bytes(nnz, 0, spec.compression, chunk_format=spec.format, n_layers=n_layers, n_obsm=n_obsm)
        + n_files * of_genes,
        worker_seconds=round((nnz * n_layers + n_obsm) / NNZ_PER_SECOND, 1),
    )


def _share(kept: pa.Table, var: pa.Table) -> float:
    """About which share of the non-zeros the kept genes have: as in the whole Census where var tells, or by number."""
    if "nnz" not in var.schema.names:
        return kept.num_rows / var.num_rows
    total = int(var["nnz"].to_numpy().sum())
    return int(kept["nnz"].to_numpy().sum()) / total if total else 1.0
