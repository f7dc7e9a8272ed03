"""Samples against pandas: the same cells, however obs is cut into batches."""

import re
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cxg_assets.ingest.choice.draws import find_thresholds, hash_cells
from cxg_assets.ingest.choice.groups import Numbering
from cxg_assets.ingest.choice.sample import sample_cells
from cxg_assets.ingest.errors import BadInput
from cxg_assets.ingest.sampling import Sample
from cxg_assets_tests.ingest.choice.obs_frames import CUTS, OBS, batches_of, joined, make_obs

BY = ("cell_type", "tissue")


def sampled(obs: pd.DataFrame, sample: Sample, n_rows: int = 50, *, as_dictionary: bool = True) -> np.ndarray:
    batches = batches_of(obs, n_rows, as_dictionary=as_dictionary)
    return joined(iter(batches()), sample_cells(sample, batches).mask)


def reference(obs: Any, sample: Sample) -> np.ndarray:
    """The same by pandas, with the two orders of cells as columns."""
    joinids = obs.soma_joinid.to_numpy()
    left = obs.assign(cap=hash_cells(joinids, sample.seed, 0), share=hash_cells(joinids, sample.seed, 1))
    if sample.by:
        groups = left.groupby(list(sample.by), dropna=False)
        left = left[
            (groups.soma_joinid.transform("size") >= (sample.at_least or 0))
            & (groups.donor_id.transform("nunique") >= (sample.min_donors or 0))
        ]
        if sample.at_most is not None:
            ranks = left.groupby(list(sample.by), dropna=False).cap.rank(method="first")
            left = left[ranks <= sample.at_most]
    n_obs = round(sample.fraction * len(left)) if sample.fraction is not None else sample.n_obs
    if n_obs is not None:
        left = left.sort_values("share").head(n_obs)
    return obs.index.isin(left.index)


SAMPLES = st.one_of(
    st.builds(Sample, fraction=st.floats(0.01, 1.0), seed=st.integers(0, 9)),
    st.builds(Sample, n_obs=st.integers(1, 400), seed=st.integers(0, 9)),
    st.builds(
        Sample,
        by=st.sampled_from([("cell_type",), BY, ("tissue", "donor_id", "cell_type")]),
        at_most=st.integers(1, 60),
        at_least=st.none() | st.integers(1, 40),
        min_donors=st.none() | st.integers(1, 8),
        fraction=st.none() | st.floats(0.1, 1.0),
    ),
)


@settings(max_examples=150, deadline=None)
@given(obs=OBS, sample=SAMPLES, n_rows=CUTS, as_dictionary=st.booleans())
def test_a_sample_keeps_the_cells_that_pandas_keeps(
    obs: pd.DataFrame, sample: Sample, n_rows: int, as_dictionary: bool
) -> None:
    expected = reference(obs, sample)
    if not expected.any():
        with pytest.raises(BadInput, match=r"^sample: no cell is left"):
            sampled(obs, sample, n_rows)
        return
    np.testing.assert_array_equal(sampled(obs, sample, n_rows, as_dictionary=as_dictionary), expected)


@settings(max_examples=50, deadline=None)
@given(obs=OBS, sample=SAMPLES, n_rows=CUTS)
def test_a_sample_tells_how_many_cells_each_group_had_and_keeps(obs: pd.DataFrame, sample: Sample, n_rows: int) -> None:
    batches = batches_of(obs, n_rows)
    try:
        found = sample_cells(sample, batches)
    except BadInput:
        return
    is_kept = joined(iter(batches()), found.mask)
    assert found.n_obs == is_kept.sum()
    if not sample.by:
        return
    counts = obs.fillna("missing").groupby(list(sample.by)).size().to_dict()
    told = dict(zip(found.labels(), found.n_before.tolist(), strict=True))
    keys = {tuple("missing" if value is None else value for value in label): n for label, n in told.items()}
    assert keys == {key if isinstance(key, tuple) else (key,): n for key, n in counts.items()}
    if sample.fraction is None:
        kept = obs[is_kept].groupby(list(sample.by), dropna=False).size()
        assert sorted(kept) == sorted(n for n in found.n_kept.tolist() if n)


def test_smaller_samples_of_one_seed_lie_inside_larger_ones() -> None:
    obs = make_obs(20_000, 1)
    masks = [sampled(obs, Sample(fraction=fraction, seed=3), 1_000) for fraction in (0.01, 0.1, 0.5)]
    assert [int(mask.sum()) for mask in masks] == [200, 2_000, 10_000]
    assert not (masks[0] & ~masks[1]).any()
    assert not (masks[1] & ~masks[2]).any()
    few, many = (sampled(obs, Sample(by=BY, at_most=n, seed=3), 1_000) for n in (10, 100))
    assert not (few & ~many).any()
    other = sampled(obs, Sample(fraction=0.1, seed=4), 1_000)
    assert 100 < (masks[1] & other).sum() < 320


def test_a_share_of_capped_groups_does_not_prefer_the_large_ones() -> None:
    obs = make_obs(50_000, 2)
    capped = Sample(by=("cell_type",), at_most=1_000)
    kept = obs[sampled(obs, capped, 5_000)].cell_type.value_counts()
    part = obs[sampled(obs, Sample(by=("cell_type",), at_most=1_000, fraction=0.5), 5_000)].cell_type.value_counts()
    assert kept.max() == 1_000
    assert ((part / kept).sub(0.5).abs() < 0.1).all()


@pytest.mark.parametrize("n_values", [1, 40, 1_000, 2_000, 100_000])
def test_pairs_are_numbered_as_they_come_by_table_and_by_hash(n_values: int) -> None:
    rng = np.random.default_rng(0)
    # Values grow, so that a table is widened, and given up, with pairs in it.
    pairs = (rng.random((20_000, 2)) * np.linspace(0.01, 1, 20_000)[:, None] * n_values).astype(np.int32)
    numbering = Numbering()
    numbers = np.concatenate([numbering.number(some[:, 0], some[:, 1]) for some in np.array_split(pairs, 13)])
    expected, distinct = pd.factorize(pd.MultiIndex.from_arrays(pairs.T))
    np.testing.assert_array_equal(numbers, expected)
    np.testing.assert_array_equal(np.column_stack(numbering.pairs()), [list(pair) for pair in distinct])


def mixed(bits: int) -> int:
    """The finalizer of splitmix64 in whole numbers of any size."""
    bits = (bits + 0x9E3779B97F4A7C15) % 2**64
    bits = (bits ^ bits >> 30) * 0xBF58476D1CE4E5B9 % 2**64
    bits = (bits ^ bits >> 27) * 0x94D049BB133111EB % 2**64
    return bits ^ bits >> 31


@given(joinid=st.integers(0, 2**63 - 1), seed=st.integers(0, 2**63 - 1), purpose=st.integers(0, 9))
def test_the_order_of_cells_is_the_same_on_every_machine_and_in_every_version(
    joinid: int, seed: int, purpose: int
) -> None:
    expected = mixed(joinid ^ mixed((seed + mixed(purpose + 1)) % 2**64))
    assert hash_cells(np.array([joinid]), seed, purpose).tolist() == [expected]


def test_no_two_cells_have_one_place_in_the_order() -> None:
    assert len(np.unique(hash_cells(np.arange(100_000), 0, 0))) == 100_000


@pytest.mark.parametrize("share", [0.0, 0.001, 0.5, 1.0])
def test_a_threshold_is_found_where_hashes_lie_outside_its_window(share: float) -> None:
    hashes = np.arange(1_000, dtype=np.uint64)  # all far below where uniform ones would be
    wanted = np.array([round(1_000 * share)])
    [threshold] = find_thresholds(lambda: [(np.zeros(1_000, np.int32), hashes)], np.array([1_000]), wanted)
    if 0 < share < 1:
        assert (hashes <= threshold).sum() == wanted[0]


@pytest.mark.parametrize(
    ("attributes", "message"),
    [
        ({}, "sample: give fraction, n_obs, or by"),
        ({"fraction": 0}, "sample.fraction: 0 is not a number above 0 and up to 1"),
        ({"fraction": 1.1}, "sample.fraction: 1.1 is not a number above 0"),
        ({"fraction": float("nan")}, "sample.fraction: nan is not a number above 0"),
        ({"fraction": True}, "sample.fraction: "),
        ({"fraction": 0.1, "n_obs": 5}, "sample.n_obs: give fraction or n_obs, not both"),
        ({"n_obs": 0}, "sample.n_obs: 0 is not a positive whole number"),
        ({"at_most": 5}, "sample.by: at_most is for groups; name the obs columns"),
        ({"by": ("tissue",), "fraction": 0.5}, "sample.by: give at_most, at_least or min_donors with it"),
        ({"by": ("tissue", "tissue"), "at_most": 5}, "sample.by: "),
        ({"by": ("tissue",), "min_donors": 1.5}, "sample.min_donors: 1.5 is not a positive whole number"),
        ({"n_obs": 5, "seed": -1}, "sample.seed: -1 is not a whole number from 0"),
    ],
)
def test_a_wrong_value_is_refused_with_the_name_of_its_attribute(attributes: dict, message: str) -> None:
    with pytest.raises(BadInput, match=f"^{re.escape(message)}"):
        Sample(**attributes)


def test_a_column_that_obs_does_not_have_is_named() -> None:
    with pytest.raises(BadInput, match=r"obs has no .*organ.*; it has soma_joinid, cell_type"):
        sampled(make_obs(10, 0), Sample(by=("organ",), at_most=1))
