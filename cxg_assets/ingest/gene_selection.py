"""Which genes a subset keeps: the attributes of `genes` in its YAML, checked, as plain frozen values."""

import re
from dataclasses import dataclass, fields, replace
from typing import Any

from cxg_assets.ingest.errors import BadInput, shown

FEATURE_ID = re.compile(r"[A-Za-z0-9_.:-]+")
"""What a feature_id is made of: Ensembl ids, and those of spike-ins. Gene symbols are made of the same."""

PAD, REFUSE = "pad", "refuse"
"""What may be done with genes of a vocabulary that var does not have."""

EVERY_DATASET = "every_dataset"

_VERSIONED = re.compile(r"(ENS[A-Z]*G\d+)\.\d+")
_HOW = "leave genes out to keep all genes"


def without_version(gene: str) -> str:
    """An Ensembl id without its version (`ENSG00000081237.12` is `ENSG00000081237`); anything else as it is."""
    versioned = _VERSIONED.fullmatch(gene)
    return versioned[1] if versioned else gene


@dataclass(frozen=True, kw_only=True)
class HighlyVariable:
    """The genes whose counts vary most, beyond what their mean explains, as `flavor="seurat_v3"` of scanpy ranks them.

    Attributes:
        n_top_genes: How many.
        batch: obs columns whose combinations of values are the batches: genes are ranked in each, and kept by their
            median rank. Empty for one ranking of all cells.

    Raises:
        BadInput: A value is outside what the attribute allows.
    """

    n_top_genes: int
    batch: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        where = "genes.highly_variable"
        if type(self.n_top_genes) is not int or self.n_top_genes < 1:
            raise BadInput(f"{where}.n_top_genes: {shown(self.n_top_genes)} is not a positive whole number")
        repeated = {column for column in self.batch if self.batch.count(column) > 1}
        if repeated:
            raise BadInput(f"{where}.batch: {shown(min(repeated))} is listed twice")

    @property
    def in_words(self) -> str:
        """For a person, like `the 2000 most variable by dataset_id`."""
        return f"the {self.n_top_genes} most variable{' by ' if self.batch else ''}{', '.join(self.batch)}"


@dataclass(frozen=True, kw_only=True)
class GeneSelection:
    """Which genes a subset keeps: those of a vocabulary, or those that everything else that is given lets pass.

    Genes are named by feature_id, with or without version, or by a feature_name that only one gene has.

    Attributes:
        value_filter: SOMA filter over var.
        feature_ids: Only these genes, in var's order.
        vocabulary: Exactly these genes, in this order; nothing else is given then but `absent`.
        absent: What is done with genes of the vocabulary that var does not have: `pad`, columns of zeros, or `refuse`.
        feature_type: Only genes of these types; empty for any.
        measured_in: `every_dataset` keeps the genes that every dataset of the cells has measured.
        highly_variable: Only the most variable of the genes that are left, in the cells of the subset.

    Raises:
        BadInput: A value is outside what the attribute allows, nothing is given, or what cannot be given together.
    """

    value_filter: str | None = None
    feature_ids: tuple[str, ...] | None = None
    vocabulary: tuple[str, ...] | None = None
    absent: str = PAD
    feature_type: tuple[str, ...] = ()
    measured_in: str | None = None
    highly_variable: HighlyVariable | None = None

    def __post_init__(self) -> None:
        if self.absent not in (PAD, REFUSE):
            raise BadInput(f"genes.absent: {shown(self.absent)} is unknown; choose one of {PAD}, {REFUSE}")
        given = self.given
        if not given.keys() - {"absent"} and self.absent != REFUSE:
            raise BadInput(
                "genes: give vocabulary, or any of value_filter, feature_ids, file, feature_type, measured_in and "
                f"highly_variable; {_HOW}"
            )
        others = [name for name in given if name not in ("vocabulary", "absent")]
        if self.vocabulary is not None and others:
            raise BadInput(f"genes.{others[0]}: the genes are those of vocabulary already; keep one of the two")
        if self.absent == REFUSE and self.vocabulary is None:
            raise BadInput("genes.absent: it is about a vocabulary, and there is none; take it out")
        if self.measured_in not in (None, EVERY_DATASET):
            raise BadInput(f"genes.measured_in: {shown(self.measured_in)} is unknown; it can be {EVERY_DATASET}")
        for name in ("feature_ids", "vocabulary"):
            _require_genes(f"genes.{name}", getattr(self, name))
        for kind in self.feature_type:
            if not isinstance(kind, str) or not kind.strip():
                raise BadInput(f"genes.feature_type: {shown(kind)} is no type of genes (like protein_coding)")
        repeated = {kind for kind in self.feature_type if self.feature_type.count(kind) > 1}
        if repeated:
            raise BadInput(f"genes.feature_type: {shown(min(repeated))} is listed twice")

    @property
    def given(self) -> dict[str, Any]:
        """What is given, by attribute; what has its default value is not."""
        values = {name: getattr(self, name) for name in _DEFAULTS}
        return {name: value for name, value in values.items() if value != _DEFAULTS[name]}

    @property
    def needs_cells(self) -> bool:
        """Whether the cells of the subset decide which genes are kept."""
        return self.measured_in is not None or self.highly_variable is not None

    @property
    def canonical(self) -> "GeneSelection":
        """The same for all that keep the same genes in the same order, as far as can be known without var."""
        ids, vocabulary = self.feature_ids, self.vocabulary
        return replace(
            self,
            feature_ids=None if ids is None else tuple(sorted({without_version(gene) for gene in ids})),
            vocabulary=None if vocabulary is None else tuple(without_version(gene) for gene in vocabulary),
            feature_type=tuple(sorted(self.feature_type)),
        )


_DEFAULTS = {field.name: field.default for field in fields(GeneSelection)}


def genes_in_words(genes: GeneSelection | None, n_vars: int, n_padded: int = 0) -> str:
    """The genes of a subset as chunks and cards tell them, like `412 with nnz >= 10`.

    Args:
        genes: What selected them.
        n_vars: How many there are.
        n_padded: Those of them that the Census does not have.
    """
    if genes is None:
        return f"all {n_vars}"
    if genes.vocabulary is not None:
        padded = f", {n_padded} of them not in the Census and zero" if n_padded else ""
        return f"{n_vars} in the order of a vocabulary{padded}"
    listed = "" if genes.feature_ids is None else f" of {len(genes.feature_ids)} listed"
    passing = "" if genes.value_filter is None else f" with {genes.value_filter}"
    kinds = f" of type {' or '.join(genes.feature_type)}" if genes.feature_type else ""
    measured = "" if genes.measured_in is None else " measured in every dataset"
    variable = "" if genes.highly_variable is None else f", {genes.highly_variable.in_words}"
    return f"{n_vars}{listed}{passing}{kinds}{measured}{variable}"


def _require_genes(attribute: str, genes: tuple[str, ...] | None) -> None:
    if genes is None:
        return
    if not genes:
        raise BadInput(f"{attribute}: the list is empty; {_HOW}")
    for gene in genes:
        if not FEATURE_ID.fullmatch(gene):
            raise BadInput(f"{attribute}: {shown(gene)} is not a feature_id (like ENSG00000081237)")
