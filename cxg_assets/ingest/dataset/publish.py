"""Publishes a dataset: the files about the whole, and last the pointer to it."""

import contextlib
import time
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

from cxg_assets.ingest.census.census import CensusLocator
from cxg_assets.ingest.chunks.report import ChunkReport
from cxg_assets.ingest.compare.changes import ReleaseChanges
from cxg_assets.ingest.dataset.card import COLUMNS, citations_csv, dataset_card
from cxg_assets.ingest.dataset.changes import changes
from cxg_assets.ingest.dataset.manifest import (
    IncompleteDataset,
    make_manifest,
    manifest_bytes,
    read_manifest,
    totals,
)
from cxg_assets.ingest.dataset.measured import measured_parquet
from cxg_assets.ingest.errors import CxgError
from cxg_assets.ingest.finding import named
from cxg_assets.ingest.layout import (
    card_path,
    citations_path,
    dataset_path,
    manifest_path,
    measured_path,
    subset_obs_path,
    subset_var_path,
)
from cxg_assets.ingest.plan.chunk_plan import ChunkPlan, PlanHeader
from cxg_assets.ingest.plan.published import MAX_LABELS, Dataset, read_dataset, remedy
from cxg_assets.ingest.plan.stored import collection_paths, stored_sizes
from cxg_assets.ingest.records import encode
from cxg_assets.ingest.selection.categories import categories_of
from cxg_assets.ingest.storage.feather import feather_source
from cxg_assets.ingest.storage.placing import checksum, other_checksum
from cxg_assets.ingest.storage.store import Store

N_MARKERS = 16
"""Markers of zarr chunks that are read at once."""


def publish(
    store: Store,
    plan: ChunkPlan,
    reports: Sequence[ChunkReport],
    census: CensusLocator,
    sizes: Mapping[str, int] | None = None,
    since: ReleaseChanges | None = None,
) -> Dataset:
    """Publishes a plan of which every chunk is stored.

    Write order: the groups of zarr chunks, manifest.parquet, citations.csv, measured.parquet, README.md into the plan's
    folder, then dataset.json.
    A reader that starts at dataset.json never sees a dataset that is not whole. It takes one report for each chunk; of
    the Census only `census_info/datasets` and the presence matrix of these datasets are read. Without `sizes`
    (`stored_sizes`) the destination is listed. `since` is told on the card: what is other since the release before.

    Raises:
        BadInput: The Census is another build now, or the plan does not say what selected its cells; nothing was
            written.
        IncompleteDataset: Not every chunk is stored as reported, or one is not what was published before; nothing was
            written.
    """
    header = plan.header
    header.subset.selection.require_complete(header.subset.name)
    _refuse_damaged(store, header, reports)
    manifest = make_manifest(plan, reports, stored_sizes(store, plan) if sizes is None else sizes)
    paths = (path(header.subset.name, header.subset.fingerprint) for path in (subset_obs_path, subset_var_path))
    obs, var = (feather_source(store, path) for path in paths)
    with census.open() as opened:
        datasets = opened.datasets(COLUMNS)
        header.subset.release.confirm(census)
        measured = measured_parquet(obs, var, opened, header.subset.selection.experiment)
    citations = citations_csv(obs, datasets)
    categories = categories_of(obs, header.subset.selection.chunk_columns)
    collections = {path: _collection(store, plan, part) for part, path in collection_paths(header).items()}
    sums = totals(manifest)
    dataset = Dataset(
        header=header,
        nnz=sums["nnz"],
        n_chunks=sums["n_chunks"],
        n_bytes=sums["n_bytes"],
        manifest_path=manifest_path(header.subset.name, header.plan_id),
        published_at=time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
        measured_sha256="" if measured is None else checksum(measured),
        labels={name: tuple(map(str, values)) for name, values in categories.items() if len(values) <= MAX_LABELS},
        n_labels_left_out={name: len(values) for name, values in categories.items() if len(values) > MAX_LABELS},
        collections={path: checksum(data) for path, data in collections.items()},
    )
    dataset = replace(dataset, changes=changes(_published_before(store, header.subset.name), dataset, since))
    for path, data in collections.items():
        store.put(path, data)
    store.put(dataset.manifest_path, manifest_bytes(manifest))
    store.put(citations_path(header.subset.name, header.plan_id), citations)
    if measured is not None:
        store.put(measured_path(header.subset.name, header.plan_id), measured)
    store.put(card_path(header.subset.name, header.plan_id), dataset_card(header, dataset))
    store.put(dataset_path(header.subset.name), encode(dataset))
    return dataset


def _published_before(store: Store, subset_name: str) -> Dataset | None:
    """What is published until now; None for nothing, or what this version cannot read, which is about to go."""
    with contextlib.suppress(FileNotFoundError, CxgError):
        return read_dataset(store, subset_name)
    return None


def _collection(store: Store, plan: ChunkPlan, part: str | None) -> bytes:
    """What makes the zarr chunks of a part one group."""
    from cxg_assets.ingest.chunks.zarr.collection import MAX_CONSOLIDATED, collection_node

    chunks = [chunk for chunk in plan.chunks if chunk.split == part]
    paths = [plan.header.marker(chunk) for chunk in chunks]
    if len(chunks) > MAX_CONSOLIDATED:
        return collection_node(dict.fromkeys(paths, b""))
    with ThreadPoolExecutor(N_MARKERS) as threads:
        markers = threads.map(store.get, paths)
        return collection_node({path.split("/")[-2]: marker for path, marker in zip(paths, markers, strict=True)})


def _refuse_damaged(store: Store, header: PlanHeader, reports: Sequence[ChunkReport]) -> None:
    """Compares chunks of which only the file is known with what was published of this plan before.

    A machine that has no record of them reads its reports from the files, also from a damaged one, and would publish
    the checksum of the damage.

    Raises:
        IncompleteDataset: A file is not what was published.
    """
    read_back = [report for report in reports if report.attempt == 0]
    path = manifest_path(header.subset.name, header.plan_id)
    if not read_back or not store.exists(path):
        return
    try:
        before = {row.chunk: row.sha256 for row in read_manifest(store.get(path))}
    except CxgError as error:
        raise IncompleteDataset(
            f"{store.uri(path)} is damaged, and this machine has no other record of the chunks to compare them with "
            f"({error}). Publish from the machine that made them; or delete it, publish again, and run "
            f"{store.follow_up('verify', header.subset.name, '--deep', '--repair')}"
        ) from error
    damaged = [
        f"chunk {report.chunk}: {other}"
        for report in read_back
        if (other := other_checksum(report.uri, report.sha256, before.get(report.chunk, report.sha256)))
    ]
    if damaged:
        advice = remedy(store, header)
        raise IncompleteDataset(f"{header.subset.name}, plan {header.plan_id}: {named(damaged)}; {advice}")
