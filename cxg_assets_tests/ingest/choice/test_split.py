"""Splits against what pandas counts: no group in two parts, shares as asked for where groups allow."""

import re

import numpy as np
import pandas as pd
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from cxg_assets.ingest.choice.split import SplitCells, split_cells
from cxg_assets.ingest.errors import BadInput
from cxg_assets.ingest.sampling import Split
from cxg_assets_tests.ingest.choice.obs_frames import CUTS, OBS, batches_of, joined, make_obs

SHARES = {"train": 0.8, "validation": 0.1, "test": 0.1}


def parts_of(obs: pd.DataFrame, split: Split, n_rows: int = 1_000) -> tuple[np.ndarray, SplitCells]:
    batches = batches_of(obs, n_rows)
    found = split_cells(split, batches)
    return joined(iter(batches()), found.part), found


@settings(max_examples=80, deadline=None)
@given(
    obs=OBS,
    n_rows=CUTS,
    by=st.sampled_from([(), ("donor_id",), ("tissue", "donor_id"), ("cell_type",)]),
    stratify=st.sampled_from([None, "cell_type"]),
    seed=st.integers(0, 5),
)
def test_no_group_is_in_two_parts_and_batches_do_not_matter(
    obs: pd.DataFrame, n_rows: int, by: tuple[str, ...], stratify: str | None, seed: int
) -> None:
    split = Split(by=by, shares={"train": 0.7, "test": 0.3}, stratify=stratify, seed=seed)
    n_groups = obs.groupby(list(by), dropna=False).ngroups if by else len(obs)
    if n_groups < 2:
        with pytest.raises(BadInput, match=r"^split: .* has no cell of"):
            parts_of(obs, split, n_rows)
        return
    assume(by or stratify is None)  # of strata of one cell each a part may get none
    part, found = parts_of(obs, split, n_rows)
    np.testing.assert_array_equal(found.n_obs, np.bincount(part, minlength=2))
    np.testing.assert_array_equal(part, parts_of(obs, split, len(obs))[0])
    if by:
        assert (obs.assign(part=part).groupby(list(by), dropna=False).part.nunique() == 1).all()


@pytest.mark.parametrize("stratify", [None, "cell_type"])
@pytest.mark.parametrize("by", [(), ("donor_id",), ("donor_id", "tissue")])
def test_shares_are_within_a_point_where_groups_allow(by: tuple[str, ...], stratify: str | None) -> None:
    obs = make_obs(60_000, 3, (5, 3, 400))
    part, found = parts_of(obs, Split(by=by, shares=SHARES, stratify=stratify))
    shares = np.bincount(part) / len(obs)
    assert np.abs(shares - list(SHARES.values())).max() < 0.01
    assert found.warning() is None
    if stratify is not None:
        of_types = pd.crosstab(obs.cell_type, part, normalize="index")
        assert np.abs(of_types - list(SHARES.values())).to_numpy().max() < 0.02


def test_each_cell_by_itself_gives_the_shares_to_the_cell() -> None:
    obs = make_obs(1_003, 4)
    assert np.bincount(parts_of(obs, Split(shares=SHARES))[0]).tolist() == [802, 101, 100]


def test_groups_that_cannot_be_divided_are_said() -> None:
    obs = make_obs(5_000, 5).assign(
        donor_id=lambda obs: np.where(obs.index < 3_000, "a", np.where(obs.index < 4_500, "b", "c"))
    )
    _, found = parts_of(obs, Split(by=("donor_id",), shares=SHARES))
    assert found.points_off == pytest.approx(20.0)
    assert "train has 60.0 % instead of 80.0 %" in str(found.warning())
    assert "the 3 groups of donor_id cannot be divided closer" in str(found.warning())


def test_another_seed_is_another_split_and_the_order_of_obs_does_not_matter() -> None:
    obs = make_obs(30_000, 6, (5, 3, 200))
    split = Split(by=("donor_id",), shares=SHARES)
    part, _ = parts_of(obs, split)
    other, _ = parts_of(obs, Split(by=("donor_id",), shares=SHARES, seed=1))
    assert 0.02 < (part != other).mean() < 0.6
    backwards = obs.iloc[::-1].reset_index(drop=True)
    np.testing.assert_array_equal(parts_of(backwards, split)[0][::-1], part)


def test_lists_are_held_out_and_the_rest_is_train() -> None:
    obs = make_obs(2_000, 7)
    held_out = {"test": ("donor_id 1", "donor_id 2"), "validation": ("donor_id 3",)}
    part, found = parts_of(obs, Split(by=("donor_id",), held_out=held_out))
    names = np.array(found.split.parts)[part]
    expected = obs.donor_id.map({"donor_id 1": "test", "donor_id 2": "test", "donor_id 3": "validation"}).fillna(
        "train"
    )
    np.testing.assert_array_equal(names, expected)
    assert found.points_off == 0


@pytest.mark.parametrize(
    ("attributes", "message"),
    [
        ({}, "split.shares: give shares or held_out, one of them"),
        ({"shares": {"train": 0.8, "test": 0.1}}, "split.shares: they sum to 0.9, not to 1"),
        ({"shares": {"train": 1.0}}, "split.shares.train: 1.0 is not a number between 0 and 1"),
        ({"shares": {"Train": 0.5, "test": 0.5}}, "split.shares: "),
        ({"held_out": {"test": ("a",)}}, "split.by: held_out lists values of one obs column"),
        ({"by": ("donor_id",), "held_out": {"test": ()}}, "split.held_out.test: the list is empty"),
        ({"by": ("donor_id",), "held_out": {"train": ("a",)}}, "split.held_out.train: train is what no list names"),
        ({"by": ("donor_id",), "held_out": {"test": ("a",), "b": ("a",)}}, "split.held_out.b: "),
        ({"by": ("donor_id",), "held_out": {"test": ("a",)}, "stratify": "tissue"}, "split.stratify: only shares"),
        ({"shares": SHARES, "seed": 2**63}, "split.seed: "),
    ],
)
def test_a_wrong_value_is_refused_with_the_name_of_its_attribute(attributes: dict, message: str) -> None:
    with pytest.raises(BadInput, match=f"^{re.escape(message)}"):
        Split(**attributes)


def test_a_value_that_no_cell_has_is_named() -> None:
    split = Split(by=("donor_id",), held_out={"test": ("nobody",)})
    with pytest.raises(BadInput, match=r"^split\.held_out\.test: no cell has donor_id .*nobody"):
        parts_of(make_obs(100, 0), split)
