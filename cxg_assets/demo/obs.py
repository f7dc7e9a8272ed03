"""The obs table of one organism: the labels of its text columns, how often each is used, and its rows."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from cxg_assets.demo.layout import OBS_TEXT_COLUMNS, obs_schema
from cxg_assets.demo.plan import OrganismPlan
from cxg_assets.demo.population import Cells, donor_hash
from cxg_assets.demo.sections import array_columns
from cxg_assets.demo.studies import ontology_ids, organ_of_tissue

_BASE85 = np.frombuffer(
    b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz!#$%&()*+-;<=>?@^_`{|}~", dtype=np.uint8
)

Codes = dict[str, npt.NDArray[np.int64]]
"""Column -> index into the column's labels, one entry a cell."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Vocabulary:
    """The labels that the text columns of one organism can hold, and which of them each cell has.

    Attributes:
        labels: Column -> its labels.
        by_dataset: Column decided by the dataset -> label of each dataset, (n_datasets,).
        by_donor: Column decided by the donor -> label of each donor, (n_datasets, max donors).
        by_tissue: The same for the tissue, (n_datasets, max tissues).
    """

    labels: dict[str, list[str]]
    by_dataset: Codes
    by_donor: Codes
    by_tissue: Codes

    def codes(self, cells: Cells) -> Codes:
        """Return the label of each cell, for every column."""
        return {
            "dataset_id": cells.dataset,
            "cell_type": cells.cell_type,
            **{column: table[cells.source] for column, table in self.by_dataset.items()},
            **{column: table[cells.source, cells.donor] for column, table in self.by_donor.items()},
            **{column: table[cells.source, cells.tissue] for column, table in self.by_tissue.items()},
        }


class Tally:
    """Counts, over all cells seen so far, how often each label of each column is used.

    Attributes:
        vocabulary: The labels.
        total: Column -> cells with each label, int64, (n_labels,).
        primary: The same for cells with `is_primary_data`.
        is_donor_of: Whether a dataset holds cells of a donor, bool, (n_datasets, n_donors).
    """

    def __init__(self, vocabulary: Vocabulary) -> None:
        """Start with no cells."""
        self.vocabulary = vocabulary
        n_labels = {column: len(labels) for column, labels in vocabulary.labels.items()}
        self.total = {column: np.zeros(n, np.int64) for column, n in n_labels.items()}
        self.primary = {column: np.zeros(n, np.int64) for column, n in n_labels.items()}
        self.is_donor_of = np.zeros((n_labels["dataset_id"], n_labels["donor_id"]), bool)

    @property
    def n_primary(self) -> int:
        """Number of cells with `is_primary_data`."""
        return int(self.primary["dataset_id"].sum())

    def add(self, cells: Cells) -> None:
        """Count more cells."""
        codes = self.vocabulary.codes(cells)
        for column, code in codes.items():
            n_labels = len(self.total[column])
            self.total[column] += np.bincount(code, minlength=n_labels)
            self.primary[column] += np.bincount(code[cells.is_primary], minlength=n_labels)
        self.is_donor_of[codes["dataset_id"], codes["donor_id"]] = True


def make_vocabulary(plan: OrganismPlan, cell_types: list[str]) -> Vocabulary:
    """Collect an organism's labels (`cell_types` as `Cells.cell_type` numbers them); decide its donors' traits."""
    datasets, organism, organs = plan.datasets, plan.organism, organ_of_tissue()
    studies = [dataset.study for dataset in datasets]
    tissues = list(dict.fromkeys(tissue for study in studies for tissue in study.tissues))
    donors = [(i, k) for i, dataset in enumerate(datasets) for k in range(dataset.n_donors)]
    labels = {
        "dataset_id": [dataset.dataset_id for dataset in datasets],
        "donor_id": [f"demo-{datasets[i].soma_joinid:02d}-donor-{k + 1:02d}" for i, k in donors],
        "suspension_type": sorted({study.suspension_type for study in studies}),
        "tissue_type": ["tissue"],
        "assay": list(dict.fromkeys(assay for study in studies for assay in study.assays)),
        "cell_type": cell_types,
        "development_stage": list(organism.development_stages),
        "disease": list(dict.fromkeys(disease for study in studies for disease in study.diseases)),
        "self_reported_ethnicity": list(organism.ethnicities),
        "sex": list(ontology_ids()["sex"]),
        "tissue": tissues,
        "tissue_general": list(dict.fromkeys(organs[tissue] for tissue in tissues)),
    }
    by_dataset = {column: np.zeros(len(datasets), np.int64) for column in ("suspension_type", "tissue_type")}
    hashed_traits = ("sex", "development_stage", "self_reported_ethnicity")
    shape = (len(datasets), max(dataset.n_donors for dataset in datasets))
    by_donor = {column: np.zeros(shape, np.int64) for column in ("donor_id", "assay", "disease", *hashed_traits)}
    shape = (len(datasets), max(len(study.tissues) for study in studies))
    by_tissue = {column: np.zeros(shape, np.int64) for column in ("tissue", "tissue_general")}
    for i, study in enumerate(studies):
        by_dataset["suspension_type"][i] = labels["suspension_type"].index(study.suspension_type)
        for k, tissue in enumerate(study.tissues):
            by_tissue["tissue"][i, k] = labels["tissue"].index(tissue)
            by_tissue["tissue_general"][i, k] = labels["tissue_general"].index(organs[tissue])
    for code, (i, k) in enumerate(donors):
        study = studies[i]
        by_donor["donor_id"][i, k] = code
        for trait, column in enumerate(hashed_traits):
            by_donor[column][i, k] = donor_hash(i, k, trait) % len(labels[column])
        by_donor["disease"][i, k] = labels["disease"].index(study.diseases[k % len(study.diseases)])
        if study.assays:
            assay = study.assays[k // len(study.diseases) % len(study.assays)]
            by_donor["assay"][i, k] = labels["assay"].index(assay)
    return Vocabulary(labels=labels, by_dataset=by_dataset, by_donor=by_donor, by_tissue=by_tissue)


class ObsTable:
    """Makes the rows of obs, with dictionaries that hold the labels in use, in alphabetical order, as pandas would.

    Attributes:
        schema: Schema of the rows.
    """

    def __init__(self, plan: OrganismPlan, tally: Tally, *, text_as_dictionary: bool) -> None:
        """Decide the dictionaries; `text_as_dictionary` is that of `build_census`."""
        self._plan = plan
        self._vocabulary = tally.vocabulary
        self._text_as_dictionary = text_as_dictionary
        self._recode: dict[str, tuple[str, npt.NDArray[np.int64], pa.Array]] = {}
        for column, labels in tally.vocabulary.labels.items():
            used = np.flatnonzero(tally.total[column])
            self._add_column(column, column, [labels[i] for i in used], used)
            if (ids := ontology_ids().get(column)) is not None:
                self._add_column(f"{column}_ontology_term_id", column, [ids[labels[i]] for i in used], used)
        text_types = {column: self._text_type(column) for column in OBS_TEXT_COLUMNS}
        self.schema = obs_schema(text_types, is_spatial=plan.organism.is_spatial)

    def rows(
        self, start: int, cells: Cells, statistics: npt.NDArray[np.void], n_measured_vars: npt.NDArray[np.int64]
    ) -> pa.Table:
        """Return the rows of some cells.

        Args:
            start: Joinid of the first cell.
            cells: The cells.
            statistics: What their raw counts are, `counts.CELL_STATISTICS`.
            n_measured_vars: Genes that each dataset measures, int64, (n_datasets,).
        """
        n_obs, codes = len(cells.key), self._vocabulary.codes(cells)
        nnz, raw_sum = statistics["nnz"].astype(np.int64), statistics["raw_sum"]
        # Counts are whole numbers, so these sums are exact and the textbook formula loses nothing.
        spread = statistics["raw_sum_of_squares"] - raw_sum**2 / np.maximum(nnz, 1)
        columns = {
            "soma_joinid": np.arange(start, start + n_obs, dtype=np.int64),
            "is_primary_data": cells.is_primary,
            "observation_joinid": _base85(cells.barcode),
            "raw_sum": raw_sum,
            "nnz": nnz,
            "raw_mean_nnz": raw_sum / np.maximum(nnz, 1),
            "raw_variance_nnz": np.where(nnz > 1, spread / np.maximum(nnz - 1, 1), 0.0),
            "n_measured_vars": n_measured_vars[cells.dataset],
            **(array_columns(self._plan, cells) if self._plan.organism.is_spatial else {}),
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
