"""Which values are far from the median of their group, in median absolute deviations."""

import numpy as np


def is_outlier(values: np.ndarray, groups: np.ndarray, n_groups: int, n_mads: float) -> np.ndarray:
    """Tells which values are further from the median of their group than so many of its absolute deviations.

    A value that is missing is no outlier, and counts for no median. Memory: some 40 bytes a value.

    Args:
        values: (n,) numbers, compared as float64.
        groups: (n,) the group of each, 0 to n_groups - 1.
        n_groups: How many groups there are.
        n_mads: Median absolute deviations from the median, up to which a value is no outlier.

    Returns:
        (n,) bool.
    """
    numbers = values.astype(np.float64)
    median = _medians(numbers, groups, n_groups)[groups]
    far = n_mads * _medians(np.abs(numbers - median), groups, n_groups)[groups]
    return (numbers < median - far) | (median + far < numbers)


def _medians(values: np.ndarray, groups: np.ndarray, n_groups: int) -> np.ndarray:
    """The median of each group, (n_groups,) float64; NaN of one without values."""
    is_there = ~np.isnan(values)
    values, groups = values[is_there], groups[is_there]
    order = np.lexsort((values, groups))
    values = values[order]
    n_values = np.bincount(groups, minlength=n_groups)
    first = np.cumsum(n_values) - n_values
    medians = np.full(n_groups, np.nan)
    has_any = n_values > 0
    low = (first + (n_values - 1) // 2)[has_any]
    high = (first + n_values // 2)[has_any]
    medians[has_any] = (values[low] + values[high]) / 2
    return medians
