"""Chunks with several layers: each is what `get_anndata(X_layers=…)` returns, in every order and format."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import cellxgene_census
import h5py
import numpy as np
import pytest
import tiledbsoma as soma

from cxg_assets.ingest.chunks.stored_chunk import fetch_chunk, read_report
from cxg_assets.ingest.dataset.manifest import manifest_bytes, read_manifest
from cxg_assets.ingest.dataset.publish import publish
from cxg_assets.ingest.errors import BadInput
from cxg_assets.ingest.plan import ordering
from cxg_assets.ingest.plan.passes import cutting
from cxg_assets.ingest.pools.pieces import remove_pieces
from cxg_assets.ingest.sampling import Order, Split
from cxg_assets.ingest.spec import SubsetSpec
from cxg_assets.ingest.verify.dataset import verify
from cxg_assets.ingest.x_layers import placed
from cxg_assets_tests.conftest import Ingest
from cxg_assets_tests.ingested import Ingested

# tiledbsoma 2.3.0 hands AnnData an integer obs index, of which AnnData warns at every get_anndata.
pytestmark = pytest.mark.filterwarnings("ignore:Transforming to str index")

get_anndata: Any = cellxgene_census.get_anndata

WAYS: dict[str, dict[str, Any]] = {
    "h5ad": {"further_layers": {"normalized": "normalized"}, "compression": "lzf"},
    "counts beside normalized": {"layer": "normalized", "further_layers": {"counts": "raw"}, "order": "shuffled"},
    "two passes": {"further_layers": {"a b": "normalized"}, "order": "fully_shuffled"},
    "zarr": {"further_layers": {"normalized": "normalized"}, "order": "shuffled", "format": "zarr"},
}


@pytest.fixture(scope="module", params=WAYS)
def made(
    ingest: Ingest,
    spec: Callable[..., SubsetSpec],
    tmp_path_factory: pytest.TempPathFactory,
    request: pytest.FixtureRequest,
) -> Ingested:
    """Some 150 cells in files of 60, in pools of about two of them, with two layers."""
    way = dict(WAYS[request.param])
    order = Order(kind=way.pop("order", "census"), seed=1)
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(ordering, "POOL_NNZ", 4 * 2 * 60 * 2_000)
        patched.setattr(cutting, "PIECE_NNZ", 1)
        wanted = spec(max_obs=150, chunk_size=60, order=order, split=Split(shares={"a": 0.5, "b": 0.5}), **way)
        made = ingest(wanted, tmp_path_factory.mktemp("layers").as_uri(), n_workers=2)
    assert not made.failures
    if made.job.pieces is not None:
        remove_pieces(made.store, made.job.pieces)
    return made


def same(one: Any, other: Any) -> bool:
    return all(np.array_equal(getattr(one, part), getattr(other, part)) for part in ("indptr", "indices", "data"))


def test_every_layer_is_what_the_census_returns(made: Ingested, census: soma.Collection) -> None:
    spec = made.spec
    for chunk, report in zip(made.plan.chunks, made.reports, strict=True):
        adata: Any = fetch_chunk(made.store, made.plan.header, chunk).read()
        joinids = adata.obs["soma_joinid"].to_numpy()
        expected = get_anndata(
            census,
            spec.organism,
            X_name=spec.layer,
            X_layers=list(spec.further_layers.values()),
            obs_coords=joinids,
            var_coords=adata.var["soma_joinid"].to_numpy(),
        )
        rows = np.searchsorted(np.sort(joinids), joinids)
        assert same(adata.X, expected.X[rows])
        assert adata.layers.keys() == spec.further_layers.keys()
        for name, layer in spec.further_layers.items():
            assert same(adata.layers[name], expected.layers[layer][rows])
            assert report.layer_nnz == {name: expected.layers[layer].nnz}
            assert adata.uns["cxg_assets"]["further_layers"] == f"{layer} in layers/{name}"
        assert report.nnz == expected.X.nnz


def test_the_layers_are_told_of_what_is_stored_and_in_the_manifest(made: Ingested) -> None:
    found = [read_report(made.store, made.plan.header, chunk) for chunk in made.plan.chunks]

    assert [(one.nnz, one.layer_nnz, one.sha256) for one in found] == [
        (one.nnz, one.layer_nnz, one.sha256) for one in made.reports
    ]
    assert [one.layer_nnz for one in read_manifest(manifest_bytes(made.reports))] == [one.layer_nnz for one in found]


def test_verify_compares_every_layer_with_the_census(made: Ingested) -> None:
    dataset = publish(made.store, made.plan, made.reports, made.census)

    assert verify(made.store, dataset, made.census) == []


def test_a_changed_value_of_a_layer_is_found(ingest: Ingest, spec: Callable[..., SubsetSpec], store_url: str) -> None:
    made = ingest(spec(max_obs=30, further_layers={"n": "normalized"}, compression="none"), store_url)
    [chunk] = made.plan.chunks
    with h5py.File(made.file(chunk), "r+") as opened:
        file: Any = opened
        file["layers/n/data"][5] += 1
    [wrong] = [read_report(made.store, made.plan.header, chunk)]
    dataset = publish(made.store, made.plan, [wrong], made.census)

    [finding] = verify(made.store, dataset, made.census)

    assert "layers/n differs from the Census in its data" in finding.what


def test_the_layers_decide_the_fingerprint_and_one_in_x_alone_is_the_layer_of_before(
    ingest: Ingest, spec: Callable[..., SubsetSpec], store_url: str
) -> None:
    layer, further = placed({"raw": "X"})
    assert (layer, further) == ("raw", {})
    specs = [spec(max_obs=20, name=f"l{n}", **more) for n, more in enumerate(({}, *map(beside, ("n", "m"))))]
    prints = {ingest(replace(one, name="same"), f"{store_url}/{one.name}").plan.header.plan_id for one in specs}
    assert len(prints) == 3


def beside(name: str) -> dict[str, Any]:
    return {"further_layers": {name: "normalized"}}


@pytest.mark.parametrize(
    ("layers", "says"),
    [
        ({"scaled": "X"}, "layers: 'scaled' is unknown; choose among raw, normalized"),
        ({"raw": "layers/raw"}, "layers: none goes to X, and one has to; write it like "),
        ({"raw": "X", "normalized": "X"}, "layers: raw and normalized go to X, and one has to; "),
        ({"raw": "X", "normalized": "normalized"}, "layers.normalized: 'normalized' is no place for a layer; "),
        ({"raw": "X", "normalized": "layers/a/b"}, "layers.normalized: 'layers/a/b' is no place for a layer; "),
        ({"raw": "layers/a", "normalized": "layers/a"}, "layers.normalized: 'layers/a' is the place of raw as well; "),
    ],
)
def test_layers_that_cannot_be_are_refused(layers: dict[str, str], says: str) -> None:
    with pytest.raises(BadInput) as refused:
        placed(layers)
    assert str(refused.value).startswith(says)
