"""`build_census` as a whole: what decides the content, and what it leaves behind when it fails."""

import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import cellxgene_census
import pandas as pd
import pyarrow as pa
import pytest

from cxg_assets.demo import Sizes, build_census

N_OBS, N_SPOTS = 200, 60
SIZE: Sizes = {"n_obs": N_OBS, "n_spots": N_SPOTS}


def contents(path: Path) -> dict[str, pa.Table]:
    """Return every array of a census."""
    found: dict[str, pa.Table] = {}
    with cellxgene_census.open_soma(uri=str(path)) as census:
        for name, table in census["census_info"].items():
            found[name] = table.read().concat()
        experiments = {
            f"{modality}/{organism}".removeprefix("census_data/"): experiment
            for modality in {"census_data", "census_spatial_sequencing"} & set(census)
            for organism, experiment in census[modality].items()
        }
        for name, experiment in experiments.items():
            rna = experiment.ms["RNA"]
            found[f"{name}/obs"] = experiment.obs.read().concat()
            found[f"{name}/var"] = rna.var.read().concat()
            if "spatial" in name:
                for scene, spots in experiment.spatial.items():
                    found[f"{name}/{scene}"] = spots.obsl["loc"].read().concat()
            for array in (*rna.X.values(), rna["feature_dataset_presence_matrix"]):
                table = array.read().tables().concat()
                found[array.uri.removeprefix(f"file://{path}")] = table.sort_by(
                    [("soma_dim_0", "ascending"), ("soma_dim_1", "ascending")]
                )
    return found


@dataclass(frozen=True, kw_only=True)
class Built:
    """A small census, with what was seen while it was built.

    Attributes:
        path: Where it is, alone in its folder.
        progress: Cells done and cells in all, at each call.
        existed: Whether there was something at the path then.
    """

    path: Path
    progress: list[tuple[int, int]]
    existed: list[bool]


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Built:
    path = tmp_path_factory.mktemp("small") / "census"
    progress: list[tuple[int, int]] = []
    existed: list[bool] = []

    def look(done: int, total: int) -> None:
        progress.append((done, total))
        existed.append(path.exists())

    build_census(path, **SIZE, seed=1, on_progress=look)
    return Built(path=path, progress=progress, existed=existed)


@pytest.fixture(scope="module")
def small_census(built: Built) -> Path:
    return built.path


def test_equal_arguments_give_equal_content_also_in_an_empty_folder(small_census: Path, tmp_path: Path) -> None:
    (tmp_path / "again").mkdir()
    build_census(tmp_path / "again", **SIZE, seed=1)
    first, again = contents(small_census), contents(tmp_path / "again")
    assert len(first) == 4 + 2 * 5 + 2 * 4 + 5  # tables, experiments of cells and of spots, scenes
    assert first.keys() == again.keys()
    for name, table in first.items():
        assert table.equals(again[name]), name


def test_another_seed_gives_other_cells(small_census: Path, tmp_path: Path) -> None:
    build_census(tmp_path / "other", n_obs=N_OBS, seed=2)
    first, other = contents(small_census), contents(tmp_path / "other")
    raw = "/census_data/homo_sapiens/ms/RNA/X/raw"
    assert not first[raw].equals(other[raw])
    assert not first["homo_sapiens/obs"]["cell_type"].equals(other["homo_sapiens/obs"]["cell_type"])


@pytest.mark.filterwarnings("ignore:Transforming to str index")  # of get_anndata, see test_contents
def test_text_can_be_plain_as_in_older_releases(small_census: Path, tmp_path: Path) -> None:
    build_census(tmp_path / "plain", n_obs=N_OBS, seed=1, text_as_dictionary=False)
    plain, current = contents(tmp_path / "plain"), contents(small_census)
    for organism in ("homo_sapiens", "mus_musculus"):
        obs = plain[f"{organism}/obs"]
        assert not any(pa.types.is_dictionary(field.type) for field in obs.schema)
        assert obs.schema.field("cell_type").type == pa.large_string()
        pd.testing.assert_frame_equal(
            obs.to_pandas(), current[f"{organism}/obs"].to_pandas(), check_dtype=False, check_categorical=False
        )
    blood = "tissue_general == 'blood' and disease == 'normal' and is_primary_data == True"
    with cellxgene_census.open_soma(uri=str(tmp_path / "plain")) as census:
        assert cellxgene_census.get_anndata(census, "homo_sapiens", obs_value_filter=blood).n_obs >= 0.2 * N_OBS


def test_progress_counts_up_to_all_cells(built: Built) -> None:
    spots = [(290, 380), (320, 380), (350, 380), (380, 380)]
    assert built.progress == [(100, 380), (200, 380), (230, 380), (260, 380), *spots]


def test_a_failed_build_leaves_nothing(tmp_path: Path) -> None:
    def interrupt(done: int, total: int) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        build_census(tmp_path / "census", n_obs=200, on_progress=interrupt)
    assert list(tmp_path.iterdir()) == []


def test_nothing_is_at_the_path_until_the_end(built: Built) -> None:
    assert built.existed
    assert not any(built.existed)
    assert [file.name for file in built.path.parent.iterdir()] == ["census"]


def test_an_occupied_path_is_refused(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("mine")
    with pytest.raises(FileExistsError, match="exists and is not an empty folder: delete it or choose another path"):
        build_census(tmp_path, n_obs=200)
    with pytest.raises(FileExistsError, match="not an empty folder"):
        build_census(tmp_path / "notes.txt", n_obs=200)
    assert [file.name for file in tmp_path.iterdir()] == ["notes.txt"]


def test_a_path_taken_during_the_build_is_refused(tmp_path: Path) -> None:
    def take(done: int, total: int) -> None:
        (tmp_path / "census").mkdir(exist_ok=True)
        (tmp_path / "census" / "theirs").touch()

    with pytest.raises(FileExistsError, match="created by somebody else during the build"):
        build_census(tmp_path / "census", n_obs=200, on_progress=take)
    assert [file.name for file in tmp_path.rglob("*")] == ["census", "theirs"]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        pytest.param({"n_obs": 199}, "n_obs is 199; a demo census has at least 200", id="too_few_cells"),
        pytest.param({"n_mouse_obs": 0}, "n_mouse_obs is 0; it must be 60 or more", id="too_few_mouse_cells"),
        pytest.param({"n_spots": 59}, "n_spots is 59; it must be 60 or more", id="too_few_spots"),
        pytest.param({"seed": -1}, "seed is -1; it must be 0 or more", id="negative_seed"),
        pytest.param({"path": "s3://bucket/census"}, "s3://bucket/census is a URI", id="uri"),
    ],
)
def test_bad_arguments_are_refused(tmp_path: Path, arguments: dict, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        build_census(**{"path": tmp_path / "census", "n_obs": 200, **arguments})
    assert list(tmp_path.iterdir()) == []


def test_importing_the_package_is_cheap_and_building_needs_neither_dagster_nor_ray(tmp_path: Path) -> None:
    program = f"""
import sys
from cxg_assets.demo import build_census
assert not {{"tiledbsoma", "numba", "pyarrow"}} & set(sys.modules)
build_census({str(tmp_path / "census")!r}, n_obs=200)
assert not [name for name in sys.modules if name.split(".")[0] in ("dagster", "ray") or name.startswith("dagster_")]
"""
    subprocess.run([sys.executable, "-c", program], check=True, timeout=120)
