"""Cells are counted by label as pandas counts them."""

from pathlib import Path

import pyarrow.feather
import pytest

from cxg_assets.ingest.layout import subset_obs_path
from cxg_assets.ingest.storage.feather import count_labels
from cxg_assets_tests.ingested import Ingested


@pytest.fixture
def obs_path(blood: Ingested) -> Path:
    return Path(blood.store.url.removeprefix("file://")) / subset_obs_path("blood_normal", blood.subset.fingerprint)


def test_the_labels_that_occur_are_counted(obs_path: Path) -> None:
    frame = pyarrow.feather.read_feather(obs_path)
    expected = {name: frame[name].value_counts() for name in ("cell_type", "dataset_id")}

    counts = count_labels(obs_path, ["cell_type", "dataset_id"])

    assert counts == {name: of_name[of_name > 0].to_dict() for name, of_name in expected.items()}
    assert len(counts["cell_type"]) > 3


def test_columns_that_obs_does_not_have_are_left_out(obs_path: Path) -> None:
    assert list(count_labels(obs_path, ["no_such_column", "cell_type"])) == ["cell_type"]
    assert count_labels(obs_path, ["no_such_column"]) == {}
