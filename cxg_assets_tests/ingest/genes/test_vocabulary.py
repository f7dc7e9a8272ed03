"""A vocabulary gives the columns of X in its order; what the Census does not have is zero and named."""

import io
import random
from collections.abc import Callable
from typing import Any

import cellxgene_census
import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
import tiledbsoma as soma

from cxg_assets.ingest.dataset.load import load_dataset
from cxg_assets.ingest.dataset.publish import publish
from cxg_assets.ingest.errors import BadInput
from cxg_assets.ingest.gene_selection import GeneSelection
from cxg_assets.ingest.genes.select import select_genes
from cxg_assets.ingest.genes.vocabulary import padded_genes, padding_warnings
from cxg_assets.ingest.layout import card_path, measured_path
from cxg_assets.ingest.plan.making import store_plan
from cxg_assets.ingest.sampling import Order
from cxg_assets.ingest.spec import SubsetSpec
from cxg_assets.ingest.verify.dataset import verify
from cxg_assets_tests.conftest import BLOOD_NORMAL, Ingest
from cxg_assets_tests.ingest.genes.test_of_cells import presence_of

# tiledbsoma 2.3.0 hands AnnData an integer obs index, of which AnnData warns at every get_anndata.
pytestmark = pytest.mark.filterwarnings("ignore:Transforming to str index")

get_anndata: Any = cellxgene_census.get_anndata
get_var: Any = cellxgene_census.get_var

VAR = pa.table(
    {
        "soma_joinid": pa.array(range(5), pa.int64()),
        "feature_id": pa.array([f"ENSG{number}" for number in range(5)], pa.large_string()),
        "feature_name": pa.array(["A", "B", "B", "ENSG0", "D"], pa.large_string()),
        "feature_type": pa.array(["x", "y", "x", None, "y"]).dictionary_encode(),
        "is_known": pa.array([True, True, None, True, True]),
        "feature_length": pa.array([10, 20, 30, 40, 50], pa.int64()),
    }
)


def of(*genes: str, **more: Any) -> pa.Table:
    return select_genes(VAR, GeneSelection(vocabulary=genes, **more))


def test_genes_are_found_by_id_version_and_name_in_the_order_of_the_vocabulary() -> None:
    genes = of("D", "ENSG1.12", "ENSG3", "ENSG0")

    assert genes.equals(VAR.take([4, 1, 3, 0]))
    assert (padded_genes(genes), padding_warnings(genes)) == ([], [])


def test_an_absent_gene_is_a_row_of_zeros_with_its_name() -> None:
    genes = of("ENSG9.3", "ENSG2", "TP53", "A")

    assert genes.schema.equals(VAR.schema)
    expected = VAR.to_pandas().set_index("feature_id").reindex(["ENSG9", "ENSG2", "TP53", "ENSG0"])
    assert genes["feature_id"].to_pylist() == expected.index.tolist()
    assert genes["soma_joinid"].to_pylist() == expected.soma_joinid.fillna(-1).tolist()
    assert genes["feature_length"].to_pylist() == expected.feature_length.fillna(0).tolist()
    assert genes["feature_name"].to_pylist() == expected.feature_name.fillna("").tolist()
    assert genes["feature_type"].to_pylist() == [None, "x", None, "x"]
    assert genes["is_known"].to_pylist() == [False, None, False, True]
    assert padded_genes(genes) == ["ENSG9", "TP53"]
    [warning] = padding_warnings(genes)
    assert warning.endswith("2 of 4 genes are not in var of this Census and are columns of zeros: ENSG9, TP53")


@pytest.mark.parametrize(
    ("vocabulary", "more", "message"),
    [
        (("ENSG0", "B"), {}, "genes.vocabulary: 'B' is the name of ENSG1, ENSG2; write the feature_id that is meant"),
        (("A", "ENSG0.1"), {}, "genes.vocabulary: listed twice: A, ENSG0.1; list each gene once"),
        (("ENSG7.1", "A", "ENSG7.2"), {}, "genes.vocabulary: listed twice: ENSG7.1, ENSG7.2; list each gene once"),
        (("X", "Y"), {}, "genes.vocabulary: none of 2 genes is in var of this Census: X, Y; is it of this organism"),
        (("A", "X"), {"absent": "refuse"}, "genes.vocabulary: 1 of 2 genes are not in var of this Census: X; take them "
         r"out, or pad them \(genes.absent: pad\)"),
    ],
)  # fmt: skip
def test_a_vocabulary_that_is_not_clear_is_refused(vocabulary: tuple[str, ...], more: Any, message: str) -> None:
    with pytest.raises(BadInput, match=message):
        of(*vocabulary, **more)


def test_a_name_of_a_list_is_found_and_what_is_ambiguous_is_refused_with_its_candidates() -> None:
    kept = select_genes(VAR, GeneSelection(feature_ids=("D", "ENSG1.4", "A")))

    assert kept.equals(VAR.take([0, 1, 4]))
    with pytest.raises(BadInput, match=r"genes.feature_ids: 'B' is the name of ENSG1, ENSG2; write the feature_id"):
        select_genes(VAR, GeneSelection(feature_ids=("B",)))


def words_of(var: pd.DataFrame, seed: int, n_genes: int) -> tuple[list[str], list[str]]:
    """A random vocabulary, and its genes by feature_id: some by name, some with a version, some absent."""
    rng = random.Random(seed)
    is_unique = ~var.feature_name.duplicated(keep=False) & ~var.feature_name.isin(var.feature_id)
    words, ids = [], []
    for row in rng.sample(range(len(var)), n_genes):
        gene = var.iloc[row]
        by_name = is_unique.iloc[row] and rng.random() < 0.3
        words.append(gene.feature_name if by_name else f"{gene.feature_id}{rng.choice(['', '.7'])}")
        ids.append(gene.feature_id)
    for number in range(n_genes // 4):
        place = rng.randrange(len(words) + 1)
        words.insert(place, f"ABSENT-{number}")
        ids.insert(place, f"ABSENT-{number}")
    return words, ids


def in_order(expected: Any, ids: list[str]) -> pd.DataFrame:
    """X of what the Census returns, by pandas: the genes in an order, zeros for those that are not there."""
    frame = pd.DataFrame(expected.X.toarray(), columns=expected.var.feature_id.to_numpy())
    return frame.reindex(columns=ids, fill_value=0.0)


@pytest.mark.parametrize(
    ("seed", "change"),
    [
        (1, {}),
        (2, {"layer": "normalized", "obs_columns": (), "compression": "none"}),
        (3, {"order": Order(kind="shuffled", seed=4)}),
    ],
)
def test_chunks_are_what_pandas_makes_of_get_anndata(
    spec: Callable[..., SubsetSpec],
    ingest: Ingest,
    census: soma.Collection,
    store_url: str,
    seed: int,
    change: dict[str, Any],
) -> None:
    words, ids = words_of(get_var(census, "homo_sapiens"), seed, 400)
    wanted = spec(
        value_filter=BLOOD_NORMAL, max_obs=150, chunk_size=100, genes=GeneSelection(vocabulary=tuple(words)), **change
    )

    made = ingest(wanted, store_url)

    assert made.failures == ()
    for chunk, report in zip(made.plan.chunks, made.reports, strict=True):
        adata = made.read(chunk)
        cells = adata.obs.soma_joinid.to_numpy()
        expected = get_anndata(census, "homo_sapiens", X_name=wanted.layer, obs_coords=np.sort(cells))
        by_cell = in_order(expected, ids).set_axis(np.sort(cells)).loc[cells]
        np.testing.assert_array_equal(adata.X.toarray(), by_cell.to_numpy())
        assert adata.X.has_canonical_format
        assert adata.var.feature_id.tolist() == ids
        assert (report.n_vars, report.nnz) == (len(ids), np.count_nonzero(by_cell.to_numpy()))
    publish_and_verify(made, ids, census)


def publish_and_verify(made: Any, ids: list[str], census: soma.Collection) -> None:
    dataset = publish(made.store, made.plan, made.reports, made.census)
    assert verify(made.store, dataset, made.census) == []
    mask = pd.read_parquet(io.BytesIO(made.store.get(measured_path(made.spec.name, made.plan.header.plan_id))))
    loaded: Any = load_dataset(made.store, made.spec.name).chunk("00000")
    assert loaded.var.feature_id.tolist() == ids
    is_measured = np.stack(mask.set_index("dataset_id").measured.to_list())
    is_padded = (loaded.var.soma_joinid == -1).to_numpy()
    expected = presence_of(census, mask.dataset_id.tolist())[:, loaded.var.soma_joinid]
    np.testing.assert_array_equal(is_measured, expected & ~is_padded)
    assert set(mask.dataset_id) >= set(loaded.obs.dataset_id if "dataset_id" in loaded.obs else [])
    assert mask.n_measured.tolist() == is_measured.sum(axis=1).tolist()
    made.store.put(measured_path(made.spec.name, made.plan.header.plan_id), b"another")
    [finding] = verify(made.store, dataset, made.census)
    assert "measured.parquet has SHA-256 " in finding.what
    absent = [gene for gene in ids if gene.startswith("ABSENT")]
    subset = dataset.header.subset
    assert (subset.n_vars, subset.n_padded, subset.padded) == (len(ids), len(absent), tuple(absent[:5]))
    card = made.store.get(card_path(made.spec.name, made.plan.header.plan_id)).decode()
    words = f"{len(ids)} in the order of a vocabulary, {len(absent)} of them not in the Census and zero"
    assert f"| Genes | {words} |" in card
    assert f"{absent[0]}, {absent[1]}" in card


def test_fingerprints_tell_order_and_padded_names_and_nothing_else(
    spec: Callable[..., SubsetSpec], ingest: Ingest, census: soma.Collection, store_url: str
) -> None:
    var = get_var(census, "homo_sapiens")
    first, second = (f"{var.feature_id[row]}" for row in (40, 9))

    def fingerprint(*vocabulary: str, **more: Any) -> str:
        genes = GeneSelection(vocabulary=vocabulary, **more)
        made = ingest(spec(value_filter=BLOOD_NORMAL, max_obs=2, genes=genes), store_url)
        return store_plan(made.spec, made.subset, made.store).chunks[0].fingerprint

    base = fingerprint(first, second, "X1")

    assert fingerprint(f"{first}.3", var.feature_name[9], "X1") == base
    others = [(second, first, "X1"), (first, second, "X2"), (first, "X1", second), (first, second)]
    assert len({base, *(fingerprint(*other) for other in others)}) == 5
    assert fingerprint(first, second, absent="refuse") == fingerprint(first, second)
