"""`cxg-assets new` and Dagster's scaffolding write the same commented YAML, which loads."""

import json
import re
from pathlib import Path
from typing import Any

import pytest
import yaml
from dagster.components.component_scaffolding import scaffold_object

from cxg_assets.cli.project import load_subset
from cxg_assets.components.attributes import Genes
from cxg_assets.components.census_subset import CensusSubset
from cxg_assets.ingest.errors import BadInput
from cxg_assets.ingest.spec import SubsetSpec
from cxg_assets_tests.cli.command import cxg_assets

pytestmark = pytest.mark.usefixtures("home")

FILTER = "tissue_general == 'lung' and disease == \"normal\""


def scaffold(folder: Path, name: str = "lung", scaffold_format: str = "yaml", **params: Any) -> str:
    """What `dg scaffold defs cxg_assets.CensusSubset <name>` calls. Returns the YAML."""
    scaffold_object(folder / name, "cxg_assets.CensusSubset", json.dumps(params), scaffold_format, folder.parent)
    return (folder / name / "defs.yaml").read_text()


def test_the_scaffold_is_what_the_command_writes(defs: Path) -> None:
    params = {"value_filter": FILTER, "destination": "s3://my-bucket/lung", "chunk_size": 2_500}
    made = scaffold(defs, **params)
    (defs / "lung" / "defs.yaml").unlink()
    outcome = cxg_assets(
        "new", "lung", "--value-filter", FILTER, "--destination", "s3://my-bucket/lung", "--chunk-size", "2500"
    )
    assert outcome.exit_code == 0, outcome.stderr
    assert (defs / "lung" / "defs.yaml").read_text() == made
    subset = load_subset("lung")
    assert subset.spec == SubsetSpec(name="lung", organism="homo_sapiens", value_filter=FILTER, chunk_size=2_500)
    assert subset.destination == "s3://my-bucket/lung"


def test_a_scaffold_without_parameters_selects_every_cell(defs: Path) -> None:
    scaffold(defs)
    assert load_subset("lung").spec == SubsetSpec(name="lung", organism="homo_sapiens")


def test_every_attribute_is_there_with_a_comment_before_it(defs: Path) -> None:
    lines = scaffold(defs).splitlines()
    for attribute in CensusSubset.model_fields:
        [number] = [i for i, line in enumerate(lines) if re.match(rf"  (# )?{attribute}:", line)]
        assert lines[number - 1].startswith("  # ")
    for attribute in Genes.model_fields:
        assert [line for line in lines if re.match(rf"  #   (# )?{attribute}:", line)]


def test_what_is_commented_out_loads_when_it_is_let_in(defs: Path) -> None:
    text = scaffold(defs)
    let_in = re.sub(r"^  # ((?:  )?(?:genes|value_filter|feature_ids|owners|tags):)", r"  \1", text, flags=re.MULTILINE)
    (defs / "lung" / "defs.yaml").write_text(let_in)
    declared = yaml.safe_load(let_in)["attributes"]
    genes = load_subset("lung").spec.genes
    assert genes is not None
    assert genes.feature_ids == tuple(declared["genes"]["feature_ids"])
    assert genes.value_filter == declared["genes"]["value_filter"]
    assert declared["owners"]
    assert declared["tags"]


@pytest.mark.parametrize(
    ("name", "params", "said"),
    [
        ("Lung", {}, "name: 'Lung' is not allowed"),
        ("lung", {"value_filter": "tissue_general = 'lung'"}, "value_filter: "),
        ("lung", {"destination": "ftp://host/x"}, "destination: 'ftp://host/x' is not supported"),
        ("lung", {"destination": "file:///{{ x }}"}, r"destination: \{\{ begins a template in YAML"),
        ("lung", {"chunk_size": 0}, "chunk_size: 0 is not a positive whole number"),
    ],
)
def test_a_subset_that_could_not_be_loaded_is_not_scaffolded(
    defs: Path, name: str, params: dict[str, Any], said: str
) -> None:
    with pytest.raises(BadInput, match=said):
        scaffold(defs, name, **params)
    assert not list(defs.rglob("*.yaml"))


def test_a_subset_that_is_there_is_not_written_over(defs: Path) -> None:
    before = scaffold(defs, value_filter=FILTER)
    with pytest.raises(BadInput, match=r"lung/defs.yaml exists; edit it, or choose another name"):
        scaffold(defs)
    assert (defs / "lung" / "defs.yaml").read_text() == before


def test_a_subset_is_not_scaffolded_as_python(defs: Path) -> None:
    with pytest.raises(BadInput, match="scaffold it with --format yaml"):
        scaffold(defs, scaffold_format="python")


def test_what_the_census_does_not_have_is_not_scaffolded(defs: Path) -> None:
    with pytest.raises(BadInput, match=r"no cell has tissue_general 'lungs' \(the nearest: 'lung'\)"):
        scaffold(defs, value_filter="tissue_general == 'lungs'")
    assert not (defs / "lung" / "defs.yaml").exists()
