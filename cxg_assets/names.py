"""Names of assets, partitions and jobs."""

import dagster as dg

CENSUS_RELEASE = dg.AssetKey("census_release")
CENSUS_GROUP = "census"
CENSUS_POOL = "census"
"""Pool of the steps that read obs or X of the Census; `dagster.yaml` says how many of their runs there are at once."""

ASSET_LOADER = "asset_loader"
"""Resource key of the IO manager of all assets, see `io_managers.py`."""

DESTINATION = "destination"
"""Definition metadata of an asset: URL of its subset's store, where that is not the default store."""

INGEST_TAG = "cxg_assets/ingest"
"""On each run of a chain from YAML to dataset: the id of its first run, so that the UI lists them together."""


def census_index_key(experiment: str) -> dg.AssetKey:
    """The index of one experiment, by the name that `spec.experiment_name` gives it; shared by its subsets."""
    return dg.AssetKey([experiment, "census_index"])


def filtered_subset_key(subset: str) -> dg.AssetKey:
    """The cells and genes."""
    return dg.AssetKey([subset, "filtered_subset"])


def chunk_plan_key(subset: str) -> dg.AssetKey:
    """The chunk table."""
    return dg.AssetKey([subset, "chunk_plan"])


def h5ad_chunks_key(subset: str) -> dg.AssetKey:
    """The chunk files, a partition each."""
    return dg.AssetKey([subset, "h5ad_chunks"])


def dataset_key(subset: str) -> dg.AssetKey:
    """The published dataset."""
    return dg.AssetKey([subset, "dataset"])


def parquet_key(subset: str) -> dg.AssetKey:
    """The published dataset as Parquet."""
    return dg.AssetKey([subset, "parquet"])


def corpus_key(name: str) -> dg.AssetKey:
    """The datasets of several organisms as one, by the name of their YAML."""
    return dg.AssetKey([name, "corpus"])


def chunk_partitions(subset: str) -> dg.DynamicPartitionsDefinition:
    """The partitions of `h5ad_chunks`: the chunk keys of the current plan."""
    return dg.DynamicPartitionsDefinition(name=f"{subset}_chunks")


def ingest_job_name(subset: str) -> str:
    """The job from YAML to dataset: release to plan here, then the missing chunks and the dataset in a run each."""
    return f"{subset}_ingest"


def missing_chunks_job_name(subset: str) -> str:
    """The job that writes the missing chunks, however scattered."""
    return f"{subset}_missing_chunks"


def make_missing_op_name(subset: str) -> str:
    """The one op of that job."""
    return f"{subset}_make_missing_chunks"


def publish_job_name(subset: str) -> str:
    """The last part of an ingest."""
    return f"{subset}_publish"
