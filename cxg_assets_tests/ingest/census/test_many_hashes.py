"""Equal hashes are counted as pandas counts them, however many files they are spread over, and no file stays."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from cxg_assets.ingest.census import many_hashes
from cxg_assets.ingest.census.many_hashes import ManyHashes


@pytest.mark.parametrize("in_memory", [1 << 20, 1_000])
@pytest.mark.parametrize("greatest", [300, 20_000, 2**64 - 1])
def test_as_many_are_repeated_as_pandas_finds(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, in_memory: int, greatest: int
) -> None:
    monkeypatch.setattr(many_hashes, "IN_MEMORY", in_memory)
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    hashes = np.random.default_rng(0).integers(0, greatest, 9_000, np.uint64)

    with ManyHashes() as seen:
        for part in np.split(hashes, 7 * [0] + [4_000, 4_001]):
            seen.add(part)
        assert any(tmp_path.iterdir()) is (in_memory == 1_000)
        assert seen.n_repeated() == int(pd.Series(hashes).duplicated().sum())

    assert not any(tmp_path.iterdir())


def test_of_none_none_is_repeated() -> None:
    with ManyHashes() as seen:
        assert seen.n_repeated() == 0
