"""Quality of cells by their counts, as a subset's YAML asks for it: columns, a filter and outliers, checked."""

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass, replace

from cxg_assets.ingest.errors import BadInput, shown

KINDS = ("share", "nnz", "counts")
"""What a column says of the genes of its set: their share of all counts, how many have counts, their counts."""

_NAME = re.compile("[A-Za-z_][A-Za-z0-9_]{0,62}")

_OF_FILTERS = {"and", "or", "not", "in", "True", "False", "None", "contains", "descendants"}
"""Words of the language of filters, which no column can be called."""


@dataclass(frozen=True, kw_only=True)
class QualityColumn:
    """A further obs column of the chunks, of counts in X/raw.

    Attributes:
        name: Of the column.
        kind: One of `KINDS`.
        feature_name: Patterns with `*`, `?` and `[…]`: the set has the genes whose name matches one, in its own case.
        feature_ids: Instead of patterns, the genes.

    Raises:
        BadInput: A value is outside what the attribute allows.
    """

    name: str
    kind: str
    feature_name: tuple[str, ...] = ()
    feature_ids: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if not _NAME.fullmatch(self.name) or self.name in _OF_FILTERS:
            raise BadInput(
                f"quality.columns: {shown(self.name)} cannot be the name of a column; use letters, digits and "
                "underscores, starting with a letter, at most 63"
            )
        if self.kind not in KINDS:
            raise BadInput(f"{self.where}: {shown(self.kind)} is unknown; choose one of {', '.join(KINDS)}")
        if bool(self.feature_name) == bool(self.feature_ids):
            raise BadInput(f"{self.where}.{self.kind}: give feature_name, feature_ids or file, one of them")
        for pattern in self.feature_name:
            if not pattern.strip():
                raise BadInput(f"{self.where}.{self.kind}.feature_name: a pattern is empty; write one like MT-*")

    @property
    def where(self) -> str:
        """Its attribute, for messages."""
        return f"quality.columns.{self.name}"

    @property
    def canonical(self) -> "QualityColumn":
        """The same for all that list the same patterns or genes."""
        names, ids = (tuple(sorted(set(listed))) for listed in (self.feature_name, self.feature_ids))
        return replace(self, feature_name=names, feature_ids=ids)

    @property
    def in_words(self) -> str:
        """What is given, like `mt_share (share of MT-*)`."""
        of = " and ".join(self.feature_name) or f"{len(self.feature_ids):,} listed genes"
        return f"{self.name} ({self.kind} of {of})"


@dataclass(frozen=True, kw_only=True)
class Outliers:
    """Cells that are far from the median of their group in one of some columns are left out.

    Attributes:
        columns: Numbers of obs, or columns of the quality.
        by: obs columns whose combinations of values are the groups; with none all cells are one.
        n_mads: How far: in median absolute deviations of the group.

    Raises:
        BadInput: A value is outside what the attribute allows.
    """

    columns: tuple[str, ...]
    by: tuple[str, ...] = ()
    n_mads: float = 5.0

    def __post_init__(self) -> None:
        if not self.columns:
            raise BadInput("quality.outliers.columns: name the columns in which a cell must not be far out")
        for attribute, listed in (("columns", self.columns), ("by", self.by)):
            if repeated := {name for name in listed if listed.count(name) > 1}:
                raise BadInput(f"quality.outliers.{attribute}: {shown(min(repeated))} is listed twice")
        is_number = isinstance(self.n_mads, int | float) and not isinstance(self.n_mads, bool)
        if not is_number or not math.isfinite(self.n_mads) or self.n_mads <= 0:
            raise BadInput(f"quality.outliers.n_mads: {shown(self.n_mads)} is not a number above 0")

    @property
    def canonical(self) -> "Outliers":
        """The same for all that leave out the same cells."""
        return replace(self, columns=tuple(sorted(self.columns)), by=tuple(sorted(self.by)), n_mads=float(self.n_mads))

    @property
    def in_words(self) -> str:
        """What is given, like `mt_share and raw_sum by dataset_id, n_mads 5`."""
        by = f" by {' and '.join(self.by)}" if self.by else ""
        return f"{' and '.join(self.columns)}{by}, n_mads {self.n_mads:g}"


@dataclass(frozen=True, kw_only=True)
class Quality:
    """What is computed of the counts of each cell that passes the filter, and which cells are kept by it.

    Attributes:
        columns: Further obs columns, in this order after the Census's own.
        keep: Filter over these and the Census's obs columns; None keeps all.
        outliers: Which of the cells that are left are left out; None leaves out none.

    Raises:
        BadInput: A value is outside what the attribute allows.
    """

    columns: tuple[QualityColumn, ...] = ()
    keep: str | None = None
    outliers: Outliers | None = None

    def __post_init__(self) -> None:
        if not self.columns and self.keep is None and self.outliers is None:
            raise BadInput("quality: give columns, keep or outliers")
        if self.keep is not None and not self.keep.strip():
            raise BadInput("quality.keep: the filter is empty; leave it out to keep every cell")

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the columns."""
        return tuple(column.name for column in self.columns)

    def spelled(self, keep: str | None) -> "Quality":
        """The same for all that compute and keep the same, with another spelling of the filter."""
        columns = tuple(column.canonical for column in self.columns)
        return replace(self, columns=columns, keep=keep, outliers=self.outliers and self.outliers.canonical)

    def identity(self, genes: Mapping[str, tuple[str, ...]]) -> list[object]:
        """All that decides what is computed and kept, as JSON knows it: the genes, and not what they were found by.

        Args:
            genes: feature_ids of the set of each column.
        """
        columns = [[column.name, column.kind, list(genes[column.name])] for column in self.columns]
        return [columns, self.keep, self.outliers and [self.outliers.columns, self.outliers.by, self.outliers.n_mads]]

    @property
    def in_words(self) -> str:
        """What is given, like `mt_share (share of MT-*); keep mt_share < 0.2`."""
        return self._in_words(self.told("columns"))

    def of_genes(self, genes: Mapping[str, tuple[str, ...]]) -> str:
        """The same, with the numbers of genes in place of what they were found by.

        Args:
            genes: feature_ids of the set of each column.
        """
        return self._in_words(", ".join(f"{c.name} ({c.kind} of {len(genes[c.name]):,} genes)" for c in self.columns))

    def told(self, attribute: str) -> str:
        """What is given of `columns` or `outliers`."""
        if attribute == "columns":
            return ", ".join(column.in_words for column in self.columns)
        return "none" if self.outliers is None else self.outliers.in_words

    def _in_words(self, columns: str) -> str:
        keep = "" if self.keep is None else f"keep {self.keep}"
        outliers = "" if self.outliers is None else f"no outliers of {self.outliers.in_words}"
        return "; ".join(part for part in (columns, keep, outliers) if part)
