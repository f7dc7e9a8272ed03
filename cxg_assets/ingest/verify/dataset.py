"""Verifies a published dataset: every object against plan and manifest, and deeply against the Census itself."""

import contextlib
from collections import Counter, deque
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from enum import StrEnum

import pyarrow as pa

from cxg_assets.ingest.census.census import CensusLocator
from cxg_assets.ingest.chunks.report import ChunkReport
from cxg_assets.ingest.chunks.stored_chunk import ChunkFiles, fetch_chunk, unlike_listing
from cxg_assets.ingest.dataset.manifest import other_size, other_sums, read_manifest, totals
from cxg_assets.ingest.errors import CxgError, StoreError
from cxg_assets.ingest.finding import Finding, Severity
from cxg_assets.ingest.layout import (
    card_path,
    citations_path,
    measured_path,
    plan_folder,
    plan_path,
    subset_json_path,
    subset_obs_path,
    subset_var_path,
)
from cxg_assets.ingest.plan.chunk_plan import Chunk, ChunkPlan, load_plan
from cxg_assets.ingest.plan.published import Dataset, read_dataset
from cxg_assets.ingest.plan.stored import listed_chunks, stored_sizes, unfinished_paths, unreferenced_paths
from cxg_assets.ingest.storage.local import Listed
from cxg_assets.ingest.storage.placing import checksum, other_checksum
from cxg_assets.ingest.storage.store import Store
from cxg_assets.ingest.verify.against_census import open_census_cells

N_DOWNLOADS = 4
"""Chunks that are read from the store at once: one waits for the network most of the time."""

DOWNLOAD_BYTES = 512 * 2**20
"""No further chunk is begun while those under way have as many bytes; a single one may have more."""


class Repair(StrEnum):
    """What to do about a finding, by who can."""

    REMAKE = "make the chunk again"
    """It is missing, damaged, not in the manifest or not as the Census has it."""

    PUBLISH = "publish again"
    """Manifest, card or citations are missing or do not fit."""

    INGEST = "ingest again"
    """The plan or the subset that it was made from is missing or damaged."""

    PRUNE = "prune"
    """The dataset does not account for the object."""


def verify_published(store: Store, subset_name: str) -> tuple[str, Finding]:
    """Whether what dataset.json points to is there: each file of the manifest with its size, and their sums.

    Raises:
        FileNotFoundError: Nothing is published, or the plan or the manifest is not there.
        CxgError: What is published cannot be read.

    Returns:
        The plan that is published, and what was found.
    """
    dataset = read_dataset(store, subset_name)
    sizes = stored_sizes(store, load_plan(store, subset_name, dataset.header.plan_id))
    rows = read_manifest(store.get(dataset.manifest_path))
    wrong = [other for row in rows if (other := other_size(row.uri, sizes.get(row.chunk), row.n_bytes))]
    sums = dataset.sums
    other = [f"the manifest has {other}" for other in other_sums(rows, sums, "dataset.json says")]
    repair = store.follow_up("verify", subset_name, "--repair")
    reported = totals(rows)
    facts = {"n_wrong": len(wrong)} | {name: reported[name] for name in ("n_obs", "n_bytes", "n_chunks")}
    return dataset.header.plan_id, Finding.of([*wrong, *other], f"{repair} writes the chunks again", facts)


def verify(
    store: Store, dataset: Dataset, census: CensusLocator | None, on_chunk: Callable[[Chunk], object] | None = None
) -> list[Finding]:
    """Compares every object of a dataset with plan and manifest, and every chunk with the Census when one is given.

    Then every cell of the subset is read again through `cellxgene_census.get_anndata`. `on_chunk` is called after each.

    Raises:
        StoreError: The store did not give what it has.
        CxgError: The Census cannot be read.

    Returns:
        What is wrong, each with a `Repair` to do: with the dataset, then with its chunks (`where` has the key) in plan
        order, then what is unreferenced. Empty when all is right.
    """
    try:
        plan = load_plan(store, dataset.header.subset.name, dataset.header.plan_id)
    except StoreError:
        raise
    except (CxgError, OSError, ValueError, pa.ArrowException) as error:
        uri = store.uri(plan_path(dataset.header.subset.name, dataset.header.plan_id))
        what = "is not there" if isinstance(error, FileNotFoundError) else f"cannot be read ({error})"
        ingest = store.follow_up("ingest", dataset.header.subset.name)
        return [_wrong(f"the plan {uri} {what}; {ingest} makes it again", Repair.INGEST)]
    listed = store.objects(plan_folder(dataset.header.subset.name, dataset.header.plan_id))
    sizes = {path: item.n_bytes for path, item in listed.items()}
    rows, findings = _read_rows(store, plan, dataset)
    findings += [*_missing_files(store, plan, sizes), *_wrong_mask(store, dataset, sizes)]
    findings += _wrong_collections(store, dataset, sizes)
    with contextlib.ExitStack() as stack:
        expected = None
        if census is not None:
            try:
                expected = stack.enter_context(open_census_cells(store, plan, census))
            except FileNotFoundError:
                pass  # _missing_files has named it
            except (pa.ArrowException, OSError) as error:
                findings.append(_wrong(f"cells or genes of the subset cannot be read: {error}", Repair.INGEST))
        for chunk, wrong, files in _read_chunks(store, plan, rows, listed, keep=expected is not None):
            texts = [wrong] if wrong else []
            if expected is not None and files is not None:
                texts = expected.differences(files, plan, chunk)
            findings += [_wrong(text, Repair.REMAKE, chunk.key) for text in texts]
            if on_chunk is not None:
                on_chunk(chunk)
    # What is left of a chunk that is not stored goes when it is made again.
    left = unfinished_paths(plan, sizes)
    others = [path for path in unreferenced_paths(plan, sizes) if path not in left]
    unreferenced = [f"{store.uri(path)} is unreferenced" for path in others]
    return findings + [_wrong(text, Repair.PRUNE) for text in unreferenced]


def damaged_chunks(findings: list[Finding]) -> list[str]:
    """Keys of the chunks that have to be made again, in plan order."""
    return list(dict.fromkeys(finding.where for finding in findings if finding.to_do is Repair.REMAKE))


def _wrong(what: str, repair: Repair, chunk: str = "") -> Finding:
    return Finding(what=" ".join(what.split()), where=chunk, to_do=repair, severity=Severity.FAILED)


def _read_rows(store: Store, plan: ChunkPlan, dataset: Dataset) -> tuple[dict[str, ChunkReport] | None, list[Finding]]:
    """Rows of the manifest by chunk key (None when it cannot be read), and what is wrong with the whole of it."""
    name = f"the manifest {store.uri(dataset.manifest_path)}"
    try:
        rows = read_manifest(store.get(dataset.manifest_path))
    except StoreError:
        raise
    except FileNotFoundError as error:
        return None, [_wrong(f"the manifest: {error}", Repair.PUBLISH)]
    except CxgError as error:
        return None, [_wrong(f"{name}: {error}", Repair.PUBLISH)]
    by_key = {row.chunk: row for row in rows}
    planned = {chunk.key: chunk for chunk in plan.chunks}
    wrong = [f"lists chunk {key}, which is not in the plan" for key in by_key if key not in planned]
    wrong += [f"lists chunk {key} {n} times" for key, n in Counter(row.chunk for row in rows).items() if n > 1]
    for key, row in by_key.items():
        chunk = planned.get(key)
        if chunk is not None and (row.fingerprint, row.n_obs) != (chunk.fingerprint, chunk.n_obs):
            wrong.append(
                f"has chunk {key} with fingerprint {row.fingerprint[:8]} and {row.n_obs} cells, the plan "
                f"{chunk.fingerprint[:8]} and {chunk.n_obs}"
            )
    if not wrong and len(by_key) == len(planned):
        wrong += [f"has {other}" for other in other_sums(rows, dataset.sums, "dataset.json says")]
    return by_key, [_wrong(f"{name} {what}", Repair.PUBLISH) for what in wrong]


def _missing_files(store: Store, plan: ChunkPlan, sizes: Mapping[str, int]) -> Iterator[Finding]:
    """What else belongs to a dataset and is not there."""
    header = plan.header
    for path in (card_path, citations_path):
        name = path(header.subset.name, header.plan_id)
        if name not in sizes:
            yield _wrong(f"{store.uri(name)} is not there", Repair.PUBLISH)
    of_subset = (subset_obs_path, subset_var_path, subset_json_path)
    names = [path(header.subset.name, header.subset.fingerprint) for path in of_subset]
    for name in dict.fromkeys([*names, header.obs_path]):
        if not store.exists(name):
            ingest = store.follow_up("ingest", header.subset.name)
            yield _wrong(f"{store.uri(name)} is not there; {ingest} makes it again", Repair.INGEST)


def _wrong_collections(store: Store, dataset: Dataset, sizes: Mapping[str, int]) -> Iterator[Finding]:
    """Whether what makes the zarr chunks groups is there as it was published."""
    for path, sha256 in dataset.collections.items():
        if path not in sizes:
            yield _wrong(f"{store.uri(path)} is not there", Repair.PUBLISH)
        elif other := other_checksum(store.uri(path), checksum(store.get(path)), sha256):
            yield _wrong(other, Repair.PUBLISH)


def _wrong_mask(store: Store, dataset: Dataset, sizes: Mapping[str, int]) -> Iterator[Finding]:
    """Whether the measured genes are there as they were published."""
    path = measured_path(dataset.header.subset.name, dataset.header.plan_id)
    if not dataset.measured_sha256:
        return
    if path not in sizes:
        yield _wrong(f"{store.uri(path)} is not there", Repair.PUBLISH)
    elif other := other_checksum(store.uri(path), checksum(store.get(path)), dataset.measured_sha256):
        yield _wrong(other, Repair.PUBLISH)


def _read_chunks(
    store: Store, plan: ChunkPlan, rows: Mapping[str, ChunkReport] | None, listed: Mapping[str, Listed], *, keep: bool
) -> Iterator[tuple[Chunk, str, ChunkFiles | None]]:
    """Checks the chunks in plan order, several at once.

    Rows of the manifest are by chunk key (None where there is none to compare with), what is listed by path. With
    `keep` the chunks themselves are given as well.
    """
    waiting: deque[tuple[Chunk, int, Future[tuple[str, ChunkFiles | None]]]] = deque()
    chunks = listed_chunks(plan, listed)
    sizes = {path: item.n_bytes for path, item in listed.items()}
    with ThreadPoolExecutor(N_DOWNLOADS) as pool:
        for chunk in plan.chunks:
            stored = chunks.get(chunk.key)
            n_bytes = None if stored is None else stored.n_bytes
            size = n_bytes or 0
            while waiting and (len(waiting) == N_DOWNLOADS or sum(n for _, n, _ in waiting) + size > DOWNLOAD_BYTES):
                done, _, future = waiting.popleft()
                yield done, *future.result()
            waiting.append((chunk, size, pool.submit(_check_chunk, store, plan, chunk, rows, n_bytes, sizes, keep)))
        for chunk, _, future in waiting:
            yield chunk, *future.result()


def _check_chunk(
    store: Store,
    plan: ChunkPlan,
    chunk: Chunk,
    rows: Mapping[str, ChunkReport] | None,
    n_bytes: int | None,
    sizes: Mapping[str, int],
    keep: bool,
) -> tuple[str, ChunkFiles | None]:
    """What is wrong with what is stored of one chunk and, if nothing is and it is asked for, what it is."""
    uri = store.uri(plan.path(chunk))
    row = None if rows is None else rows.get(chunk.key)
    try:
        if wrong := other_size(uri, n_bytes, n_bytes or 0 if row is None else row.n_bytes):
            named = "" if n_bytes is None else unlike_listing(store, plan.header, chunk, sizes)
            return named or wrong, None
        if rows is not None and row is None:
            return "not in the manifest", None
        if row is None and not keep:
            return "", None
        files = fetch_chunk(store, plan.header, chunk)
    except FileNotFoundError as error:
        return f"missing: {error} any more", None
    except StoreError:
        raise
    except CxgError as error:
        return str(error), None
    if row is not None and (wrong := files.damage(row.sha256)):
        return wrong, None
    return "", files if keep else None
