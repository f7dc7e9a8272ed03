"""What is other between two releases of the Census, as a value."""

from collections.abc import Mapping
from dataclasses import dataclass

from cxg_assets.ingest.quantities import counted


@dataclass(frozen=True, kw_only=True)
class DatasetChange:
    """A source dataset of which cells are other.

    Attributes:
        dataset_id: Its id.
        title: As the later release has it, or else the earlier.
        n_before: Cells of the subset in the earlier release.
        n_after: In the later.
        n_new: Cells that only the later one has.
        n_gone: Cells that only the earlier one has.
        n_changed: Cells of both with another label or other counts.
        is_replaced: Whether it is there in another version.
    """

    dataset_id: str
    title: str
    n_before: int
    n_after: int
    n_new: int
    n_gone: int
    n_changed: int
    is_replaced: bool


@dataclass(frozen=True, kw_only=True)
class Relabelling:
    """So many cells whose column was `before` and is `after`."""

    column: str
    before: str
    after: str
    n_obs: int


@dataclass(frozen=True, kw_only=True)
class ReleaseChanges:
    """The difference.

    Attributes:
        before: Build of the earlier release.
        after: Of the later.
        n_before: Cells that pass the subset's filter in the earlier one.
        n_after: In the later.
        n_new: Cells that only the later one has.
        n_gone: Cells that only the earlier one has; those that no longer pass the filter are among them.
        n_changed: Cells of both with another label or other counts.
        changed: By column, cells of both that have another value; the columns that were compared.
        relabellings: Labels that became others, by number of cells, the most first.
        datasets: Datasets of which anything is other, by number of cells that are.
        genes_new: feature_ids that only the later one has, of those that the subset selects.
        genes_gone: Those that only the earlier one has.
        genes_renamed: How many of both have another feature_name.
    """

    before: str
    after: str
    n_before: int
    n_after: int
    n_new: int
    n_gone: int
    n_changed: int
    changed: Mapping[str, int]
    relabellings: tuple[Relabelling, ...]
    datasets: tuple[DatasetChange, ...]
    genes_new: tuple[str, ...]
    genes_gone: tuple[str, ...]
    genes_renamed: int

    @property
    def in_words(self) -> str:
        """The figures for a person, of the cells that pass the filter, before sample, quality and max_obs."""
        n_replaced = sum(dataset.is_replaced for dataset in self.datasets)
        return (
            f"since Census build {self.before}: {self.n_new:,} new cells, {self.n_gone:,} gone, {self.n_changed:,} "
            f"with other labels or counts, of {self.n_before:,} that passed the filter and {self.n_after:,} that pass "
            f"it now; {counted(n_replaced, 'dataset')} in another version; genes: {len(self.genes_new):,} new, "
            f"{len(self.genes_gone):,} gone"
        )
