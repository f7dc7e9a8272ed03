"""The recipes load as they are, and their filters fit the columns of a Census."""

import re
import shutil
from pathlib import Path

import pytest
import tiledbsoma as soma

from cxg_assets.cli.project import Subset, load_subset
from cxg_assets.ingest.selection.filters import ValueFilter, parse_filter
from cxg_assets.ingest.selection.genes import select_genes
from cxg_assets.ingest.selection.obs_rows import parse_obs_filter
from cxg_assets.ingest.spec import GeneSelection
from cxg_assets_tests.cli.command import use_defs

RECIPES = Path(__file__).parents[2] / "docs" / "recipes"
NAMES = sorted(path.parent.name for path in RECIPES.glob("*/defs.yaml"))

TISSUES = ("heart", "blood", "brain", "lung", "kidney", "intestine", "pancreas")


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


def test_there_are_the_nine_queries_of_scgpt_and_the_one_of_tahoe_x1() -> None:
    scgpt = [f"scgpt_{query}" for query in (*TISSUES, "others", "pan_cancer")]
    assert sorted([*scgpt, "tahoe_x1"]) == NAMES


@pytest.mark.parametrize("name", NAMES)
def test_a_recipe_loads_under_the_name_of_its_folder(copied: Path, name: str) -> None:
    subset = load_subset(name)
    assert subset.spec.name == name
    assert subset.destination == ""
    assert subset.spec.chunk_size == (100_000 if name == "tahoe_x1" else 200_000)


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
