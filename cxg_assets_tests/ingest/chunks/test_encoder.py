"""Any rows of X and any obs come back from an encoded chunk as they went in."""

import io
from itertools import pairwise
from typing import Any

import anndata
import numpy as np
import pyarrow as pa
import pytest
import scipy.sparse as sp
from hypothesis import given, settings
from hypothesis import strategies as st

from cxg_assets.ingest.chunks.encoder import ChunkEncoder
from cxg_assets.ingest.chunks.h5ad_template import make_template
from cxg_assets.ingest.chunks.hdf5_arrays import BLOCK
from cxg_assets.ingest.errors import CxgError
from cxg_assets.ingest.spec import COMPRESSIONS
from cxg_assets.ingest.x.csr import CsrRows

OBS_COLUMNS = ("tissue", "stage", "donor_id", "is_primary_data", "raw_sum", "nnz")


def make_obs(n_obs: int, *, first: int = 0, missing: bool = False) -> pa.Table:
    rng = np.random.default_rng(n_obs)
    mask = (np.arange(n_obs) % 3 == 1) if missing else None
    tissue = pa.DictionaryArray.from_arrays(
        pa.array(rng.integers(0, 3, n_obs), pa.int8(), mask=mask),
        pa.array(["blood", "œsophage 眼", "", "never used"], pa.large_string()),
    )
    stage = pa.DictionaryArray.from_arrays(
        pa.array(rng.integers(0, 2, n_obs), pa.int16()), pa.array(["old", "young"]), ordered=True
    )
    return pa.table(
        {
            "soma_joinid": pa.array(np.arange(first, first + n_obs)),
            "tissue": tissue,
            "stage": stage,
            "donor_id": pa.array([f"donor ü {row % 5}" for row in range(n_obs)], pa.large_string()),
            "is_primary_data": pa.array(rng.random(n_obs) < 0.5),
            "raw_sum": pa.array(rng.random(n_obs)),
            "nnz": pa.array(rng.integers(0, 9, n_obs)),
        }
    )


def make_var(n_vars: int) -> pa.Table:
    ids = pa.array([f"ENSG{gene:011d}" for gene in range(n_vars)], pa.large_string())
    return pa.table({"soma_joinid": pa.array(range(n_vars), pa.int64()), "feature_id": ids})


def encode(x: Any, obs: pa.Table, compression: str, cuts: list[int]) -> bytes:
    """Encodes a chunk, its rows appended in pieces."""
    template = make_template(
        make_var(x.shape[1]),
        obs,
        x.dtype,
        obs_columns=OBS_COLUMNS,
        provenance={"layer": "raw"},
        compression=compression,
        chunk_size=max(x.shape[0], 1),
    )
    rows = CsrRows(x.indptr.astype(np.int64), x.indices.astype(np.int32), x.data)
    encoder = ChunkEncoder(template)
    for start, stop in pairwise([0, *cuts, x.shape[0]]):
        encoder.append(rows.rows(start, stop))
    return encoder.finish(obs, "00000", "f1")


def decode(image: bytes) -> Any:
    file: Any = io.BytesIO(image)  # anndata reads file objects, but only says so of paths
    return anndata.read_h5ad(file)


def assert_holds(adata: Any, x: Any, obs: pa.Table) -> None:
    assert isinstance(adata.X, sp.csr_matrix)
    assert adata.X.dtype == x.dtype
    assert adata.X.shape == x.shape
    for part in ("data", "indices", "indptr"):
        np.testing.assert_array_equal(getattr(adata.X, part), getattr(x, part))
    assert adata.obs_names.tolist() == [str(joinid) for joinid in obs["soma_joinid"].to_pylist()]
    assert adata.obs.columns.tolist() == ["soma_joinid", *OBS_COLUMNS]
    for name in OBS_COLUMNS:
        assert adata.obs[name].astype(object).where(adata.obs[name].notna(), None).tolist() == obs[name].to_pylist()


@settings(max_examples=40, deadline=None, derandomize=True)
@given(
    seed=st.integers(0, 2**32),
    n_obs=st.integers(1, 40),
    n_vars=st.integers(1, 60),
    density=st.sampled_from([0.0, 0.02, 0.4, 1.0]),
    n_empty_at_edges=st.integers(0, 3),
    dtype=st.sampled_from(["float32", "float64", "int32"]),
    compression=st.sampled_from(COMPRESSIONS),
    missing=st.booleans(),
    parts=st.lists(st.floats(0, 1), max_size=4),
)
def test_a_chunk_comes_back_as_it_was(
    seed: int,
    n_obs: int,
    n_vars: int,
    density: float,
    n_empty_at_edges: int,
    dtype: str,
    compression: str,
    missing: bool,
    parts: list[float],
) -> None:
    rng = np.random.default_rng(seed)
    dense = rng.integers(1, 1000, (n_obs, n_vars)) * (rng.random((n_obs, n_vars)) < density)
    dense[:n_empty_at_edges] = 0
    dense[n_obs - n_empty_at_edges :] = 0
    x = sp.csr_matrix(dense.astype(dtype))
    obs = make_obs(n_obs, first=int(rng.integers(0, 2**40)), missing=missing)

    adata = decode(encode(x, obs, compression, sorted(int(part * n_obs) for part in parts)))

    assert_holds(adata, x, obs)
    assert adata.var.feature_id.tolist() == make_var(n_vars)["feature_id"].to_pylist()
    assert dict(adata.uns["cxg_assets"]) == {"layer": "raw", "chunk": "00000", "fingerprint": "f1"}


@pytest.mark.parametrize("compression", COMPRESSIONS)
@pytest.mark.parametrize("nnz", [BLOCK - 1, 2 * BLOCK, 4 * BLOCK + 7])
def test_equal_content_gives_equal_bytes_across_block_edges(compression: str, nnz: int) -> None:
    n_obs, n_vars = 200, 4_000
    rng = np.random.default_rng(nnz)
    places = np.sort(rng.choice(n_obs * n_vars, nnz, replace=False))
    values = rng.poisson(2, nnz).astype(np.float32)
    x = sp.csr_matrix((values, np.unravel_index(places, (n_obs, n_vars))), shape=(n_obs, n_vars))
    obs = make_obs(n_obs)

    image = encode(x, obs, compression, [])

    assert_holds(decode(image), x, obs)
    for cuts in ([50, 51, 120], list(range(0, n_obs, 7))):
        assert encode(x, obs, compression, cuts) == image


def test_categories_are_all_kept_in_their_order() -> None:
    adata = decode(encode(sp.csr_matrix((2, 3), dtype=np.float32), make_obs(2), "gzip", []))

    assert adata.obs.tissue.cat.categories.tolist() == ["blood", "œsophage 眼", "", "never used"]
    assert not adata.obs.tissue.cat.ordered
    assert adata.obs.stage.cat.categories.tolist() == ["old", "young"]
    assert adata.obs.stage.cat.ordered


def test_obs_cut_from_a_longer_table_keeps_its_rows() -> None:
    whole = make_obs(100, missing=True)
    some = whole.slice(41, 30)
    x = sp.csr_matrix((30, 3), dtype=np.float32)

    assert_holds(decode(encode(x, some, "gzip", [])), x, some)


def test_plain_text_with_missing_values_is_refused_with_the_column() -> None:
    obs = make_obs(3).set_column(3, "donor_id", pa.array(["a", None, None], pa.large_string()))

    with pytest.raises(CxgError, match=r"obs\.donor_id: 2 cells without a value; leave the column out"):
        encode(sp.csr_matrix((3, 3), dtype=np.float32), obs, "gzip", [])


def test_rows_that_do_not_match_the_cells_are_refused() -> None:
    x = sp.csr_matrix((3, 3), dtype=np.float32)

    with pytest.raises(CxgError, match="chunk 00000: 3 rows of X were read for 4 cells"):
        encode(x, make_obs(4), "gzip", [])
