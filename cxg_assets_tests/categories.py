"""Categories as a subset has them, made by pandas."""

from typing import Any

import pandas as pd


def as_in_subset(frame: pd.DataFrame, of: pd.DataFrame | None = None) -> pd.DataFrame:
    """The same rows, with the categories that the cells of a whole subset have, sorted.

    Args:
        frame: obs of some of its cells, with the categories of the Census.
        of: obs of all of them; by default these are all.
    """
    whole = frame if of is None else of
    return frame.assign(
        **{name: frame[name].cat.set_categories(used(whole[name])) for name in frame.select_dtypes("category")}
    )


def used(values: Any) -> list[str]:
    """The values of a column that occur, sorted."""
    return sorted(values.dropna().unique())
