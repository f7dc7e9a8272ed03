"""`cxg-assets new`: a YAML that means what the options said."""

from pathlib import Path

import pytest

from cxg_assets.cli.project import load_subset
from cxg_assets.ingest.spec import SubsetSpec
from cxg_assets_tests.cli.command import cxg_assets
from cxg_assets_tests.conftest import Bucket

pytestmark = pytest.mark.usefixtures("home")

LUPUS = "tissue_general == 'blood' and disease == \"systemic lupus erythematosus\""


def test_the_yaml_says_what_the_options_said(defs: Path) -> None:
    outcome = cxg_assets(
        "new", "lupus_blood", "--value-filter", LUPUS, "--organism", "homo_sapiens", "--chunk-size", "2500",
        "--destination", "s3://my-bucket/lupus",
    )  # fmt: skip
    assert outcome.exit_code == 0, outcome.stderr
    subset = load_subset("lupus_blood")
    expected = SubsetSpec(name="lupus_blood", organism="homo_sapiens", value_filter=LUPUS, chunk_size=2500)
    assert subset.spec == expected
    assert subset.destination == "s3://my-bucket/lupus"


def test_the_destination_that_is_left_out_follows_the_environment(defs: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    cxg_assets("new", "lupus_blood", "--value-filter", LUPUS)
    monkeypatch.delenv("CXG_STORE_URL", raising=False)
    assert load_subset("lupus_blood").destination == ""
    monkeypatch.setenv("CXG_STORE_URL", "s3://bucket/store")
    assert load_subset("lupus_blood").destination == "s3://bucket/store"


def test_it_tells_where_the_file_is_and_what_to_do_next(defs: Path) -> None:
    outcome = cxg_assets("new", "lupus_blood", "--value-filter", LUPUS)
    assert outcome.stdout == (
        f"{defs / 'lupus_blood' / 'defs.yaml'}\nTry it: cxg-assets ingest lupus_blood --max-obs 1000\n"
    )


def test_the_new_subset_is_known_to_status(defs: Path, home: Path) -> None:
    cxg_assets("new", "lupus_blood", "--value-filter", LUPUS)
    assert cxg_assets("status").stdout == (
        f"home: {home}, as CXG_HOME says\nlupus_blood: not planned yet; cxg-assets ingest lupus_blood makes it\n"
    )


def test_an_existing_subset_is_not_written_over(defs: Path) -> None:
    cxg_assets("new", "lupus_blood", "--value-filter", LUPUS)
    before = (defs / "lupus_blood" / "defs.yaml").read_text()
    outcome = cxg_assets("new", "lupus_blood", "--value-filter", "nnz > 1000")
    assert outcome.exit_code == 2
    assert outcome.stderr == (
        f"cxg-assets: {defs / 'lupus_blood' / 'defs.yaml'} exists; edit it, or choose another name\n"
    )
    assert (defs / "lupus_blood" / "defs.yaml").read_text() == before


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("../escape", "--value-filter", LUPUS), "name: '../escape' is not allowed; use small letters, digits"),
        (("Lupus", "--value-filter", LUPUS), "name: 'Lupus' is not allowed; use small letters, digits"),
        (("lupus", "--value-filter", " "), "value_filter: the filter is empty; leave it out to keep every cell"),
        (("lupus", "--value-filter", LUPUS, "--chunk-size", "0"), "chunk_size: 0 is not a positive whole number"),
        (
            ("lupus", "--value-filter", LUPUS, "--destination", "ftp://host/x"),
            "destination: 'ftp://host/x' is not supported; give s3://bucket/prefix or the path of a folder",
        ),
    ],
)
def test_a_subset_that_could_not_be_loaded_is_not_written(defs: Path, arguments: tuple[str, ...], message: str) -> None:
    outcome = cxg_assets("new", *arguments)
    assert outcome.exit_code == 2
    assert outcome.stderr.startswith(f"cxg-assets: {message}")
    assert list(defs.iterdir()) == []


@pytest.mark.parametrize("has_index", [False, True])
@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--value-filter", "tissue_general == 'lungs'"),
         "value_filter: no cell has tissue_general 'lungs' (the nearest: 'lung'); according to the "),
        (("--value-filter", "nnz > 5 and (sex == 'male' or disease in ['normal', 'Covid 19'])"),
         "value_filter: no cell has disease 'Covid 19' (the nearest: 'COVID-19'); according to the "),
        (("--value-filter", "tissu_general == 'lung'"),
         "value_filter: `tissu_general == 'lung'` at column 1 names the column 'tissu_general', which is not there. "
         "Did you mean tissue_general? "),
    ],
)  # fmt: skip
def test_what_the_census_does_not_have_is_not_written(
    defs: Path, tmp_path: Path, has_index: bool, arguments: tuple[str, ...], message: str
) -> None:
    if has_index:
        assert cxg_assets("index", "homo_sapiens", str(tmp_path / "x.feather")).exit_code == 0

    outcome = cxg_assets("new", "lung", *arguments)

    assert outcome.exit_code == 2
    assert outcome.stderr.startswith(f"cxg-assets: {message}")
    if "according to" in message:
        assert ("the census index of build" if has_index else "the Census of build") in outcome.stderr
    assert list(defs.iterdir()) == []


def test_an_organism_that_the_census_does_not_have_is_not_written(defs: Path, census_uri: str) -> None:
    outcome = cxg_assets("new", "lung", "--value-filter", LUPUS, "--organism", "homo_sapien")
    assert outcome.exit_code == 2
    assert outcome.stderr == (
        f"cxg-assets: organism: census {census_uri} has no 'homo_sapien'; it has homo_sapiens, mus_musculus\n"
    )
    assert list(defs.iterdir()) == []


def test_an_index_answers_without_a_census(
    defs: Path, home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cxg_assets("index", "homo_sapiens", str(tmp_path / "x.feather"))
    monkeypatch.setenv("CXG_CENSUS_URI", str(tmp_path / "nothing"))

    refused = cxg_assets("new", "lung", "--value-filter", "tissue_general == 'lungs'")
    written = cxg_assets("new", "lung", "--value-filter", "tissue_general == 'lung'")

    assert (refused.exit_code, written.exit_code, written.stderr) == (2, 0, "")


def test_without_index_and_census_it_writes_and_says_that_it_did_not_check(
    defs: Path, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("CXG_CENSUS_URI")
    outcome = cxg_assets("new", "lung", "--value-filter", "tissue_general == 'lungs'")
    assert outcome.exit_code == 0
    assert outcome.stderr == (
        "cxg-assets: warning: homo_sapiens, columns and labels were not checked: there is no census index of "
        f"homo_sapiens in {(home / 'store').as_uri()}. cxg-assets doctor with the name of the subset checks them "
        "against the Census\n"
    )
    assert load_subset("lung").spec.value_filter == "tissue_general == 'lungs'"
    assert not home.exists()


def test_a_census_that_is_not_there_checks_nothing_and_stops_nothing(
    defs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CXG_CENSUS_URI", str(tmp_path / "nothing"))
    outcome = cxg_assets("new", "lung", "--value-filter", "tissue_general == 'lung'")
    assert outcome.exit_code == 0
    assert "labels were not checked: census" in outcome.stderr


def test_what_the_filter_overlooks_is_told_with_counts_where_there_is_an_index(defs: Path, tmp_path: Path) -> None:
    value_filter = "disease == 'type 2 diabetes mellitus' and nnz > 10"
    without = cxg_assets("new", "one", "--value-filter", value_filter)
    cxg_assets("index", "homo_sapiens", str(tmp_path / "x.feather"))
    counted = cxg_assets("new", "two", "--value-filter", value_filter)

    assert (without.exit_code, counted.exit_code) == (0, 0)
    assert "misses cells in which disease holds it among several values" in without.stderr
    assert "of 2,600 cells in which disease holds it among several values" in counted.stderr


def test_an_index_in_a_bucket_answers_by_its_dictionaries(
    defs: Path, s3: Bucket, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in s3.environment("store").items():
        monkeypatch.setenv(name, value)
    assert cxg_assets("index", "homo_sapiens", str(tmp_path / "x.feather")).exit_code == 0
    monkeypatch.delenv("CXG_CENSUS_URI")

    refused = cxg_assets("new", "lung", "--value-filter", "tissue_general == 'lungs'")
    written = cxg_assets("new", "diabetes", "--value-filter", "disease == 'type 2 diabetes mellitus'")

    assert refused.exit_code == 2
    assert "(the nearest: 'lung'); according to the census index of build" in refused.stderr
    assert written.exit_code == 0
    assert "misses cells in which disease holds it among several values" in written.stderr


def test_labels_of_plain_text_are_not_checked(defs: Path, old_census_uri: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CXG_CENSUS_URI", old_census_uri)
    outcome = cxg_assets("new", "lung", "--value-filter", "tissue_general == 'lungs'")
    assert outcome.exit_code == 0
    assert outcome.stderr == ("cxg-assets: warning: labels of tissue_general were not checked: it is plain text\n")
