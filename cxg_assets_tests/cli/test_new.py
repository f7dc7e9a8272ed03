"""`cxg-assets new`: a YAML that means what the options said."""

from pathlib import Path

import pytest

from cxg_assets.cli.project import load_subset
from cxg_assets.ingest.spec import SubsetSpec
from cxg_assets_tests.cli.command import cxg_assets

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
    assert cxg_assets("status").stdout == "lupus_blood: not planned yet; cxg-assets ingest lupus_blood makes it\n"


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
            "destination: 'ftp://host/x' is not supported; give s3://bucket/prefix or file:///folder",
        ),
    ],
)
def test_a_subset_that_could_not_be_loaded_is_not_written(defs: Path, arguments: tuple[str, ...], message: str) -> None:
    outcome = cxg_assets("new", *arguments)
    assert outcome.exit_code == 2
    assert outcome.stderr.startswith(f"cxg-assets: {message}")
    assert list(defs.iterdir()) == []
