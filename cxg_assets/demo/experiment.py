"""Writes one experiment of the demo census: obs, var, X, the presence matrix, and scenes where its cells are spots."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import tiledbsoma as soma

from cxg_assets.demo.counts import CELL_STATISTICS, CountBlock, draw_counts
from cxg_assets.demo.layout import TILE_EXTENT, VAR_SCHEMA, obs_storage, var_storage, x_storage
from cxg_assets.demo.obs import ObsTable, Tally, make_vocabulary
from cxg_assets.demo.plan import OrganismPlan
from cxg_assets.demo.population import describe_cells, measured_genes
from cxg_assets.demo.reference import Reference, load_reference
from cxg_assets.demo.scenes import write_scenes
from cxg_assets.demo.tables import open_for_writing, write_table

# A fragment is one write, and memory grows with it: a build peaks at about 2 GB with the first size, 3 GB with the
# second. Readers look at every fragment, so a large census gets fewer and larger ones.
_ROWS_PER_FRAGMENT = 4 * TILE_EXTENT
_ROWS_PER_FRAGMENT_OF_LARGE = 8 * TILE_EXTENT
_LARGE_N_OBS = 1 << 19
_OBS_ROWS_PER_WRITE = 1 << 17

# Blocks are made in global order already, so TileDB need not sort them.
_GLOBAL_ORDER = {"tiledb": {"write": {"sort_coords": False}}}


@dataclass(frozen=True, kw_only=True, eq=False)
class WrittenOrganism:
    """What `census_info` says about an organism."""

    plan: OrganismPlan
    tally: Tally


def write_organism(
    collection: soma.Collection,
    plan: OrganismPlan,
    *,
    n_presence_rows: int,
    text_as_dictionary: bool,
    threads: ThreadPoolExecutor,
    on_cells: Callable[[int], None],
) -> WrittenOrganism:
    """Write an organism as a new experiment, in memory that does not grow with the X it writes.

    Args:
        collection: `census_data` or `census_spatial_sequencing`, open for writing.
        plan: The organism's datasets.
        n_presence_rows: Rows of the presence matrix: one for each dataset of the census, of any organism.
        text_as_dictionary: See `build_census`.
        threads: Runs the parts of a block.
        on_cells: Called with the number of cells of each block, once it is written.
    """
    reference = load_reference(plan.organism.name)
    tally = Tally(make_vocabulary(plan, list(reference.cells_by_type)))
    experiment = collection.add_new_collection(plan.organism.name, soma.Experiment)
    measurements = experiment.add_new_collection("ms")
    rna = measurements.add_new_collection("RNA", soma.Measurement)
    x = rna.add_new_collection("X")

    statistics, nnz_by_dataset = _write_x(x, plan, reference, tally, threads, on_cells)
    # As in the real builder, a dataset measures the genes that it has counts for.
    is_present = nnz_by_dataset > 0
    _write_obs(experiment, plan, reference, tally, statistics, is_present.sum(axis=1), text_as_dictionary)
    _write_var(rna, plan, reference, nnz_by_dataset)
    _write_presence(rna, plan, is_present, n_presence_rows)
    if plan.organism.is_spatial:
        write_scenes(experiment, plan)
    for each in (x, rna, measurements, experiment):
        each.close()
    return WrittenOrganism(plan=plan, tally=tally)


def rows_per_fragment(n_obs: int) -> int:
    """Return how many cells one fragment of X holds, so that there are at least two fragments.

    Fragments of more than one tile row end where a row of tiles ends, so that no tile is in two of them.
    """
    half = -(-n_obs // 2)
    if half > TILE_EXTENT:
        half = -(-half // TILE_EXTENT) * TILE_EXTENT
    return min(half, _ROWS_PER_FRAGMENT if n_obs <= _LARGE_N_OBS else _ROWS_PER_FRAGMENT_OF_LARGE)


def _write_x(
    x: soma.Collection,
    plan: OrganismPlan,
    reference: Reference,
    tally: Tally,
    threads: ThreadPoolExecutor,
    on_cells: Callable[[int], None],
) -> tuple[npt.NDArray[np.void], npt.NDArray[np.int64]]:
    """Write the layers and fill the tally. Return the statistics of all cells and nnz by dataset and gene.

    The statistics are what memory grows with: 20 bytes a cell, 200 MB for 10 million.
    """
    shape = (plan.n_obs, reference.n_vars)
    layers: list[soma.SparseNDArray] = [
        open_for_writing(
            x.add_new_sparse_ndarray(name, type=pa.float32(), shape=shape, platform_config=x_storage(name))
        )
        for name in (("raw",) if plan.organism.is_spatial else ("raw", "normalized"))
    ]
    statistics = np.empty(plan.n_obs, CELL_STATISTICS)
    nnz_by_dataset = np.zeros((len(plan.datasets), reference.n_vars), np.int64)
    is_measured = measured_genes(plan, reference)
    step = rows_per_fragment(plan.n_obs)
    for start in range(0, plan.n_obs, step):
        rows = slice(start, min(start + step, plan.n_obs))
        cells = describe_cells(plan, reference, rows.start, rows.stop)
        tally.add(cells)
        block = draw_counts(cells, start=start, reference=reference, is_measured=is_measured, threads=threads)
        nnz_by_dataset += block.nnz_by_dataset
        statistics[rows] = block.statistics
        # TileDB writes one array on about a core and a half: two at once fill two cores.
        list(threads.map(_write_layer, layers, (block, block), (block.raw, block.normalized)))  # of spots raw alone
        on_cells(rows.stop - rows.start)
    for layer in layers:
        layer.close()
    return statistics, nnz_by_dataset


def _write_layer(layer: soma.SparseNDArray, block: CountBlock, data: npt.NDArray[np.float32]) -> None:
    """Write one layer of a block, as one fragment."""
    coordinates = pa.table({"soma_dim_0": block.cell, "soma_dim_1": block.gene, "soma_data": data})
    layer.write(coordinates, platform_config=_GLOBAL_ORDER)


def _write_obs(
    experiment: soma.Experiment,
    plan: OrganismPlan,
    reference: Reference,
    tally: Tally,
    statistics: npt.NDArray[np.void],
    n_measured_vars: npt.NDArray[np.int64],
    text_as_dictionary: bool,
) -> None:
    table = ObsTable(plan, tally, text_as_dictionary=text_as_dictionary)
    created = experiment.add_new_dataframe(
        "obs",
        schema=table.schema,
        index_column_names=["soma_joinid"],
        domain=[(0, plan.n_obs - 1)],
        platform_config=obs_storage(text_as_dictionary=text_as_dictionary, is_spatial=plan.organism.is_spatial),
    )
    with open_for_writing(created) as obs:
        for start in range(0, plan.n_obs, _OBS_ROWS_PER_WRITE):
            rows = slice(start, min(start + _OBS_ROWS_PER_WRITE, plan.n_obs))
            cells = describe_cells(plan, reference, rows.start, rows.stop)
            obs.write(table.rows(start, cells, statistics[rows], n_measured_vars))


def _write_var(
    rna: soma.Measurement, plan: OrganismPlan, reference: Reference, nnz_by_dataset: npt.NDArray[np.int64]
) -> None:
    n_obs_by_dataset = np.array([dataset.n_obs for dataset in plan.datasets], np.int64)
    columns = {
        "soma_joinid": pa.array(np.arange(reference.n_vars)),
        **{name: reference.genes[name] for name in reference.genes.column_names},
        "nnz": pa.array(nnz_by_dataset.sum(axis=0)),
        "n_measured_obs": pa.array(n_obs_by_dataset @ (nnz_by_dataset > 0)),
    }
    write_table(rna, "var", pa.table(columns).select(VAR_SCHEMA.names).cast(VAR_SCHEMA), storage=var_storage())


def _write_presence(
    rna: soma.Measurement, plan: OrganismPlan, is_present: npt.NDArray[np.bool_], n_presence_rows: int
) -> None:
    dataset, gene = np.nonzero(is_present)
    joinid = np.array([dataset.soma_joinid for dataset in plan.datasets])
    created = rna.add_new_sparse_ndarray(
        "feature_dataset_presence_matrix", type=pa.bool_(), shape=(n_presence_rows, is_present.shape[1])
    )
    with open_for_writing(created) as presence:
        presence.write(
            pa.table({"soma_dim_0": joinid[dataset], "soma_dim_1": gene, "soma_data": np.ones(len(gene), bool)})
        )
