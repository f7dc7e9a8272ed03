"""QC metrics of the cells of each chunk, by scanpy: an asset of your own, downstream of a subset.

Copy this file into `cxg_assets/defs/` and set SUBSET: Dagster loads every Python file there. The asset has the
partitions of `h5ad_chunks`, so each partition loads one chunk, however large the subset is.
"""

import dagster as dg
import pandas as pd
from anndata import AnnData

from cxg_assets.names import chunk_partitions, h5ad_chunks_key

SUBSET = "blood_normal"
MITOCHONDRIAL = "MT-"
"""How the names of mitochondrial genes begin: `MT-` in human, `mt-` in mouse."""
TOP_GENES = (50, 100, 200, 500)


@dg.asset(
    key=[SUBSET, "qc_metrics"],
    group_name=SUBSET,
    kinds={"scanpy", "pandas"},
    partitions_def=chunk_partitions(SUBSET),
    # For a chunk that is larger than memory: metadata={"load": "lazy"}.
    ins={"chunk": dg.AssetIn(h5ad_chunks_key(SUBSET))},
)
def qc_metrics(context: dg.AssetExecutionContext, chunk: AnnData) -> pd.DataFrame:
    """A row for each cell: obs, n_genes_by_counts, total_counts, pct_counts_in_top_50_genes … pct_counts_mt."""
    import scanpy as sc  # takes seconds, and only a run needs it

    chunk.var["mt"] = chunk.var["feature_name"].str.startswith(MITOCHONDRIAL)
    top = [n for n in TOP_GENES if n <= chunk.n_vars]
    sc.pp.calculate_qc_metrics(chunk, qc_vars=["mt"], percent_top=top, log1p=True, inplace=True)
    metrics = sc.get.obs_df(chunk, list(chunk.obs))
    context.add_output_metadata(
        {
            "dagster/row_count": len(metrics),
            "median_genes": float(metrics["n_genes_by_counts"].median()),
            "median_counts": float(metrics["total_counts"].median()),
            "median_pct_mt": float(metrics["pct_counts_mt"].median()),
        }
    )
    return metrics
