"""The obs table of one organism: the terms of its text columns, how often each is used, and its rows."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from cxg_assets.demo.counts import CellStatistics
from cxg_assets.demo.labels import CELL_TYPES, LABELLED_COLUMNS, PLAIN_TEXT_COLUMNS, SEXES, Term
from cxg_assets.demo.layout import OBS_TEXT_COLUMNS, obs_schema
from cxg_assets.demo.plan import OrganismPlan
from cxg_assets.demo.population import Cells, donor_hash

_BASE85 = np.frombuffer(
    b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz!#$%&()*+-;<=>?@^_`{|}~", dtype=np.uint8
)

Codes = dict[str, npt.NDArray[np.int64]]
"""Column -> index into the column's terms, one entry a cell."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Vocabulary:
    """The terms that the text columns of one organism can hold, and which of them each cell has.

    Attributes:
        terms: Column (`LABELLED_COLUMNS` and `PLAIN_TEXT_COLUMNS`) -> its terms; a plain column's have
            the label as id.
        by_dataset: Column decided by the dataset -> term of each dataset, (n_datasets,).
        by_donor: Column decided by the donor -> term of each donor, (n_datasets, max donors).
        by_tissue: The same for the tissue, (n_datasets, max tissues).
    """

    terms: dict[str, tuple[Term, ...]]
    by_dataset: Codes
    by_donor: Codes
    by_tissue: Codes

    def codes(self, cells: Cells) -> Codes:
        """Return the term of each cell, for every column."""
        return {
            "dataset_id": cells.dataset,
            "cell_type": cells.cell_type,
            **{column: table[cells.source] for column, table in self.by_dataset.items()},
            **{column: table[cells.source, cells.donor] for column, table in self.by_donor.items()},
            **{column: table[cells.source, cells.tissue] for column, table in self.by_tissue.items()},
        }


class Tally:
    """Counts, over all cells seen so far, how often each term of each column is used.

    Attributes:
        total: Column -> cells with each term, int64, (n_terms,).
        primary: The same for cells with `is_primary_data`.
        is_donor_of: Whether a dataset holds cells of a donor, bool, (n_datasets, n_donors).
    """

    def __init__(self, vocabulary: Vocabulary) -> None:
        """Start with no cells."""
        self.total = {column: np.zeros(len(terms), np.int64) for column, terms in vocabulary.terms.items()}
        self.primary = {column: np.zeros(len(terms), np.int64) for column, terms in vocabulary.terms.items()}
        self.is_donor_of = np.zeros((len(vocabulary.terms["dataset_id"]), len(vocabulary.terms["donor_id"])), bool)

    def add(self, codes: Codes, is_primary: npt.NDArray[np.bool_]) -> None:
        """Count more cells."""
        for column, code in codes.items():
            n_terms = len(self.total[column])
            self.total[column] += np.bincount(code, minlength=n_terms)
            self.primary[column] += np.bincount(code[is_primary], minlength=n_terms)
        self.is_donor_of[codes["dataset_id"], codes["donor_id"]] = True


def make_vocabulary(plan: OrganismPlan, cell_types: list[str]) -> Vocabulary:
    """Collect the terms of an organism and decide the traits of its donors.

    Args:
        plan: The organism's datasets.
        cell_types: Labels that `Cells.cell_type` refers to.
    """
    datasets, organism = plan.datasets, plan.organism
    studies = [dataset.study for dataset in datasets]
    tissues = list(dict.fromkeys(tissue for study in studies for tissue in study.tissues))
    suspension_types = sorted({study.suspension_type for study in studies})
    donors = [(i, k) for i, dataset in enumerate(datasets) for k in range(dataset.n_donors)]
    terms = {
        "dataset_id": tuple(_plain(dataset.dataset_id) for dataset in datasets),
        "donor_id": tuple(_plain(f"demo-{datasets[i].soma_joinid:02d}-donor-{k + 1:02d}") for i, k in donors),
        "suspension_type": tuple(_plain(label) for label in suspension_types),
        "tissue_type": (_plain("tissue"),),
        "assay": tuple(dict.fromkeys(term for study in studies for term in study.assays)),
        "cell_type": tuple(CELL_TYPES[label] for label in cell_types),
        "development_stage": organism.stages,
        "disease": tuple(dict.fromkeys(term for study in studies for term in study.diseases)),
        "self_reported_ethnicity": organism.ethnicities,
        "sex": SEXES,
        "tissue": tuple(tissue.term for tissue in tissues),
        "tissue_general": tuple(dict.fromkeys(tissue.general for tissue in tissues)),
    }

    shape = (len(datasets), max(dataset.n_donors for dataset in datasets))
    columns = ("donor_id", "assay", "disease", "sex", "development_stage", "self_reported_ethnicity")
    by_donor = {column: np.zeros(shape, np.int64) for column in columns}
    for joinid, (i, k) in enumerate(donors):
        study = studies[i]
        by_donor["donor_id"][i, k] = joinid
        by_donor["sex"][i, k] = donor_hash(i, k, 0) % len(SEXES)
        by_donor["development_stage"][i, k] = donor_hash(i, k, 1) % len(organism.stages)
        by_donor["self_reported_ethnicity"][i, k] = donor_hash(i, k, 2) % len(organism.ethnicities)
        by_donor["disease"][i, k] = terms["disease"].index(study.diseases[k % len(study.diseases)])
        if study.assays:
            assay = study.assays[k // len(study.diseases) % len(study.assays)]
            by_donor["assay"][i, k] = terms["assay"].index(assay)

    by_tissue = {
        column: np.zeros((len(datasets), max(len(study.tissues) for study in studies)), np.int64)
        for column in ("tissue", "tissue_general")
    }
    for i, study in enumerate(studies):
        for k, tissue in enumerate(study.tissues):
            by_tissue["tissue"][i, k] = terms["tissue"].index(tissue.term)
            by_tissue["tissue_general"][i, k] = terms["tissue_general"].index(tissue.general)
    return Vocabulary(
        terms=terms,
        by_dataset={
            "suspension_type": np.array([suspension_types.index(study.suspension_type) for study in studies]),
            "tissue_type": np.zeros(len(datasets), np.int64),
        },
        by_donor=by_donor,
        by_tissue=by_tissue,
    )


class ObsTable:
    """Makes the rows of obs, with dictionaries that hold the terms in use, in alphabetical order, as pandas would.

    Attributes:
        schema: Schema of the rows.
    """

    def __init__(self, vocabulary: Vocabulary, tally: Tally, *, text_as_dictionary: bool) -> None:
        """Decide the dictionaries.

        Args:
            vocabulary: The organism's terms.
            tally: How often each is used.
            text_as_dictionary: Whether text columns are dictionaries, or plain large strings as in older releases.
        """
        self._text_as_dictionary = text_as_dictionary
        self._recode: dict[str, tuple[str, npt.NDArray[np.int64], pa.Array]] = {}
        for column in (*LABELLED_COLUMNS, *PLAIN_TEXT_COLUMNS):
            used = np.flatnonzero(tally.total[column])
            terms = vocabulary.terms[column]
            self._add_column(column, column, [terms[i].label for i in used], used)
            if column in LABELLED_COLUMNS:
                self._add_column(f"{column}_ontology_term_id", column, [terms[i].id for i in used], used)
        self.schema = obs_schema({column: self._text_type(column) for column in OBS_TEXT_COLUMNS})

    def rows(
        self,
        start: int,
        cells: Cells,
        codes: Codes,
        statistics: CellStatistics,
        n_measured_vars: npt.NDArray[np.int64],
    ) -> pa.Table:
        """Return the rows of some cells.

        Args:
            start: Joinid of the first cell.
            cells: The cells.
            codes: Their terms.
            statistics: Their raw counts.
            n_measured_vars: Genes that each dataset measures, int64, (n_datasets,).
        """
        n_obs = len(cells.key)
        nnz, raw_sum = statistics.nnz.astype(np.int64), statistics.raw_sum
        # Counts are whole numbers, so these sums are exact and the textbook formula loses nothing.
        spread = statistics.raw_sum_of_squares - raw_sum**2 / np.maximum(nnz, 1)
        columns = {
            "soma_joinid": np.arange(start, start + n_obs, dtype=np.int64),
            "is_primary_data": cells.is_primary,
            "observation_joinid": _base85(cells.barcode),
            "raw_sum": raw_sum,
            "nnz": nnz,
            "raw_mean_nnz": raw_sum / np.maximum(nnz, 1),
            "raw_variance_nnz": np.where(nnz > 1, spread / np.maximum(nnz - 1, 1), 0.0),
            "n_measured_vars": n_measured_vars[cells.dataset],
            **{name: self._text(name, codes) for name in OBS_TEXT_COLUMNS},
        }
        return pa.table([pa.array(columns[name]) for name in self.schema.names], schema=self.schema)

    def _add_column(self, name: str, source: str, labels: list[str], used: npt.NDArray[np.int64]) -> None:
        order = sorted(range(len(labels)), key=labels.__getitem__)
        recode = np.full(int(used.max()) + 1, -1, np.int64)
        recode[used[order]] = np.arange(len(order))
        self._recode[name] = (source, recode, pa.array([labels[i] for i in order], pa.large_string()))

    def _text_type(self, name: str) -> pa.DataType:
        if not self._text_as_dictionary:
            return pa.large_string()
        n_labels = len(self._recode[name][2])
        return pa.dictionary(pa.int8() if n_labels <= 127 else pa.int16(), pa.large_string())

    def _text(self, name: str, codes: Codes) -> pa.Array:
        source, recode, labels = self._recode[name]
        index = recode[codes[source]]
        if not self._text_as_dictionary:
            return labels.take(pa.array(index))
        return pa.DictionaryArray.from_arrays(pa.array(index, self._text_type(name).index_type), labels)


def _plain(label: str) -> Term:
    return Term(label, label)


def _base85(number: npt.NDArray[np.uint64]) -> pa.Array:
    """Write each number as CELLxGENE writes `observation_joinid`: 8 bytes, big-endian, in base 85."""
    digits = np.empty((len(number), 10), np.uint8)
    for half, shift in enumerate((32, 0)):
        rest = (number >> np.uint64(shift)) & np.uint64(0xFFFFFFFF)
        for place in range(4, -1, -1):
            rest, digit = np.divmod(rest, np.uint64(85))
            digits[:, half * 5 + place] = _BASE85[digit]
    offsets = np.arange(0, digits.size + 1, 10, dtype=np.int64)
    return pa.LargeStringArray.from_buffers(len(number), pa.py_buffer(offsets), pa.py_buffer(digits))
