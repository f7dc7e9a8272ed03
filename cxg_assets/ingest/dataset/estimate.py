"""What a subset would be, asked of the census index before anything is made of it."""

from collections.abc import Callable
from dataclasses import asdict, dataclass, replace

import pyarrow as pa

from cxg_assets.ingest.census.census import CensusLocator
from cxg_assets.ingest.census.tiles import n_fragments
from cxg_assets.ingest.dataset.estimating.costs import CostEstimate, estimate_costs
from cxg_assets.ingest.dataset.estimating.reading import GeneShares, nnz_of_tiles
from cxg_assets.ingest.embeddings.obsm import find_obsm
from cxg_assets.ingest.layout import index_path, subset_obs_path, subset_var_path
from cxg_assets.ingest.plan.chunk_plan import ChunkPlan
from cxg_assets.ingest.selection.index import CensusIndex
from cxg_assets.ingest.selection.subset import Subset, write_subset
from cxg_assets.ingest.spec import SubsetSpec
from cxg_assets.ingest.storage.feather import FeatherFile, FeatherSource, count_labels, feather_source
from cxg_assets.ingest.storage.scratch import scratch_folder
from cxg_assets.ingest.storage.store import Store

COUNTED = ("donor_id", "dataset_id", "cell_type")
"""obs columns whose distinct values are counted, as far as obs has them."""


@dataclass(frozen=True, kw_only=True)
class Estimate:
    """What a subset would be.

    Attributes:
        n_obs: Cells.
        n_vars: Genes.
        n_distinct: Distinct values of each of `COUNTED`.
        parts: Cells of each part of the split; empty without one.
        n_files: h5ad files.
        n_bytes: Bytes of them, about.
        worker_seconds: Seconds that one worker with a core of its own takes for them, about; so many workers divide
            them. Slow networks take longer.
        cpu_seconds: CPU of all workers, as in `Costs`, and likewise what follows; a first pass is in them.
        bytes_read: Bytes read of the Census, and of the pieces of a first pass.
        read_requests: Requests for them.
        write_requests: Requests that store files.
    """

    n_obs: int
    n_vars: int
    n_distinct: dict[str, int]
    parts: dict[str, int]
    n_files: int
    n_bytes: int
    worker_seconds: float
    cpu_seconds: float
    bytes_read: int
    read_requests: float
    write_requests: int


def estimate(
    spec: SubsetSpec,
    index: CensusIndex,
    index_store: Store,
    census: CensusLocator,
    warn: Callable[[str], None] | None = None,
    n_workers: int = 1,
) -> Estimate:
    """Filters, samples and splits a subset as `make_subset` does, in temporary files, and counts.

    All but its quality, for which X would be read: without a sample, of what is counted some cells are left out.

    Args:
        spec: The subset.
        index: The census index of its organism.
        index_store: Where the index is.
        census: Where the release is; read as `make_subset` reads it.
        warn: Told of what `make_subset` warns of.
        n_workers: Workers that will share the work.

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
        costs = _costs(spec, subset, source, obs, genes, census, var, n_workers)
    return Estimate(
        n_obs=subset.n_obs,
        n_vars=subset.n_vars,
        n_distinct=n_distinct,
        parts=dict(subset.parts),
        n_files=subset.n_chunks(spec.chunk_size),
        n_bytes=costs.n_bytes,
        worker_seconds=round(costs.all.cpu_seconds, 1),
        **asdict(costs.all),
    )


def estimate_planned(
    plan: ChunkPlan, spec: SubsetSpec, index_store: Store, store: Store, census: CensusLocator
) -> CostEstimate:
    """What the chunks of a plan take, from its subset's files, which are read, as it is told before there are any.

    Args:
        plan: The plan; how its files are written is taken from it.
        spec: The subset.
        index_store: Where the census index is.
        store: The destination.
        census: Where the release is.
    """
    header = plan.header
    names = ("chunk_size", "format", "compression", "genes_text", "order")
    planned = replace(spec, **{name: getattr(header, name) for name in names})
    obs, genes = (
        feather_source(store, path(spec.name, header.subset.fingerprint)) for path in (subset_obs_path, subset_var_path)
    )
    with census.open() as opened:
        var = opened.var(spec.experiment)
    index = feather_source(index_store, index_path(header.subset.release.version, spec.experiment))
    return _costs(planned, header.subset, index, obs, genes, census, var)


def _costs(
    spec: SubsetSpec,
    subset: Subset,
    index: FeatherSource,
    obs: FeatherSource,
    genes: FeatherSource,
    census: CensusLocator,
    var: pa.Table,
    n_workers: int = 1,
) -> CostEstimate:
    found = find_obsm(census, spec.experiment, spec.obs_embeddings, spec.obsm_layers)
    with FeatherFile(genes, columns=("soma_joinid",)) as kept:
        shares = GeneShares.of(kept.read(), var)
    return estimate_costs(
        spec,
        obs,
        subset.parts,
        nnz_all=nnz_of_tiles(index, subset.n_obs_before),
        n_obs_census=subset.n_obs_before,
        n_vars=subset.n_vars,
        n_vars_census=var.num_rows,
        genes=shares,
        n_features=[array.n_features for array in found.values()],
        n_fragments=n_fragments(subset.layers[spec.layer]),
        n_workers=n_workers,
    )
