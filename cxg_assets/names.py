"""Names of assets, partitions and jobs."""

import dagster as dg

CENSUS_RELEASE = dg.AssetKey("census_release")
CENSUS_GROUP = "census"
CENSUS_POOL = "census"
"""Pool of the steps that read obs or X of the Census; `dagster.yaml` says how many of their runs there are at once."""

INDEX_IO_MANAGER = "index_io_manager"
SUBSET_IO_MANAGER = "subset_io_manager"
CHUNK_IO_MANAGER = "chunk_io_manager"
DATASET_IO_MANAGER = "dataset_io_manager"
"""Resource keys of what loads the assets, see `io_managers.py`."""

DESTINATION = "destination"
"""Definition metadata of an asset: URL of its subset's store; empty for the default store."""


def census_index_key(organism: str) -> dg.AssetKey:
    """The index of one organism, shared by its subsets."""
    return dg.AssetKey([organism, "census_index"])


def filtered_subset_key(subset: str) -> dg.AssetKey:
    """The cells and genes of a subset."""
    return dg.AssetKey([subset, "filtered_subset"])


def chunk_plan_key(subset: str) -> dg.AssetKey:
    """The chunk table of a subset."""
    return dg.AssetKey([subset, "chunk_plan"])


def h5ad_chunks_key(subset: str) -> dg.AssetKey:
    """The chunk files of a subset, a partition each."""
    return dg.AssetKey([subset, "h5ad_chunks"])


def dataset_key(subset: str) -> dg.AssetKey:
    """The published dataset of a subset."""
    return dg.AssetKey([subset, "dataset"])


def chunk_partitions(subset: str) -> dg.DynamicPartitionsDefinition:
    """The partitions of `h5ad_chunks`: the chunk keys of the current plan."""
    return dg.DynamicPartitionsDefinition(name=f"{subset}_chunks")


def ingest_job_name(subset: str) -> str:
    """The job of one click: as prepare, then the missing chunks and the dataset in runs of their own."""
    return f"{subset}_ingest"


def prepare_job_name(subset: str) -> str:
    """The job from the index to the plan."""
    return f"{subset}_prepare"


def missing_chunks_job_name(subset: str) -> str:
    """The job that makes the chunks that have not landed, however scattered."""
    return f"{subset}_missing_chunks"


def make_missing_op_name(subset: str) -> str:
    """The one op of that job."""
    return f"{subset}_make_missing_chunks"


def publish_job_name(subset: str) -> str:
    """The job that publishes the dataset."""
    return f"{subset}_publish"


def weekly_schedule_name(subset: str) -> str:
    """The schedule of the ingest."""
    return f"{subset}_weekly"
