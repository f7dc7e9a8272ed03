"""Names of everything at a destination. Paths are relative to the store's URL.

    index/<release version>/<experiment>.feather       census index, in the default store; .json beside it
    <subset>/subset/<fingerprint>/obs.feather          cells of the subset
    <subset>/subset/<fingerprint>/var.feather          genes of the subset
    <subset>/subset/<fingerprint>/subset.json          what is known of the two
    <subset>/<plan id>/plan.parquet                    the chunk table
    <subset>/<plan id>/obs.feather                     its cells in order, where that is not the subset's
    <subset>/<plan id>/<chunk>-<fingerprint>.h5ad      chunks, with format h5ad
    <subset>/<plan id>/<part>.zarr/dataset_<chunk>_<fingerprint>/    chunks, with format zarr: many objects, of which
                                                       zarr.json is stored last; <part> is collection without a split
    <subset>/<plan id>/<part>.zarr/zarr.json           what makes them a collection
    <subset>/<plan id>/manifest.parquet, README.md, citations.csv, measured.parquet
    <subset>/<plan id>/parquet/                        its export: README.md, genes.parquet, citations.csv, data/<part>/
    <subset>/<plan id>/pieces-<run id>/                of fully shuffled cells, until their chunks are stored
    <subset>/<plan id>/writing-<run id>.json           while a run writes chunks of the plan or publishes it
    <subset>/dataset.json                              points to the plan that is published
    <corpus>/README.md, corpus.json                    names the datasets of several organisms of one YAML

Folder names hold a digest of what made them, so a change of inputs never writes over files that somebody reads. A JSON
file is written after the files it tells of: where it is, they are whole.
"""

import re

from cxg_assets.ingest.errors import CxgError, shown

N_DIGITS = 16
"""Hex digits of a fingerprint in a name: 64 bits, so names of one folder do not collide by chance."""

INDEX_FOLDER = "index"
"""Holds a folder for each release, in the default store."""

PARQUET = "parquet"
"""Folder of the export in that of its plan. Files of another form get another name."""

EXPORTED_FILES = ("README.md", "genes.parquet", "citations.csv")
"""What an export has besides the files of chunks."""

PIECES = "pieces-"
"""Begins the name of the folder of a run's pieces."""

_PLAIN = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")

_ZARR_CHUNK = re.compile(r"[^/]+/[^/]+/[^/]+\.zarr/dataset_[^/]+/zarr\.json")

_MARK = re.compile(r".+/writing-[A-Za-z0-9-]+\.json")


def index_path(release_version: str, experiment: str) -> str:
    """The census index of one experiment of a release, by the name that `spec.experiment_name` gives it."""
    return f"{_index_folder(release_version)}/{experiment}.feather"


def index_json_path(release_version: str, experiment: str) -> str:
    """What is known of a census index."""
    return f"{_index_folder(release_version)}/{experiment}.json"


def subset_obs_path(subset_name: str, fingerprint: str) -> str:
    """The cells of a filtered subset."""
    return f"{subset_name}/subset/{fingerprint[:N_DIGITS]}/obs.feather"


def subset_var_path(subset_name: str, fingerprint: str) -> str:
    """The genes of a filtered subset."""
    return f"{subset_name}/subset/{fingerprint[:N_DIGITS]}/var.feather"


def subset_json_path(subset_name: str, fingerprint: str) -> str:
    """What is known of a filtered subset."""
    return f"{subset_name}/subset/{fingerprint[:N_DIGITS]}/subset.json"


def plan_folder(subset_name: str, plan_id: str) -> str:
    """The folder of one plan: its table, its chunks and its dataset files."""
    return f"{subset_name}/{plan_id}"


def plan_path(subset_name: str, plan_id: str) -> str:
    """The chunk table."""
    return f"{plan_folder(subset_name, plan_id)}/plan.parquet"


def plan_obs_path(subset_name: str, plan_id: str) -> str:
    """The cells of a plan that orders them in a way of its own."""
    return f"{plan_folder(subset_name, plan_id)}/obs.feather"


def chunk_path(subset_name: str, plan_id: str, chunk: str, fingerprint: str) -> str:
    """One chunk."""
    return f"{plan_folder(subset_name, plan_id)}/{chunk}-{fingerprint[:N_DIGITS]}.h5ad"


def zarr_chunk_path(subset_name: str, plan_id: str, part: str | None, chunk: str, fingerprint: str) -> str:
    """The folder of one chunk; annbatch knows the datasets of a collection by such names, and sorts them by number."""
    return f"{collection_folder(subset_name, plan_id, part)}/dataset_{chunk}_{fingerprint[:N_DIGITS]}"


def collection_folder(subset_name: str, plan_id: str, part: str | None) -> str:
    """The folder of the zarr chunks of a plan, or of a part of its split."""
    return f"{plan_folder(subset_name, plan_id)}/{part or 'collection'}.zarr"


def collection_path(subset_name: str, plan_id: str, part: str | None) -> str:
    """What makes such a folder a zarr group."""
    return f"{collection_folder(subset_name, plan_id, part)}/zarr.json"


def is_chunk(path: str) -> bool:
    """Whether an object is a chunk, or the one of a chunk's objects that is stored last."""
    return path.endswith(".h5ad") or _ZARR_CHUNK.fullmatch(path) is not None


def manifest_path(subset_name: str, plan_id: str) -> str:
    """The list of chunks with sizes and checksums."""
    return f"{plan_folder(subset_name, plan_id)}/manifest.parquet"


def card_path(subset_name: str, plan_id: str) -> str:
    """The dataset card."""
    return f"{plan_folder(subset_name, plan_id)}/README.md"


def citations_path(subset_name: str, plan_id: str) -> str:
    """The source datasets to cite."""
    return f"{plan_folder(subset_name, plan_id)}/citations.csv"


def measured_path(subset_name: str, plan_id: str) -> str:
    """Which genes each source dataset has measured."""
    return f"{plan_folder(subset_name, plan_id)}/measured.parquet"


def files_beside_chunks(subset_name: str, plan_id: str) -> set[str]:
    """All that a plan's folder holds besides chunks, obs and marks."""
    paths = (plan_path, manifest_path, card_path, citations_path, measured_path)
    exported = {exported_file_path(subset_name, plan_id, name) for name in EXPORTED_FILES}
    return {path(subset_name, plan_id) for path in paths} | exported


def exported_file_path(subset_name: str, plan_id: str, name: str) -> str:
    """A file of the export of a plan."""
    return f"{plan_folder(subset_name, plan_id)}/{PARQUET}/{name}"


def exported_chunk_path(subset_name: str, plan_id: str, part: str | None, chunk: str, fingerprint: str) -> str:
    """One chunk in the export; part is that of its split, if there is one."""
    name = f"data/{part or 'train'}/{chunk}-{fingerprint[:N_DIGITS]}.parquet"
    return exported_file_path(subset_name, plan_id, name)


def mark_path(subset_name: str, plan_id: str, run_id: str) -> str:
    """The mark of a run that writes to a plan's folder; the id has letters, digits and hyphens."""
    return f"{plan_folder(subset_name, plan_id)}/writing-{run_id}.json"


def piece_set_path(subset_name: str, plan_id: str, run_id: str) -> str:
    """What the pieces of a run hold; they lie beside it."""
    return f"{plan_folder(subset_name, plan_id)}/{PIECES}{run_id}/set.json"


def piece_path(subset_name: str, plan_id: str, run_id: str, piece: str) -> str:
    """A piece of the first of two passes."""
    return f"{plan_folder(subset_name, plan_id)}/{PIECES}{run_id}/{piece}"


def is_mark(path: str) -> bool:
    """Whether a path is that of a run's mark."""
    return _MARK.fullmatch(path) is not None


def corpus_path(name: str) -> str:
    """Names the datasets of a corpus."""
    return f"{name}/corpus.json"


def corpus_card_path(name: str) -> str:
    """The card of a corpus."""
    return f"{name}/README.md"


def dataset_path(subset_name: str) -> str:
    """The pointer to the published plan."""
    return f"{subset_name}/dataset.json"


def _index_folder(release_version: str) -> str:
    # A release's build date is whatever its Census says.
    if not _PLAIN.fullmatch(release_version):
        name = shown(release_version)
        raise CxgError(f"the Census calls its build {name}, which cannot name a folder; is it a Census?")
    return f"{INDEX_FOLDER}/{release_version}"
