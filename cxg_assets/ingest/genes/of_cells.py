"""The genes that the cells of a subset decide: measured in all of their datasets, and the most variable of those."""

import os
from collections.abc import Callable, Iterator, Mapping, Sequence

import numpy as np
import pyarrow as pa

from cxg_assets.ingest.census.census import CensusLocator, layer_uri
from cxg_assets.ingest.errors import BadInput, shown_names
from cxg_assets.ingest.gene_selection import GeneSelection
from cxg_assets.ingest.genes.highly_variable import most_variable, require_loess
from cxg_assets.ingest.genes.measured import measured_genes
from cxg_assets.ingest.quantities import counted
from cxg_assets.ingest.x.reader import BUFFER_BYTES

DATASET = "dataset_id"

Cells = Callable[[Sequence[str]], Iterator[pa.RecordBatch]]
"""Gives the cells of a subset with those of these columns that obs has, batch by batch."""


def require_obs_of(selection: GeneSelection | None, columns: Sequence[str]) -> None:
    """Makes sure that the genes can be chosen by the cells.

    Args:
        selection: Which genes are kept.
        columns: Those of obs.

    Raises:
        BadInput: obs has not a column that it takes, or what computes it is not installed.
    """
    if selection is None:
        return
    if selection.measured_in is not None and DATASET not in columns:
        raise BadInput(f"genes.measured_in: obs of this Census has no {DATASET}; it has {', '.join(columns)}")
    if selection.highly_variable is not None:
        if unknown := [column for column in selection.highly_variable.batch if column not in columns]:
            where = "genes.highly_variable.batch"
            raise BadInput(f"{where}: obs has no {shown_names(unknown)}; it has {', '.join(columns)}")
        require_loess()


def genes_of_cells(
    genes: pa.Table,
    selection: GeneSelection | None,
    experiment: str,
    cells: Cells,
    census: CensusLocator | None,
    layers: Mapping[str, str],
) -> pa.Table:
    """Those of some genes that the cells of a subset decide for; all where they decide nothing.

    Args:
        genes: Rows of var, as `select_genes` gives them.
        selection: Which genes are kept.
        experiment: By the name that `spec.experiment_name` gives it.
        cells: The subset's.
        census: Where the Census is; may be None where cells decide nothing.
        layers: URIs of the X layers of the experiment, by name.

    Raises:
        BadInput: No gene is left, or the most variable ones cannot be found.
        CxgError: The Census cannot be read.
    """
    if selection is None or not selection.needs_cells:
        return genes
    assert census is not None  # whoever has no Census asks for no such genes
    if selection.measured_in is not None:
        genes = _measured(census, experiment, genes, datasets_of(cells))
    if selection.highly_variable is not None:
        obs = _obs_of(cells, selection.highly_variable.batch)
        uri = layer_uri(census.uri, experiment, "raw", layers)
        with census.open_x(uri, n_threads=os.cpu_count() or 1, buffer_bytes=BUFFER_BYTES) as x:
            genes = most_variable(x, obs, genes, selection.highly_variable)
    return genes


def _measured(census: CensusLocator, experiment: str, genes: pa.Table, dataset_ids: Sequence[str]) -> pa.Table:
    with census.open() as opened:
        is_measured = measured_genes(opened, experiment, dataset_ids, genes["soma_joinid"].to_numpy()).all(axis=0)
    if not is_measured.any():
        raise BadInput(
            f"genes.measured_in: none of {counted(genes.num_rows, 'gene')} is measured in all "
            f"{counted(len(dataset_ids), 'dataset')} of the cells; leave out datasets that measure few"
        )
    return genes.filter(pa.array(is_measured))


def datasets_of(cells: Cells) -> list[str]:
    """dataset_ids of some cells, each once, sorted."""
    found = {dataset_id for batch in cells([DATASET]) for dataset_id in batch[DATASET].unique().to_pylist()}
    return sorted(found - {None})


def _obs_of(cells: Cells, batch: Sequence[str]) -> pa.Table:
    """soma_joinid, nnz where obs has it, and the columns of the batches, none of which may be missing in a cell."""
    obs = pa.Table.from_batches(cells(["soma_joinid", "nnz", *batch]))
    is_missing = np.zeros(obs.num_rows, np.bool_)
    for column in batch:
        is_missing |= obs[column].is_null().to_numpy()
    if is_missing.any():
        raise BadInput(
            f"genes.highly_variable.batch: {counted(int(is_missing.sum()), 'cell')} without a {' or '.join(batch)}; "
            f"leave them out by value_filter ({batch[0]} != None)"
        )
    return obs
