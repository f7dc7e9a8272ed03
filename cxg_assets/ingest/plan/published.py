"""What is published: `dataset.json`, the pointer that readers start from."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from cxg_assets.ingest.errors import CxgError
from cxg_assets.ingest.layout import dataset_path
from cxg_assets.ingest.plan.chunk_plan import PlanHeader
from cxg_assets.ingest.plan.earlier_versions import upgraded_header
from cxg_assets.ingest.records import decode
from cxg_assets.ingest.storage.store import Store

MAX_LABELS = 10_000
"""Values of a column that are listed: text for a model to predict, and not a name of each cell."""


@dataclass(frozen=True, kw_only=True)
class Dataset:
    """What `dataset.json` says: which plan of a subset is published.

    Attributes:
        header: What all its chunks share. Of a dataset that was published by a version whose `dataset.json` did not
            hold it, what the file does not tell is empty or 0; plan.parquet has it.
        nnz: Non-zeros.
        n_chunks: Files.
        n_bytes: Bytes of all chunks.
        manifest_path: Relative to the destination.
        published_at: UTC, ISO 8601.
        measured_sha256: SHA-256 (hex) of measured.parquet; empty where the Census does not tell what was measured, and
            of datasets of before.
        labels: For each categorical obs column of the chunks its values: the place of a value is its code in every
            chunk, so a label to train on. Columns with more than `MAX_LABELS` are left out; datasets of before have
            none.
        n_labels_left_out: How many values the columns have that are left out.
        collections: Of zarr chunks, the groups that annbatch opens, one for each part of a split: SHA-256 (hex) of what
            makes them groups (`<part>.zarr/zarr.json`), by its path relative to the destination. Empty for h5ad.
        changes: What changed from the dataset of the subset that was published before, a line each, for a person.
    """

    header: PlanHeader
    nnz: int
    n_chunks: int
    n_bytes: int
    manifest_path: str
    published_at: str
    measured_sha256: str = ""
    labels: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    n_labels_left_out: Mapping[str, int] = field(default_factory=dict)
    collections: Mapping[str, str] = field(default_factory=dict)
    changes: tuple[str, ...] = ()

    @property
    def labels_in_words(self) -> str:
        """Which obs columns have labels, and how many, for a person; empty for none."""
        listed = ", ".join(f"{name} {len(values):,}" for name, values in self.labels.items())
        left_out = ", ".join(f"{name} {n:,}" for name, n in self.n_labels_left_out.items())
        told = f"{listed}; the same codes in all files, listed in dataset.json" if listed else ""
        return "; ".join(filter(None, [told, f"not listed, as they are too many: {left_out}" if left_out else ""]))

    @property
    def sums(self) -> dict[str, int]:
        """What it says of all chunks together, to be compared with what they are."""
        subset = self.header.subset
        own = {"nnz": self.nnz, "n_chunks": self.n_chunks, "n_bytes": self.n_bytes}
        return {"n_obs": subset.n_obs, "n_vars": subset.n_vars, **own}


def remedy(store: Store, header: PlanHeader) -> str:
    """What to do about a damaged chunk of a plan, in words that end an error."""
    try:
        is_published = read_dataset(store, header.subset.name).header.plan_id == header.plan_id
    except (CxgError, FileNotFoundError):
        is_published = False
    if is_published:
        return f"{store.follow_up('verify', header.subset.name, '--repair')} makes it again"
    return "delete it and run again"


def read_dataset(store: Store, subset_name: str) -> Dataset:
    """Reads which plan of a subset is published.

    Raises:
        FileNotFoundError: None is.
        WrongRecord: dataset.json is not one of this version.
    """
    path = dataset_path(subset_name)
    text = store.get(path)
    return decode(Dataset, text, path=store.uri(path), remedy="materialize dataset again", upgrade=_upgraded)


def _upgraded(fields: dict[str, Any]) -> dict[str, Any]:
    """The fields of a dataset, of which earlier versions told some of the header's one by one."""
    if "header" in fields:
        return fields
    own = ("nnz", "n_chunks", "n_bytes", "manifest_path", "published_at", "measured_sha256", "collections")
    of_header = {name: value for name, value in fields.items() if name not in own}
    unknown = {"subset_fingerprint": "", "x_uri": "", "compression": "", "chunk_size": 0, "encoding_version": 0}
    header = upgraded_header(unknown | of_header)
    return {name: fields[name] for name in own if name in fields} | {"header": header}
