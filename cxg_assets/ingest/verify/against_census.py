"""Compares chunks, value by value, with what the Census's own client returns for their cells and genes."""

import contextlib
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, cast

import numpy as np
import pyarrow as pa

from cxg_assets.ingest.census.census import Census, CensusLocator
from cxg_assets.ingest.chunks.gene_table import FIRST_NAMED, LABELS, NAMES
from cxg_assets.ingest.chunks.h5ad_template import UNS_KEY
from cxg_assets.ingest.chunks.stored_chunk import ChunkFiles
from cxg_assets.ingest.errors import CxgError
from cxg_assets.ingest.genes.vocabulary import PADDED, padded_genes
from cxg_assets.ingest.layout import subset_var_path
from cxg_assets.ingest.plan.chunk_plan import Chunk, ChunkPlan
from cxg_assets.ingest.selection.categories import categories_of
from cxg_assets.ingest.storage.feather import FeatherFile, feather_source
from cxg_assets.ingest.storage.store import Store
from cxg_assets.ingest.verify.obsm import obsm_differences
from cxg_assets.ingest.verify.quality import quality_differences
from cxg_assets.ingest.verify.spots import spot_differences

if TYPE_CHECKING:
    import pandas as pd
    from anndata import AnnData
    from scipy.sparse import csr_matrix

SHOWN_CHARACTERS = 80
"""Of each of two texts that differ."""


@dataclass(frozen=True, eq=False)
class CensusCells:
    """What chunks are compared with.

    Attributes:
        census: The Census.
        census_locator: Where it is.
        cells: soma_joinids of the subset, in plan order.
        genes: soma_joinids of its genes, (n_vars,) int64; `PADDED` for those that the Census does not have.
        padded: feature_ids of the latter, in order.
        categories: Of each categorical column of obs, those that every chunk has.
        ingest: The command that makes the subset's files again.
    """

    census: Census
    census_locator: CensusLocator
    cells: FeatherFile
    genes: np.ndarray
    padded: list[str]
    categories: dict[str, list[str]]
    ingest: str

    def differences(self, files: ChunkFiles, plan: ChunkPlan, chunk: Chunk, rows: slice | None = None) -> list[str]:
        """What of a stored chunk is not as the Census has it, each in words.

        Args:
            files: The chunk as it was read.
            plan: The plan.
            chunk: The chunk.
            rows: Compare these of its cells, start … stop-1; None compares all.
        """
        cells = rows or slice(0, chunk.n_obs)
        try:
            adata = files.read() if rows is None else files.read_cells(rows)
        except Exception as error:  # noqa: BLE001 - whatever anndata makes of a damaged file
            return [f"it cannot be read by anndata: {' '.join(str(error).split())}"]
        return list(self._compare(adata, plan, chunk, cells))

    def _compare(self, adata: "AnnData", plan: ChunkPlan, chunk: Chunk, rows: slice) -> Iterator[str]:
        import cellxgene_census
        import pandas as pd

        header = plan.header
        joinids = self._joinids(plan, chunk, rows)
        columns = np.flatnonzero(self.genes != PADDED)
        # The Census returns cells and genes by their joinids, whatever order they are asked for in.
        columns = columns[np.argsort(self.genes[columns])]
        with warnings.catch_warnings():
            # tiledbsoma 2.3.0 hands AnnData an integer obs index, of which AnnData warns at every call.
            warnings.filterwarnings("ignore", message="Transforming to str index")
            expected = cellxgene_census.get_anndata(
                self.census.root,
                header.subset.selection.organism,
                X_name=header.layer,
                X_layers=sorted({further.layer for further in header.further_layers.values()}),
                modality=header.subset.selection.modality,
                obs_coords=joinids,
                var_coords=self.genes[columns],
                obs_column_names=["soma_joinid", *header.subset.selection.obs_columns],
            )
        quality = [] if header.subset.selection.quality is None else [*header.subset.selection.quality.names]
        yield from quality_differences(self.census, header.subset.selection, cast("pd.DataFrame", adata.obs), joinids)
        yield from spot_differences(self.census, header.subset, adata, joinids)
        places = np.searchsorted(np.sort(joinids), joinids)
        cells = cast("pd.DataFrame", expected.obs).iloc[places]
        shape = (len(places), len(self.genes))
        if adata.shape != shape:
            yield f"X has shape {adata.shape}, the Census gives {shape}"
            return
        genes = cast("pd.DataFrame", expected.var)
        obs, var = cast("pd.DataFrame", adata.obs), cast("pd.DataFrame", adata.var)
        for axis, has, census_has in (("obs", obs, cells), ("var", var.iloc[columns], genes)):
            mine, theirs = has.reset_index(drop=True), census_has.reset_index(drop=True)
            if axis == "obs":
                mine = mine.drop(columns=quality, errors="ignore")
                # There all categories of the Census, in a chunk those of its subset.
                for name, values in self.categories.items():
                    if name in mine and getattr(mine[name].dtype, "categories", pd.Index([])).tolist() != values:
                        yield f"the categories of obs.{name} are not those of the subset"
                    if name in theirs:
                        theirs[name] = theirs[name].cat.set_categories(values)
            else:
                # Text there, and in chunks categories; those of earlier versions have text as well.
                mine = mine.astype({name: theirs[name].dtype for name in LABELS if name in theirs and name in mine})
            try:
                pd.testing.assert_frame_equal(mine, theirs)
            except AssertionError as error:
                yield f"{axis} differs from the Census: {' '.join(str(error).split())}"
        if adata.obs_names.tolist() != cells["soma_joinid"].astype(str).tolist():
            yield "obs_names are not the soma_joinids of the cells"
        if adata.var_names.tolist() != _gene_names(var, header.encoding_version):
            yield "var_names are not the feature_ids of the genes"
        padded = var[var["soma_joinid"] == PADDED]
        if padded["feature_id"].tolist() != self.padded:
            yield "the padded genes of var are not those of the subset"
        pairs: dict[str, tuple[Any, Any]] = {"X": (adata.X, expected.X)}
        for name, further in header.further_layers.items():
            pairs[f"layers/{name}"] = (adata.layers.get(name), expected.layers[further.layer])
        yield from obsm_differences(self.census_locator, header.obsm, adata, joinids)
        for name, (mine, theirs) in pairs.items():
            if mine is None:
                yield f"{name} is not there"
                continue
            matrix = _in_columns(theirs[places], columns, len(self.genes))
            for part in ("indptr", "indices", "data"):
                if not np.array_equal(getattr(mine, part), getattr(matrix, part)):
                    yield f"{name} differs from the Census in its {part}"
        told = adata.uns[UNS_KEY]
        if told["census_uri"] != self.census.uri:
            yield f"made from {told['census_uri']}, compared with {self.census.uri}"
        if header.subset.selection.is_complete:
            for name, value in header.provenance.items():
                if told.get(name) != value:
                    here, there = (str(text)[:SHOWN_CHARACTERS] for text in (told.get(name), value))
                    yield f"uns says that its {name} is {here!r}, the plan says {there!r}"

    def _joinids(self, plan: ChunkPlan, chunk: Chunk, rows: slice) -> np.ndarray:
        """soma_joinids of some rows of a chunk, (n_obs,) int64."""
        try:
            found = self.cells.rows(chunk.row_start + rows.start, chunk.row_start + rows.stop)
            return found["soma_joinid"].to_numpy()
        except (pa.ArrowException, OSError) as error:
            header = plan.header
            raise CxgError(f"{header.obs_path} is damaged ({error}); {self.ingest} makes it again") from error


@contextlib.contextmanager
def open_census_cells(store: Store, plan: ChunkPlan, census: CensusLocator) -> Iterator[CensusCells]:
    """Opens the Census, and the cells and genes that the subset selected from it.

    Raises:
        FileNotFoundError: A file of the subset is not there.
        ArrowInvalid: A file of the subset is damaged.
        CxgError: The Census cannot be opened.
    """
    header = plan.header
    var_path = subset_var_path(header.subset.name, header.subset.fingerprint)
    # var is a few megabytes: in memory it needs no room on a disk that may be full.
    genes = pa.ipc.open_file(pa.BufferReader(store.get(var_path))).read_all()
    source = feather_source(store, header.obs_path)
    categories = categories_of(source, header.subset.selection.chunk_columns)
    with (
        FeatherFile(source, columns=("soma_joinid",)) as cells,
        census.open() as opened,
    ):
        joinids, ingest = genes["soma_joinid"].to_numpy(), store.follow_up("ingest", header.subset.name)
        yield CensusCells(opened, census, cells, joinids, padded_genes(genes), categories, ingest)


def _gene_names(var: "pd.DataFrame", encoding_version: int) -> list[str]:
    """var_names of a chunk of that format."""
    if encoding_version < FIRST_NAMED or NAMES not in var:
        return [str(row) for row in range(len(var))]
    return var[NAMES].tolist()


def _in_columns(matrix: "csr_matrix", columns: np.ndarray, n_vars: int) -> "csr_matrix":
    """A matrix with each of its columns at another place, among `n_vars`; columns within a row stay sorted."""
    from scipy.sparse import csr_matrix

    indices = columns.astype(np.int32)[matrix.indices]
    moved = csr_matrix((matrix.data, indices, matrix.indptr), shape=(len(matrix.indptr) - 1, n_vars))
    moved.sort_indices()
    return moved
