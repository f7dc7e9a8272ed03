"""A published dataset as the loader takes it: all that is read before the first batch is asked for."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from cxg_assets.ingest.dataset.load import load_dataset
from cxg_assets.ingest.dataset.manifest import read_manifest
from cxg_assets.ingest.errors import BadInput, CxgError, shown, shown_names
from cxg_assets.ingest.formats import ZARR
from cxg_assets.ingest.layout import manifest_path, subset_var_path
from cxg_assets.ingest.plan.chunk_plan import Chunk, PlanHeader
from cxg_assets.ingest.plan.published import read_dataset
from cxg_assets.ingest.storage.feather import FeatherFile, feather_source
from cxg_assets.ingest.storage.store import StoreLocator
from cxg_assets.ingest.storage.url import as_url
from cxg_assets.training.h5ad.chunk_files import ChunkFiles
from cxg_assets.training.row_source import RowSource

_POINTER = "/dataset.json"


@dataclass(frozen=True, kw_only=True, eq=False)
class OpenedDataset:
    """What is known of a dataset; picklable, holds nothing open.

    Attributes:
        locator: The destination.
        header: Of the plan that is published.
        chunks: Those of the split, or all.
        nnz_per_cell: Mean number of non-zeros, of all cells.
        source: The files.
        labels: Labels of each label column, in the order of their codes.
        genes: feature_id of each column of X.
    """

    locator: StoreLocator
    header: PlanHeader
    chunks: tuple[Chunk, ...]
    nnz_per_cell: float
    source: RowSource
    labels: dict[str, list[str]]
    genes: tuple[str, ...]

    @property
    def n_obs(self) -> int:
        """Cells of the chunks."""
        return sum(chunk.n_obs for chunk in self.chunks)


def open_dataset(
    place: str | Path | StoreLocator, subset_name: str | None, split: str | None, labels: Sequence[str]
) -> OpenedDataset:
    """Finds what is published.

    Raises:
        BadInput: Nothing is, or it has no such part or no such labels.
        CxgError: A file that describes it is damaged.
        StoreError: The store did not answer.
    """
    locator, name = locate(place, subset_name)
    locator = locator.completed()
    store = locator.open()
    loaded = load_dataset(store, name, split)
    header, chunks = loaded.plan.header, loaded.plan.chunks
    dataset = read_dataset(store, name)
    path = manifest_path(name, header.plan_id)
    try:
        n_bytes = {report.chunk: report.n_bytes for report in read_manifest(store.get(path))}
    except CxgError as error:
        raise CxgError(f"{store.uri(path)}: {error}") from error
    commands = (store.follow_up("verify", name, "--repair"), store.follow_up("ingest", name))
    source: RowSource
    if header.format == ZARR:
        # Imported here: who reads h5ad needs none of it.
        from cxg_assets.training.zarr.chunk_folders import ChunkFolders

        source = ChunkFolders(locator, header, *commands)
    else:
        source = ChunkFiles(locator, header, n_bytes, *commands)
    listed = {name: list(values) for name, values in dataset.labels.items()}
    # Of datasets of before, and of columns with too many values to be listed, a chunk has them.
    listed |= source.categories(chunks[0], [name for name in labels if name not in listed])
    with FeatherFile(feather_source(store, subset_var_path(name, header.subset.fingerprint)), ["feature_id"]) as var:
        genes = tuple(var.read()["feature_id"].to_pylist())
    return OpenedDataset(
        locator=locator,
        header=header,
        chunks=chunks,
        nnz_per_cell=dataset.nnz / max(header.subset.n_obs, 1),
        source=source,
        labels={name: listed[name] for name in labels},
        genes=genes,
    )


def locate(place: str | Path | StoreLocator, subset_name: str | None) -> tuple[StoreLocator, str]:
    """The destination and the name of a subset.

    Args:
        place: The folder of the subset or its dataset.json, as URL or path; with a name, the destination.
        subset_name: The name; None takes the last part of the place.
    """
    url = place.url if isinstance(place, StoreLocator) else as_url(str(place))
    url = url.removesuffix(_POINTER).rstrip("/")
    if subset_name is None:
        parent, _, subset_name = url.rpartition("/")
        if not subset_name or parent.endswith(("://", ":/")) or "://" not in parent:
            raise BadInput(f"url: {shown(url)} is not the folder of a subset; give <destination>/<subset>")
        url = parent
    if isinstance(place, StoreLocator):
        from dataclasses import replace

        return replace(place, url=url), subset_name
    return StoreLocator(url=url), subset_name


def gene_columns(genes: Sequence[str], asked: Sequence[str] | None, subset_name: str) -> np.ndarray | None:
    """The columns of genes, (n,) int64, in the order that is asked for; None for all.

    Raises:
        BadInput: The dataset does not have one, or it is asked for twice.
    """
    if asked is None:
        return None
    place = {gene: number for number, gene in enumerate(genes)}
    unknown = [str(gene) for gene in asked if gene not in place]
    if unknown or not len(asked):
        problem = f"{shown_names(unknown)} not among the {len(genes):,} genes" if unknown else "no gene is named"
        raise BadInput(f"genes: {problem} of {subset_name}; give feature_ids like {genes[0]}")
    if len(set(asked)) < len(asked):
        twice = next(gene for number, gene in enumerate(asked) if gene in asked[:number])
        raise BadInput(f"genes: {shown(twice)} is there twice")
    return np.array([place[gene] for gene in asked], np.int64)
