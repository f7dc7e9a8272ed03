"""What is told before a subset is made is within 30 % of what making it takes."""

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pyarrow as pa
import pytest

from cxg_assets.ingest.census.tiles import n_fragments
from cxg_assets.ingest.chunks.report import Costs
from cxg_assets.ingest.dataset.estimate import estimate, estimate_planned
from cxg_assets.ingest.dataset.estimating.reading import GeneShares
from cxg_assets.ingest.gene_selection import GeneSelection
from cxg_assets.ingest.sampling import Order, Split
from cxg_assets.ingest.selection.index import load_index
from cxg_assets.ingest.spec import SubsetSpec
from cxg_assets.ingest.storage.store import Store
from cxg_assets_tests.conftest import Ingest

SUBSETS = {
    "in order": {},
    "small files": {"chunk_size": 50, "max_obs": 600},
    "one tissue": {"value_filter": "tissue_general == 'blood'"},
    "scattered cells": {"value_filter": "cell_type == 'platelet'"},
    "shuffled": {"order": Order(kind="shuffled")},
    "a split": {"split": Split(by=("donor_id",), shares={"train": 0.7, "test": 0.3})},
    "four genes": {"genes": GeneSelection(value_filter="feature_name in ['CD3D', 'MS4A1', 'LYZ', 'NKG7']")},
    "not packed": {"compression": "none", "max_obs": 1_000},
    "zarr": {"format": "zarr", "compression": "lz4", "max_obs": 1_000},
}


@pytest.mark.parametrize("name", SUBSETS)
def test_bytes_and_requests_are_as_estimated(
    ingest: Ingest, spec: Callable[..., SubsetSpec], store_url: str, index_store: Store, name: str
) -> None:
    wanted = spec(**{"value_filter": None, "genes": None, "chunk_size": 500} | SUBSETS[name])
    made = ingest(wanted, store_url)
    index = load_index(index_store, made.release.version, wanted.experiment)

    told = estimate(wanted, index, index_store, made.census)

    took = Costs.of(made.reports)
    assert told.n_files == len(made.reports)
    assert told.n_bytes == pytest.approx(sum(report.n_bytes for report in made.reports), rel=0.3)
    assert told.bytes_read == pytest.approx(took.bytes_read, rel=0.3)
    assert told.read_requests == pytest.approx(took.read_requests, rel=0.3)
    assert told.write_requests == pytest.approx(took.write_requests, rel=0.05)
    assert told.cpu_seconds > 0
    planned = estimate_planned(made.plan, wanted, index_store, made.store, made.census)
    assert replace(planned.all, cpu_seconds=0.0) == Costs(
        bytes_read=told.bytes_read, read_requests=told.read_requests, write_requests=told.write_requests
    )


def test_of_fully_shuffled_cells_both_passes_are_told(
    ingest: Ingest, spec: Callable[..., SubsetSpec], store_url: str, index_store: Store
) -> None:
    wanted = spec(value_filter=None, genes=None, chunk_size=500, order=Order(kind="fully_shuffled"))
    made = ingest(wanted, store_url)

    told = estimate_planned(made.plan, wanted, index_store, made.store, made.census)

    took = Costs.of(made.reports)
    assert told.chunks.bytes_read == pytest.approx(took.bytes_read, rel=0.3)
    assert told.chunks.read_requests == took.read_requests
    assert told.chunks.write_requests == took.write_requests
    assert told.first_pass.bytes_read > 0


def test_shares_of_genes_go_by_their_non_zeros_and_by_tiles() -> None:
    n_vars = 4 * 2_048
    var = pa.table({"soma_joinid": np.arange(n_vars), "nnz": np.repeat([4, 3, 2, 1], 2_048)})
    of_second_tile = var.slice(2_048, 1_024)
    ends = pa.concat_tables([var.slice(0, 1), var.slice(n_vars - 1, 1)])

    shares = GeneShares.of(of_second_tile, var)
    assert (shares.kept, shares.decoded, shares.first, shares.last) == pytest.approx((0.15, 0.3, 0.4, 0.7))
    # Two columns of tiles of four are asked for one by one, and what lies between is read along.
    shares = GeneShares.of(ends, var)
    assert (shares.decoded, shares.first, shares.last) == pytest.approx((0.5, 0.0, 1.0))
    assert GeneShares.of(var, var).kept == pytest.approx(1.0)


def test_fragments_are_counted_in_a_folder_alone(census_uri: str) -> None:
    x = f"{census_uri}/census_data/homo_sapiens/ms/RNA/X/raw"

    assert (n_fragments(x), n_fragments(f"file://{x}"), n_fragments("s3://bucket/x")) == (2, 2, 1)
