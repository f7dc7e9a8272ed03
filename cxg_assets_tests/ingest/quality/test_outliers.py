"""Outliers are those of sc-best-practices, group by group."""

import numpy as np
import pandas as pd
from hypothesis import given
from hypothesis import strategies as st

from cxg_assets.ingest.metrics import Outliers
from cxg_assets.ingest.quality.outliers import is_outlier
from cxg_assets_tests.ingest.quality.reference import without_outliers

NUMBERS = st.one_of(st.integers(-5, 5).map(float), st.floats(-1e6, 1e6, width=32))


@given(
    cells=st.lists(st.tuples(st.integers(0, 3), NUMBERS), min_size=1, max_size=40),
    n_mads=st.sampled_from([0.5, 1.0, 3.0, 5.0]),
)
def test_outliers_are_those_of_the_reference(cells: list[tuple[int, float]], n_mads: float) -> None:
    obs = pd.DataFrame(cells, columns=pd.Index(["group", "value"]))
    expected = without_outliers(obs, Outliers(columns=("value",), by=("group",), n_mads=n_mads))

    is_out = is_outlier(obs.value.to_numpy(), obs.group.to_numpy(), 4, n_mads)

    assert np.flatnonzero(~is_out).tolist() == expected.index.tolist()


def test_a_missing_value_is_no_outlier_and_counts_for_no_median() -> None:
    values = np.array([1.0, 2.0, 3.0, 100.0, np.nan, np.nan, np.nan])

    is_out = is_outlier(values, np.array([0, 0, 0, 0, 0, 0, 1]), 2, 3)

    assert np.flatnonzero(is_out).tolist() == [3]
