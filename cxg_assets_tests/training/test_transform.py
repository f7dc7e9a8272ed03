"""Genes, sums and logarithms are those of numpy on the whole matrix, and weights draw what they say."""

from typing import Any

import numpy as np
import pandas as pd
import pytest

from cxg_assets.ingest.errors import BadInput
from cxg_assets.training import batches
from cxg_assets.training.order.draws import drawn_counts
from cxg_assets_tests.training.conftest import N_OBS, Cells, joinids


def transformed(adata: Any, genes: list[str] | None, target: float | None, log1p: bool) -> np.ndarray:
    sums = np.asarray(adata.X.sum(axis=1, dtype=np.float64))
    x = adata.X if genes is None else adata.X[:, pd.Index(adata.var.feature_id).get_indexer(genes)]
    x = x.toarray().astype(np.float64) * (1 if target is None else target / sums)
    return np.log1p(x) if log1p else x


@pytest.mark.parametrize("reverse", [False, True], ids=["in the order of var", "in another order"])
@pytest.mark.parametrize(("target", "log1p"), [(None, False), (1e4, False), (None, True), (1e4, True)])
def test_x_is_what_numpy_computes(url: str, cells: Cells, target: float | None, log1p: bool, reverse: bool) -> None:
    counts = np.asarray(cells.adata.X.sum(axis=0)).ravel()
    genes = cells.adata.var.feature_id.to_numpy()[np.sort(np.argsort(counts)[-300:])].tolist()
    genes = genes[::-1] if reverse else genes
    loader = batches(url, batch_size=128, genes=genes, normalize=target, log1p=log1p)
    assert loader.genes == tuple(genes)
    assert loader.n_vars == 300
    for batch in loader:
        x = batch.x.to_scipy()
        assert x.has_sorted_indices
        assert x.dtype == np.float32
        expected = transformed(cells.of(batch.joinids), genes, target, log1p)
        np.testing.assert_allclose(x.toarray(), expected, rtol=1e-6, atol=0)
        np.testing.assert_array_equal(batch.x.dense(), x.toarray())


def test_all_genes_are_transformed_as_some_are(url: str, cells: Cells) -> None:
    batch = next(iter(batches(url, batch_size=20, buffer_size=20, normalize=1e4, log1p=True)))
    expected = transformed(cells.of(batch.joinids), None, 1e4, True)
    np.testing.assert_allclose(batch.x.dense(), expected, rtol=1e-6, atol=0)


def test_weights_draw_as_often_as_they_say(url: str, cells: Cells) -> None:
    label = cells.adata.obs.cell_type.value_counts().index[0]
    share = float((cells.adata.obs.cell_type == label).mean())
    loader = batches(url, batch_size=50, weights={"cell_type": {label: 3.0}}, epochs=10)
    drawn = list(loader)
    code = loader.labels["cell_type"].index(label)
    assert sum(batch.n_obs for batch in drawn) == 10 * N_OBS
    found = np.mean(np.concatenate([batch.labels["cell_type"] for batch in drawn]) == code)
    assert found == pytest.approx(3 * share / (3 * share + 1 - share), abs=0.03)
    for batch in drawn[:3]:
        assert (batch.x.to_scipy() != cells.of(batch.joinids).X).nnz == 0


def test_balanced_labels_come_equally_often(url: str, cells: Cells) -> None:
    drawn = list(batches(url, weights={"donor_id": "balanced"}, labels=["donor_id"], epochs=20, batch_size=300))
    codes = np.concatenate([batch.labels["donor_id"] for batch in drawn])
    counts = np.bincount(codes)
    counts = counts[counts > 0]
    assert len(counts) == cells.adata.obs.donor_id.nunique()
    assert counts.min() > 0.7 * counts.mean()
    assert counts.max() < 1.3 * counts.mean()


def test_a_column_of_weights_leaves_out_what_weighs_nothing(url: str, cells: Cells) -> None:
    primary = cells.adata.obs.soma_joinid[cells.adata.obs.is_primary_data]
    first, again = (joinids(batches(url, weights="is_primary_data", seed=4)) for _ in range(2))
    assert first == again
    assert len(first) == N_OBS
    assert set(first) < set(primary)
    assert joinids(batches(url, weights="is_primary_data", seed=5)) != first


def test_draws_with_replacement_follow_the_weights() -> None:
    weights = np.array([0, 1, 3, 0, 6, 0], np.float32).repeat(1_000)
    counts = drawn_counts(weights, seed=1, epoch=2)
    assert counts.sum() == len(weights)
    sums = counts.reshape(6, 1_000).sum(axis=1)
    np.testing.assert_allclose(sums / 6_000, [0, 0.1, 0.3, 0, 0.6, 0], atol=0.02)
    assert (drawn_counts(weights, seed=1, epoch=3) != counts).any()


@pytest.mark.parametrize(
    ("weights", "message"),
    [
        ("nothing", "weights: there is no column 'nothing'; there are soma_joinid, "),
        ("cell_type", "weights: cell_type holds no numbers; give the weights of its labels"),
        ({"cell_type": {"Q cell": 1.0}}, "weights: cell_type has no Q cell; it has "),
        ({"cell_type": {}, "donor_id": {}}, "weights: 2 columns are named; name one"),
        ({"cell_type": "even"}, "weights: 'even' is unknown; give the weights of labels, or balanced"),
        ({"cell_type": "balanced", "donor_id": "balanced"}, "weights: 2 columns"),
    ],
)
def test_weights_that_cannot_be_are_refused(url: str, weights: Any, message: str) -> None:
    with pytest.raises(BadInput, match=message):
        batches(url, weights=weights)


def test_a_weight_below_nothing_is_refused(url: str, cells: Cells) -> None:
    label = cells.adata.obs.cell_type.iloc[0]
    with pytest.raises(BadInput, match="weights: cell_type has values that are no numbers from 0 on"):
        batches(url, weights={"cell_type": {label: -1.0}})
