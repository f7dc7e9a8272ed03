"""`cxg-assets census build`: a demo census of any size."""

from pathlib import Path

import cellxgene_census

from cxg_assets.demo import MIN_OBS
from cxg_assets_tests.cli.command import cxg_assets, files_below


def joinids_and_cell_types(path: Path) -> list[tuple[int, str]]:
    with cellxgene_census.open_soma(uri=str(path)) as census:
        obs = cellxgene_census.get_obs(census, "homo_sapiens", column_names=["soma_joinid", "cell_type"])
    return list(zip(obs["soma_joinid"], obs["cell_type"], strict=True))


def test_build_makes_a_census_of_so_many_human_cells_and_another_seed_makes_other_cells(tmp_path: Path) -> None:
    one, other = tmp_path / "a" / "one", tmp_path / "other"
    outcome = cxg_assets("census", "build", str(one), "--n-obs", str(MIN_OBS))
    cxg_assets("census", "build", str(other), "--n-obs", str(MIN_OBS), "--seed", "4")
    assert outcome.exit_code == 0, outcome.stderr
    assert outcome.stdout == (
        f"{one}: a census of {MIN_OBS:,} human cells; use it with --census-uri or CXG_CENSUS_URI\n"
    )
    assert len(joinids_and_cell_types(one)) == MIN_OBS
    assert joinids_and_cell_types(one) != joinids_and_cell_types(other)


def test_build_does_not_write_over_anything(tmp_path: Path) -> None:
    (tmp_path / "mine.txt").write_text("precious")
    outcome = cxg_assets("census", "build", str(tmp_path), "--n-obs", str(MIN_OBS))
    assert outcome.exit_code == 2
    assert outcome.stderr == (
        f"cxg-assets: {tmp_path} exists and is not an empty folder: delete it or choose another path\n"
    )
    assert files_below(tmp_path) == {"mine.txt": 8}


def test_too_few_cells_are_refused_with_the_least_number(tmp_path: Path) -> None:
    outcome = cxg_assets("census", "build", str(tmp_path / "census"), "--n-obs", "3")
    assert outcome.exit_code == 2
    assert outcome.stderr == f"cxg-assets: n_obs is 3; a demo census has at least {MIN_OBS} human cells\n"
    assert not (tmp_path / "census").exists()
