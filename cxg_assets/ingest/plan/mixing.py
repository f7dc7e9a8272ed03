"""How well the cells of a plan are mixed: measured on its obs file, beside a permutation of the same cells."""

from dataclasses import dataclass

import numpy as np

from cxg_assets.ingest.storage.feather import FeatherFile, FeatherSource

WINDOW = 512
"""Cells in which datasets are counted: a usual batch of training."""

SMALL_WINDOW = 64
"""Cells of which the entropy of dataset_id is taken."""

MEASURED_OBS = 1_000_000
"""Cells at the beginning of the file that are looked at."""


@dataclass(frozen=True, kw_only=True)
class Mixing:
    """How many datasets a batch of consecutive cells is of.

    Attributes:
        datasets: Distinct dataset_id in `WINDOW` cells, on average.
        datasets_permuted: The same in a permutation of the same cells.
        entropy: Of dataset_id in `SMALL_WINDOW` cells, on average, as a share of a permutation's; 1 where all cells are
            of one dataset.
    """

    datasets: float
    datasets_permuted: float
    entropy: float

    @property
    def in_words(self) -> str:
        """The same for a person."""
        return (
            f"{self.datasets:.1f} datasets in {WINDOW} cells ({self.datasets_permuted:.1f} in a permutation), "
            f"entropy of {SMALL_WINDOW} cells {self.entropy:.2f} of a permutation's"
        )


def measure_mixing(obs: FeatherSource) -> Mixing | None:
    """Measures the first cells of a plan's obs file; None where it has no dataset_id.

    Args:
        obs: The file.
    """
    with FeatherFile(obs) as whole:
        if "dataset_id" not in whole.schema.names:
            return None
    labels: list[np.ndarray] = []
    number_of: dict[str, int] = {}
    with FeatherFile(obs, columns=["dataset_id"]) as file:
        for batch in file.batches():
            column = batch["dataset_id"]
            encoded = column if hasattr(column, "dictionary") else column.dictionary_encode()
            numbers = np.array([number_of.setdefault(str(name), len(number_of)) for name in encoded.dictionary])
            labels.append(numbers[encoded.indices.to_numpy()])
            if sum(map(len, labels)) >= MEASURED_OBS:
                break
    cells = np.concatenate(labels)[:MEASURED_OBS]
    permuted = np.random.default_rng(0).permutation(cells)
    small = (_windows(order, SMALL_WINDOW) for order in (cells, permuted))
    entropy, best = (_entropy(counts) for counts in small)
    counts, of_permuted = (_windows(order, WINDOW) for order in (cells, permuted))
    return Mixing(
        datasets=round(float(_distinct(counts)), 2),
        datasets_permuted=round(float(_distinct(of_permuted)), 2),
        entropy=round(float(entropy / best), 4) if best > 0 else 1.0,
    )


def _windows(labels: np.ndarray, size: int) -> list[np.ndarray]:
    """The counts of the labels that occur in each whole window; in all cells where there are fewer than a window."""
    size = min(size, len(labels))
    whole = labels[: len(labels) // size * size].reshape(-1, size)
    return [np.bincount(window) for window in whole]


def _distinct(windows: list[np.ndarray]) -> float:
    return float(np.mean([np.count_nonzero(counts) for counts in windows]))


def _entropy(windows: list[np.ndarray]) -> float:
    shares = (counts[counts > 0] / counts.sum() for counts in windows)
    return float(np.mean([-(share * np.log(share)).sum() for share in shares]))
