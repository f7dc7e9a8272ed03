"""The demo census against `cellxgene_census`, its own functions unmodified, and against recomputation from X."""

from pathlib import Path
from typing import Any

import cellxgene_census
import numpy as np
import pandas as pd
import pytest
import scipy.sparse as sp
import tiledbsoma as soma

from cxg_assets_tests.demo.conftest import N_OBS, N_PRIMATE_OBS, N_SPOTS, SEED

# tiledbsoma 2.3.0 hands AnnData an integer obs index, of which AnnData warns at every get_anndata.
pytestmark = pytest.mark.filterwarnings("ignore:Transforming to str index")

ORGANISMS = ["homo_sapiens", "mus_musculus"]
PRIMATES = ["callithrix_jacchus", "macaca_mulatta", "pan_troglodytes"]
SPATIAL = "census_spatial_sequencing"
BLOOD_NORMAL = "tissue_general == 'blood' and disease == 'normal' and is_primary_data == True"
KEPT_BITS = 15


# Typed `Any`: what pandas and AnnData declare to return is wider than what they return.
get_obs: Any = cellxgene_census.get_obs
get_var: Any = cellxgene_census.get_var
get_anndata: Any = cellxgene_census.get_anndata
get_presence_matrix: Any = cellxgene_census.get_presence_matrix


def read_x(census: soma.Collection, organism: str, layer: str = "raw") -> Any:
    x = census["census_data"][organism].ms["RNA"].X[layer]
    return sp.csr_matrix(x.read().coos().concat().to_scipy())


def read_info(census: soma.Collection, name: str) -> Any:
    return census["census_info"][name].read().concat().to_pandas()


@pytest.mark.parametrize("organism", ORGANISMS)
def test_obs_statistics_are_those_of_the_raw_counts(census: soma.Collection, organism: str) -> None:
    obs = get_obs(census, organism)
    x = read_x(census, organism)

    raw_sum = np.asarray(x.sum(axis=1, dtype=np.float64)).ravel()
    variance = [np.var(x.data[x.indptr[i] : x.indptr[i + 1]].astype(float), ddof=1) for i in range(x.shape[0])]
    np.testing.assert_array_equal(obs.soma_joinid, np.arange(x.shape[0]))
    np.testing.assert_array_equal(obs.raw_sum, raw_sum)
    np.testing.assert_array_equal(obs.nnz, np.diff(x.indptr))
    np.testing.assert_allclose(obs.raw_mean_nnz, raw_sum / np.diff(x.indptr), rtol=1e-12)
    np.testing.assert_allclose(obs.raw_variance_nnz, variance, rtol=1e-9)


@pytest.mark.parametrize("organism", ORGANISMS)
def test_measured_genes_are_those_with_counts_in_the_dataset(census: soma.Collection, organism: str) -> None:
    obs = get_obs(census, organism)
    var = get_var(census, organism)
    presence = get_presence_matrix(census, organism)
    datasets = read_info(census, "datasets").set_index("dataset_id")
    x = read_x(census, organism)

    expected = np.zeros(presence.shape, dtype=bool)
    n_obs = np.zeros(len(datasets), dtype=int)
    for dataset_id, cells in obs.groupby("dataset_id", observed=True):
        joinid = datasets.soma_joinid[dataset_id]
        expected[joinid] = x[cells.soma_joinid.to_numpy()].getnnz(axis=0) > 0
        n_obs[joinid] = len(cells)
    assert presence.shape == (len(datasets), len(var))
    np.testing.assert_array_equal(presence.toarray(), expected)
    np.testing.assert_array_equal(
        obs.n_measured_vars, expected.sum(axis=1)[datasets.soma_joinid[obs.dataset_id.astype(str)]]
    )
    np.testing.assert_array_equal(var.n_measured_obs, n_obs @ expected)
    np.testing.assert_array_equal(var.nnz, x.getnnz(axis=0))


def test_datasets_measure_different_genes(census: soma.Collection) -> None:
    n_measured = get_obs(census, "homo_sapiens").groupby("dataset_id", observed=True).n_measured_vars
    assert n_measured.nunique().eq(1).all()
    assert n_measured.first().nunique() > 5


@pytest.mark.parametrize("organism", ORGANISMS)
def test_normalized_is_raw_over_the_cell_sum_in_15_bits(census: soma.Collection, organism: str) -> None:
    raw, normalized = read_x(census, organism), read_x(census, organism, "normalized")
    obs = get_obs(census, organism)

    np.testing.assert_array_equal(raw.indices, normalized.indices)
    expected = raw.data / np.repeat(obs.raw_sum.to_numpy(), np.diff(raw.indptr))
    np.testing.assert_allclose(normalized.data, expected, rtol=2.0**-KEPT_BITS)
    assert not (normalized.data.view(np.int32) & ((1 << (23 - KEPT_BITS)) - 1)).any()
    assert raw.data.dtype == normalized.data.dtype == np.float32


def test_get_anndata_selects_cells_and_genes(census: soma.Collection) -> None:
    genes = ["ENSG00000167286", "ENSG00000090382"]
    adata = get_anndata(
        census,
        "Homo sapiens",
        obs_value_filter=BLOOD_NORMAL,
        var_value_filter=f"feature_id in {genes}",
        obs_column_names=["soma_joinid", "cell_type"],
    )
    joinids = adata.obs.soma_joinid.to_numpy()
    var = get_var(census, "homo_sapiens").set_index("feature_id")
    assert sorted(adata.var.feature_name) == ["CD3D", "LYZ"]
    np.testing.assert_array_equal(
        adata.X.toarray(),
        read_x(census, "homo_sapiens")[joinids][:, var.soma_joinid[adata.var.feature_id]].toarray(),
    )


def test_cells_look_like_life(census: soma.Collection) -> None:
    obs = get_obs(census, "homo_sapiens")
    assert 1_500 <= obs.nnz.mean() <= 2_000
    assert 300 < obs.nnz.quantile(0.01) < obs.nnz.quantile(0.99) < 8_000
    assert 4_000 <= obs.raw_sum.mean() <= 8_000


@pytest.mark.parametrize(
    ("marker", "cell_types"),
    [
        ("CD3D", ["CD4-positive, alpha-beta T cell", "CD8-positive, alpha-beta T cell", "T cell"]),
        ("CD3E", ["CD4-positive, alpha-beta T cell", "CD8-positive, alpha-beta T cell", "T cell"]),
        ("NKG7", ["natural killer cell"]),
        ("GNLY", ["natural killer cell"]),
        ("MS4A1", ["B cell"]),
        ("CD79A", ["B cell"]),
        ("LYZ", ["classical monocyte", "non-classical monocyte", "monocyte", "macrophage"]),
        ("S100A8", ["classical monocyte"]),
        ("CD14", ["classical monocyte"]),
        ("PPBP", ["platelet"]),
        ("CD68", ["macrophage"]),
    ],
)
def test_marker_is_highest_in_the_types_it_marks(census: soma.Collection, marker: str, cell_types: list[str]) -> None:
    adata = get_anndata(
        census,
        "homo_sapiens",
        X_name="normalized",
        var_value_filter=f"feature_name == '{marker}'",
        obs_column_names=["cell_type"],
    )
    expression = pd.DataFrame({"cell_type": adata.obs.cell_type.astype(str).to_numpy(), "x": adata.X.toarray().ravel()})
    by_type = expression.groupby("cell_type").x.mean().sort_values(ascending=False)
    assert set(by_type.index[: len(cell_types)]) == set(cell_types)


def test_a_fifth_of_human_cells_are_blood_normal(census: soma.Collection) -> None:
    n_selected = len(get_obs(census, "homo_sapiens", value_filter=BLOOD_NORMAL))
    assert n_selected >= 0.2 * N_OBS


@pytest.mark.parametrize("tissue", ["heart", "blood", "brain", "lung", "kidney", "intestine", "pancreas"])
def test_every_common_organ_is_there(census: soma.Collection, tissue: str) -> None:
    obs = get_obs(census, "homo_sapiens", value_filter=f"tissue_general == '{tissue}'")
    assert len(obs) > 0


@pytest.mark.parametrize("organism", ORGANISMS)
def test_each_label_has_one_ontology_id(census: soma.Collection, organism: str) -> None:
    obs = get_obs(census, organism)
    labels = [column.removesuffix("_ontology_term_id") for column in obs if column.endswith("_ontology_term_id")]
    assert len(labels) == 8
    for label in labels:
        pairs = obs[[label, f"{label}_ontology_term_id"]].drop_duplicates()
        assert pairs[label].is_unique
        assert pairs[f"{label}_ontology_term_id"].is_unique
        assert not pairs.isna().any().any()


def test_copies_repeat_counts_and_barcodes_and_are_not_primary(census: soma.Collection) -> None:
    obs = get_obs(census, "homo_sapiens")
    x = read_x(census, "homo_sapiens")
    copies = obs[~obs.is_primary_data]
    originals = obs[obs.is_primary_data].set_index("observation_joinid").loc[copies.observation_joinid]

    assert len(copies) == 160
    assert (originals.dataset_id.to_numpy() != copies.dataset_id.to_numpy()).all()
    assert (x[copies.soma_joinid.to_numpy()] != x[originals.soma_joinid.to_numpy()]).nnz == 0
    kept = [c for c in obs if c not in ("soma_joinid", "dataset_id", "is_primary_data", "n_measured_vars")]
    kept.remove("observation_joinid")
    pd.testing.assert_frame_equal(copies[kept].reset_index(drop=True), originals[kept].reset_index(drop=True))


def test_primary_cells_are_all_different(census: soma.Collection) -> None:
    obs = get_obs(census, "homo_sapiens")
    x = read_x(census, "homo_sapiens")
    primary = obs[obs.is_primary_data]
    profiles = {x[i].indices.tobytes() + x[i].data.tobytes() for i in primary.soma_joinid}
    assert len(profiles) == len(primary)
    assert not obs.duplicated(["dataset_id", "observation_joinid"]).any()
    assert obs.observation_joinid.str.len().eq(10).all()


@pytest.mark.parametrize("organism", ORGANISMS)
def test_datasets_are_runs_of_joinids(census: soma.Collection, organism: str) -> None:
    obs = get_obs(census, organism)
    counts = read_info(census, "datasets").set_index("dataset_id").dataset_total_cell_count
    spans = obs.groupby("dataset_id", observed=True).soma_joinid.agg(["min", "max", "size"])
    assert ((spans["max"] - spans["min"] + 1) == spans["size"]).all()
    assert (counts[spans.index.astype(str)].to_numpy() == spans["size"]).all()


def test_summaries_count_the_cells(census: soma.Collection) -> None:
    summary = read_info(census, "summary").set_index("label").value
    cells = {organism: get_obs(census, organism) for organism in [*ORGANISMS, *PRIMATES]}
    spots = {organism: get_obs(census, organism, modality=SPATIAL) for organism in ORGANISMS}
    obs: dict[str, Any] = {name: pd.concat([frame, spots.get(name, frame[:0])]) for name, frame in cells.items()}
    assert summary["total_cell_count"] == str(sum(len(frame) for frame in obs.values()))
    assert summary["unique_cell_count"] == str(sum(int(frame.is_primary_data.sum()) for frame in obs.values()))
    for organism, frame in cells.items():
        n_donors = len(frame[["dataset_id", "donor_id"]].drop_duplicates())
        assert summary[f"number_donors_{organism}"] == str(n_donors)
    assert summary["demo_release"] == f"demo-n{N_OBS}-primates{N_PRIMATE_OBS}-spots{N_SPOTS}-seed{SEED}"

    counts = read_info(census, "summary_cell_counts")
    for (organism, category), rows in counts.groupby(["organism", "category"], observed=True):
        frame = obs[organism.lower().replace(" ", "_")]
        if category == "all":
            assert rows.total_cell_count.tolist() == [len(frame)]
            continue
        assert rows.set_index("label").total_cell_count.to_dict() == frame[category].value_counts().to_dict()
        primary = frame[frame.is_primary_data][category].value_counts()
        assert rows.set_index("label").unique_cell_count.to_dict() == primary.to_dict()


def test_genes_are_gencode_genes(census: soma.Collection) -> None:
    human = get_var(census, "homo_sapiens")
    mouse = get_var(census, "mus_musculus")
    assert len(human) == 61_517
    assert len(mouse) == 52_715
    assert human.feature_id.is_unique
    assert human.feature_id.str.fullmatch(r"ENSG\d{11}").all()
    assert mouse.feature_id.is_unique
    assert mouse.feature_id.str.fullmatch(r"ENSMUSG\d{11}").all()
    cd3d = human.set_index("feature_name").loc["CD3D"]
    assert (cd3d.feature_id, cd3d.feature_type) == ("ENSG00000167286", "protein_coding")
    assert mouse.set_index("feature_name").nnz["Cd3d"] > 0


@pytest.mark.parametrize("organism", PRIMATES)
def test_other_primates_have_their_own_genes_and_the_counts_of_their_human_orthologues(
    census: soma.Collection, organism: str
) -> None:
    adata = get_anndata(census, organism)
    assert adata.n_obs == N_PRIMATE_OBS
    assert adata.var.feature_id.is_unique
    assert not adata.var.feature_id.str.startswith(("ENSG", "ENSMUSG")).any()
    assert adata.var.set_index("feature_name").nnz["CD3D"] > 0
    assert adata.obs.nnz.min() > 100


@pytest.mark.parametrize("organism", ORGANISMS)
def test_names_that_repeat_and_labels_that_are_joined_are_there_as_in_the_census(
    census: soma.Collection, organism: str
) -> None:
    assert get_var(census, organism).feature_name.duplicated().any()
    obs = get_obs(census, organism)
    aorta = obs[obs.tissue == "aorta"]
    assert len(aorta) > 0
    assert (aorta.tissue_general == "vasculature").all()
    if organism == "homo_sapiens":
        assert obs.disease.str.contains(" || ", regex=False).any()


def test_package_data_is_small() -> None:
    data = Path(__file__).parents[2] / "cxg_assets" / "demo" / "data"
    assert sum(file.stat().st_size for file in data.glob("*.parquet")) <= 5_000_000
