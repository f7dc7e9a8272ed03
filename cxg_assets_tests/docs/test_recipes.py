"""The recipes load as they are, and their filters fit the columns of a Census."""

import re
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import cellxgene_census
import pandas as pd
import pytest
import tiledbsoma as soma

from cxg_assets.cli.project import Subset, load_subset
from cxg_assets.ingest.census.release import Release
from cxg_assets.ingest.dataset.estimate import Estimate, estimate
from cxg_assets.ingest.dataset.load import load_table
from cxg_assets.ingest.filters.value_filter import ValueFilter, parse_filter
from cxg_assets.ingest.gene_selection import HighlyVariable
from cxg_assets.ingest.genes.select import select_genes
from cxg_assets.ingest.layout import subset_obs_path, subset_var_path
from cxg_assets.ingest.sampling import Sample
from cxg_assets.ingest.selection.index import make_index
from cxg_assets.ingest.selection.obs_rows import parse_obs_filter
from cxg_assets.ingest.spec import GeneSelection, SubsetSpec
from cxg_assets.ingest.storage.store import Store, StoreLocator
from cxg_assets_tests.cli.command import use_defs
from cxg_assets_tests.ingested import plan_subset
from cxg_assets_tests.references import get_highly_variable_genes, ranking_of_genes, scanpy

get_obs: Any = cellxgene_census.get_obs
get_var: Any = cellxgene_census.get_var

RECIPES = Path(__file__).parents[2] / "docs" / "recipes"
NAMES = sorted(path.parent.name for path in RECIPES.glob("*/defs.yaml"))

CHUNK_SIZES = {"tahoe_x1": 100_000} | dict.fromkeys(
    ("sctab", "bionemo_geneformer", "czi_geneformer", "autoencodix", "scprint", "uce", "state_zeroshot"), 20_000
)
"""Of those that are not scGPT's."""

TISSUES = ("heart", "blood", "brain", "lung", "kidney", "intestine", "pancreas")


@pytest.fixture(scope="module", autouse=True)
def _ranking() -> None:
    ranking_of_genes()


@pytest.fixture
def copied(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """All recipes, copied to where subsets are."""
    monkeypatch.delenv("CXG_STORE_URL", raising=False)
    shutil.copytree(RECIPES, tmp_path / "defs")
    use_defs(tmp_path / "defs", monkeypatch)
    return tmp_path / "defs"


def human_obs(census: soma.Collection) -> soma.DataFrame:
    return census["census_data"]["homo_sapiens"].obs


def obs_filter(subset: Subset, census: soma.Collection) -> ValueFilter:
    parsed = parse_obs_filter(subset.spec.value_filter, subset.spec.obs_columns, human_obs(census).schema)
    assert parsed is not None
    return parsed


def test_there_are_the_nine_queries_of_scgpt_and_one_of_each_other() -> None:
    scgpt = [f"scgpt_{query}" for query in (*TISSUES, "others", "pan_cancer")]
    assert sorted([*scgpt, *CHUNK_SIZES]) == NAMES


@pytest.mark.parametrize("name", NAMES)
def test_a_recipe_loads_under_the_name_of_its_folder(copied: Path, name: str) -> None:
    subset = load_subset(name)
    assert subset.spec.name == name
    assert subset.destination == ""
    assert subset.spec.chunk_size == CHUNK_SIZES.get(name, 200_000)


@pytest.mark.parametrize("name", NAMES)
def test_a_recipe_fits_obs_and_var_of_a_census(copied: Path, census: soma.Collection, name: str) -> None:
    spec = load_subset(name).spec
    assert obs_filter(load_subset(name), census).columns
    var = census["census_data"]["homo_sapiens"].ms["RNA"].var.read().concat()
    assert select_genes(var, spec.genes).num_rows > 0


@pytest.mark.parametrize("tissue", TISSUES)
def test_scgpts_tissue_queries_are_spelt_as_it_spells_them(copied: Path, tissue: str) -> None:
    assert load_subset(f"scgpt_{tissue}").spec.value_filter == (
        f"suspension_type != 'na' and disease == 'normal' and tissue_general == '{tissue}'"
    )


def test_scgpts_normal_queries_share_out_the_normal_cells(copied: Path, census: soma.Collection) -> None:
    obs = human_obs(census).read().concat()
    normal = parse_filter("suspension_type != 'na' and disease == 'normal'", obs.schema)
    parts = [obs_filter(load_subset(f"scgpt_{name}"), census) for name in (*TISSUES, "others")]
    for batch in obs.to_batches():
        masks = [part.mask(batch).astype(int) for part in parts]
        assert sum(masks).tolist() == normal.mask(batch).astype(int).tolist()  # type: ignore[union-attr]


def test_scgpts_pan_cancer_query_is_its_chain_of_diseases(copied: Path, census: soma.Collection) -> None:
    value_filter = load_subset("scgpt_pan_cancer").spec.value_filter or ""
    diseases = re.findall(r"'([^']+)'", value_filter)[1:]
    assert len(diseases) == len(set(diseases)) == 21
    chain = " or ".join(f"(disease == '{disease}')" for disease in diseases)
    obs = human_obs(census).read().concat()
    theirs = parse_filter(f"(suspension_type != 'na') and ({chain})", obs.schema)
    ours = parse_filter(value_filter, obs.schema)
    selected = [(ours.mask(batch).tolist(), theirs.mask(batch).tolist()) for batch in obs.to_batches()]
    assert all(mine == reference for mine, reference in selected)
    assert any(any(mine) for mine, _ in selected)


def test_tahoe_x1_takes_a_gene_list_beside_its_yaml_when_the_line_is_let_in(copied: Path) -> None:
    file = copied / "tahoe_x1" / "defs.yaml"
    file.write_text(file.read_text().replace("# file: genes.txt", "file: genes.txt"))
    (file.parent / "genes.txt").write_text("ENSG00000167286  # CD3D\nENSG00000090382\n")
    expected = GeneSelection(
        value_filter="n_measured_obs >= 10 and nnz >= 10", feature_ids=("ENSG00000167286", "ENSG00000090382")
    )
    assert load_subset("tahoe_x1").spec.genes == expected


def test_the_readme_lists_every_recipe() -> None:
    listed = re.findall(r"^\| `(\w+)` \|", (RECIPES / "README.md").read_text(), re.MULTILINE)
    assert sorted(listed) == NAMES


PROTOCOLS = (
    "10x 5' v2",
    "10x 3' v3",
    "10x 3' v2",
    "10x 5' v1",
    "10x 3' v1",
    "10x 3' transcription profiling",
    "10x 5' transcription profiling",
)


def made(spec: SubsetSpec, release: Release, index_store: Store) -> tuple[Any, Estimate]:
    """The cells of obs that a recipe's filter keeps, by the Census's own client, and what it would be."""
    columns = ["soma_joinid", "cell_type", "donor_id", "dataset_id"]
    locator = release.locator({})
    with cellxgene_census.open_soma(uri=release.uri) as census:
        obs = cellxgene_census.get_obs(census, spec.organism, value_filter=spec.value_filter, column_names=columns)
    index = make_index(locator, release, spec.organism, index_store)
    return obs, estimate(spec, index, index_store, locator)


def test_sctabs_cell_types_have_enough_cells_and_donors_and_its_donors_are_in_one_part(
    copied: Path, release: Release, index_store: Store
) -> None:
    spec = load_subset("sctab").spec
    assert spec.sample == Sample(by=("cell_type",), at_least=5000, min_donors=30)
    assert all(repr(protocol) in (spec.value_filter or "") for protocol in PROTOCOLS)
    # The demo census has no cell type with 5,000 cells.
    smaller = replace(spec, sample=Sample(by=("cell_type",), at_least=40, min_donors=3))

    obs, found = made(smaller, release, index_store)

    groups = obs.groupby("cell_type", observed=True)
    kept = obs[(groups.soma_joinid.transform("size") >= 40) & (groups.donor_id.transform("nunique") >= 3)]
    assert 0 < len(kept) < len(obs)
    assert found.n_obs == len(kept) == sum(found.parts.values())
    assert found.n_distinct["cell_type"] == kept.cell_type.nunique()
    assert list(found.parts) == ["train", "val", "test"]


def test_bionemos_held_out_cells_are_whole_datasets(copied: Path, release: Release, index_store: Store) -> None:
    obs, found = made(load_subset("bionemo_geneformer").spec, release, index_store)

    assert found.n_obs == len(obs)
    sizes = obs.dataset_id.value_counts()
    assert found.parts["test"] in set(sizes)


@pytest.fixture(scope="module")
def all_obs(release: Release) -> pd.DataFrame:
    """obs of the primary cells, by the Census's own client."""
    with cellxgene_census.open_soma(uri=release.uri) as census:
        return get_obs(census, "homo_sapiens", value_filter="is_primary_data == True")


def kept_obs(recipe: str, release: Release, index_store: Store, folder: Path, **changes: Any) -> pd.DataFrame:
    """The obs file of a recipe's subset."""
    store = StoreLocator(url=folder.as_uri())
    spec = replace(load_subset(recipe).spec, **changes)
    subset, _ = plan_subset(spec, release, index_store, store)
    return load_table(store.open(), subset_obs_path(spec.name, subset.fingerprint)).to_pandas()


@pytest.mark.parametrize(
    ("recipe", "by", "at_most"),
    [("czi_geneformer", ["cell_type"], 2_500), ("autoencodix", ["cell_type", "tissue", "sex", "disease"], 1_000)],
)
def test_a_recipe_with_a_cap_keeps_so_many_of_each_group(
    recipe: str,
    by: list[str],
    at_most: int,
    copied: Path,
    release: Release,
    index_store: Store,
    all_obs: pd.DataFrame,
    tmp_path: Path,
) -> None:
    assert load_subset(recipe).spec.sample == Sample(by=tuple(by), at_most=at_most)
    # The demo census has no group with so many.
    sample = Sample(by=tuple(by), at_most=7)
    kept = kept_obs(recipe, release, index_store, tmp_path, sample=sample, obs_columns=tuple(by))

    expected = all_obs.groupby(by, observed=True).size().clip(upper=7)
    assert kept.groupby(by, observed=True).size().to_dict() == expected.to_dict()
    assert len(kept) < len(all_obs)


def test_scprints_cells_are_those_of_scanpy_and_of_datasets_with_100_cells(
    copied: Path, release: Release, index_store: Store, all_obs: pd.DataFrame, tmp_path: Path
) -> None:
    kept = kept_obs("scprint", release, index_store, tmp_path)

    with cellxgene_census.open_soma(uri=release.uri) as census:
        wanted = all_obs[all_obs.nnz >= 200]
        cells: Any = cellxgene_census.get_anndata(census, "homo_sapiens", obs_coords=wanted.soma_joinid.tolist())
    cells.var["mt"] = cells.var.feature_name.str.startswith("MT-")
    scanpy().pp.calculate_qc_metrics(cells, qc_vars=["mt"], percent_top=None, log1p=False, inplace=True)
    obs = cells.obs[cells.obs.pct_counts_mt <= 8]
    for column in ("raw_sum", "nnz", "pct_counts_mt"):
        groups = obs.groupby("dataset_id", observed=True)[column]
        distance = (obs[column] - groups.transform("median")).abs()
        deviation = distance.groupby(obs.dataset_id, observed=True).transform("median")
        obs = obs.assign(**{f"{column}_outlier": distance > 5 * deviation})
    obs = obs[~obs[[name for name in obs if name.endswith("_outlier")]].any(axis=1)]
    obs = obs[obs.groupby("dataset_id", observed=True).soma_joinid.transform("size") >= 100]
    assert kept.soma_joinid.tolist() == sorted(obs.soma_joinid)
    assert 0 < len(kept) < len(wanted)


def test_uces_genes_are_those_of_the_censuss_own_function(
    copied: Path, release: Release, index_store: Store, all_obs: pd.DataFrame, tmp_path: Path
) -> None:
    spec = load_subset("uce").spec
    assert spec.genes is not None
    assert spec.genes.highly_variable == HighlyVariable(n_top_genes=12_000, batch=("dataset_id",))
    few = replace(spec, genes=GeneSelection(highly_variable=HighlyVariable(n_top_genes=300, batch=("dataset_id",))))

    store = StoreLocator(url=tmp_path.as_uri())
    subset, _ = plan_subset(few, release, index_store, store)

    genes = load_table(store.open(), subset_var_path(few.name, subset.fingerprint))
    with cellxgene_census.open_soma(uri=release.uri) as census:
        expected = get_highly_variable_genes(
            census,
            "homo_sapiens",
            n_top_genes=300,
            batch_key="dataset_id",
            obs_coords=all_obs[all_obs.nnz >= 200].soma_joinid.tolist(),
        )
        var = get_var(census, "homo_sapiens", column_names=["soma_joinid", "feature_id"])
    top = var.set_index("soma_joinid").feature_id[expected.highly_variable.to_numpy()]
    assert sorted(genes["feature_id"].to_pylist()) == sorted(top)


def test_states_held_out_cell_types_are_in_their_parts_whole(
    copied: Path, release: Release, index_store: Store, all_obs: pd.DataFrame, tmp_path: Path
) -> None:
    kept = kept_obs("state_zeroshot", release, index_store, tmp_path)

    part_of = {"non-classical monocyte": "val", "natural killer cell": "test", "B cell": "test"}
    assert len(kept) == len(all_obs)
    assert kept.split.tolist() == [part_of.get(cell_type, "train") for cell_type in kept.cell_type]
    assert set(kept.split) == {"train", "val", "test"}
