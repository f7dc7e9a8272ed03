"""The engine: everything between a Census and verified h5ad chunks, with no Dagster and no Ray.

Its public names are imported from here, `from cxg_assets.ingest import SubsetSpec`, and listed in path order, from a
Census to a dataset. Each is loaded when it is first asked for, so that importing the engine costs nothing.
"""

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from cxg_assets.ingest.census.census import CensusLocator as CensusLocator
    from cxg_assets.ingest.census.release import Release as Release
    from cxg_assets.ingest.census.release import read_release as read_release
    from cxg_assets.ingest.choice.sample import SampledCells as SampledCells
    from cxg_assets.ingest.choice.sample import sample_cells as sample_cells
    from cxg_assets.ingest.choice.split import SplitCells as SplitCells
    from cxg_assets.ingest.choice.split import split_cells as split_cells
    from cxg_assets.ingest.chunks.job import IngestJob as IngestJob
    from cxg_assets.ingest.chunks.report import ChunkFailure as ChunkFailure
    from cxg_assets.ingest.chunks.report import ChunkReport as ChunkReport
    from cxg_assets.ingest.chunks.worker import Worker as Worker
    from cxg_assets.ingest.dataset.load import LoadedDataset as LoadedDataset
    from cxg_assets.ingest.dataset.load import load_dataset as load_dataset
    from cxg_assets.ingest.dataset.load import load_table as load_table
    from cxg_assets.ingest.dataset.load import open_table as open_table
    from cxg_assets.ingest.dataset.manifest import IncompleteDataset as IncompleteDataset
    from cxg_assets.ingest.dataset.publish import publish as publish
    from cxg_assets.ingest.errors import BadInput as BadInput
    from cxg_assets.ingest.errors import CxgError as CxgError
    from cxg_assets.ingest.errors import StoreError as StoreError
    from cxg_assets.ingest.errors import Unreachable as Unreachable
    from cxg_assets.ingest.export.parquet import ParquetExport as ParquetExport
    from cxg_assets.ingest.export.parquet import export_parquet as export_parquet
    from cxg_assets.ingest.gene_selection import GeneSelection as GeneSelection
    from cxg_assets.ingest.gene_selection import HighlyVariable as HighlyVariable
    from cxg_assets.ingest.metrics import Outliers as Outliers
    from cxg_assets.ingest.metrics import Quality as Quality
    from cxg_assets.ingest.metrics import QualityColumn as QualityColumn
    from cxg_assets.ingest.plan.chunk import Chunk as Chunk
    from cxg_assets.ingest.plan.chunk_plan import ChunkPlan as ChunkPlan
    from cxg_assets.ingest.plan.chunk_plan import PlanHeader as PlanHeader
    from cxg_assets.ingest.plan.chunk_plan import load_plan as load_plan
    from cxg_assets.ingest.plan.making import store_plan as store_plan
    from cxg_assets.ingest.plan.published import Dataset as Dataset
    from cxg_assets.ingest.plan.published import read_dataset as read_dataset
    from cxg_assets.ingest.plan.spans import Span as Span
    from cxg_assets.ingest.plan.spans import plan_spans as plan_spans
    from cxg_assets.ingest.plan.stored import stored_sizes as stored_sizes
    from cxg_assets.ingest.sampling import Sample as Sample
    from cxg_assets.ingest.sampling import Split as Split
    from cxg_assets.ingest.selection.index import CensusIndex as CensusIndex
    from cxg_assets.ingest.selection.index import load_index as load_index
    from cxg_assets.ingest.selection.index import make_index as make_index
    from cxg_assets.ingest.selection.subset import Subset as Subset
    from cxg_assets.ingest.selection.subset import load_subset as load_subset
    from cxg_assets.ingest.selection.subset import make_subset as make_subset
    from cxg_assets.ingest.spec import SubsetSpec as SubsetSpec
    from cxg_assets.ingest.storage.s3 import S3Settings as S3Settings
    from cxg_assets.ingest.storage.store import Store as Store
    from cxg_assets.ingest.storage.store import StoreLocator as StoreLocator

_NAMES = {
    "errors": ("CxgError", "BadInput", "StoreError", "Unreachable"),
    "spec": ("SubsetSpec",),
    "gene_selection": ("GeneSelection", "HighlyVariable"),
    "storage.s3": ("S3Settings",),
    "storage.store": ("StoreLocator", "Store"),
    "census.census": ("CensusLocator",),
    "census.release": ("Release", "read_release"),
    "selection.index": ("CensusIndex", "make_index", "load_index"),
    "selection.subset": ("Subset", "make_subset", "load_subset"),
    "metrics": ("Quality", "QualityColumn", "Outliers"),
    "sampling": ("Sample", "Split"),
    "choice.sample": ("sample_cells", "SampledCells"),
    "choice.split": ("split_cells", "SplitCells"),
    "plan.chunk": ("Chunk",),
    "plan.chunk_plan": ("PlanHeader", "ChunkPlan", "load_plan"),
    "plan.stored": ("stored_sizes",),
    "plan.making": ("store_plan",),
    "plan.spans": ("Span", "plan_spans"),
    "chunks.job": ("IngestJob",),
    "chunks.worker": ("Worker",),
    "chunks.report": ("ChunkReport", "ChunkFailure"),
    "dataset.manifest": ("IncompleteDataset",),
    "plan.published": ("Dataset", "read_dataset"),
    "dataset.publish": ("publish",),
    "dataset.load": ("load_dataset", "LoadedDataset", "load_table", "open_table"),
    "export.parquet": ("export_parquet", "ParquetExport"),
}
"""Public names by the module of the engine that defines them."""

_MODULES = {name: f"{__name__}.{module}" for module, names in _NAMES.items() for name in names}

__all__ = list(_MODULES)  # pyright: ignore[reportUnsupportedDunderAll] the imports above are for type checkers


def __getattr__(name: str) -> Any:
    """Finds a public name in its module."""
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(_MODULES[name]), name)


def __dir__() -> list[str]:
    """With what `__getattr__` finds."""
    return sorted({*globals(), *_MODULES})
