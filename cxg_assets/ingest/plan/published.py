"""What is published: `dataset.json`, the pointer that readers start from."""

import json
from dataclasses import dataclass

from cxg_assets.ingest.census.release import Release
from cxg_assets.ingest.errors import CxgError
from cxg_assets.ingest.layout import dataset_path
from cxg_assets.ingest.plan.chunk_plan import PlanHeader
from cxg_assets.ingest.selection.selection import Selection
from cxg_assets.ingest.storage.follow_up import follow_up
from cxg_assets.ingest.storage.store import Store


@dataclass(frozen=True, kw_only=True)
class Dataset:
    """What `dataset.json` says: which plan of a subset is published.

    Attributes:
        subset: Name of the subset.
        plan_id: The published plan.
        release: The build of the Census.
        selection: What selected the cells and genes.
        layer: X layer.
        n_obs: Cells.
        n_vars: Genes.
        nnz: Non-zeros.
        n_chunks: Files.
        n_bytes: Bytes of all chunks.
        manifest_path: Relative to the destination.
        published_at: UTC, ISO 8601.
    """

    subset: str
    plan_id: str
    release: Release
    selection: Selection
    layer: str
    n_obs: int
    n_vars: int
    nnz: int
    n_chunks: int
    n_bytes: int
    manifest_path: str
    published_at: str


def remedy(store: Store, header: PlanHeader) -> str:
    """What to do about a damaged chunk of a plan, in words that end an error."""
    try:
        is_published = read_dataset(store, header.subset).plan_id == header.plan_id
    except (CxgError, FileNotFoundError):
        is_published = False
    if is_published:
        return f"{follow_up(store, 'verify', header.subset, '--repair')} makes it again"
    return "delete it and run again"


def read_dataset(store: Store, subset: str) -> Dataset:
    """Reads which plan of a subset is published.

    Raises:
        FileNotFoundError: None is.
        CxgError: dataset.json is not one of this version.
    """
    path = dataset_path(subset)
    try:
        fields = json.loads(store.get(path))
        release, selection = Release.from_fields(fields.pop("release")), Selection.taken_out_of(fields)
        return Dataset(release=release, selection=selection, **fields)
    except (ValueError, TypeError, KeyError) as error:
        raise CxgError(f"{store.uri(path)} is not a dataset.json of this version of cxg_assets: {error}") from error
