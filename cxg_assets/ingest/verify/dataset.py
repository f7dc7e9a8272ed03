"""Verifies a published dataset: every object against plan and manifest, and deeply against the Census itself."""

import contextlib
import enum
import hashlib
from collections import Counter, deque
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import pyarrow as pa

from cxg_assets.ingest.census.census import CensusLocator
from cxg_assets.ingest.dataset.manifest import read_manifest
from cxg_assets.ingest.errors import CxgError, StoreError
from cxg_assets.ingest.layout import (
    card_path,
    citations_path,
    plan_folder,
    plan_path,
    subset_json_path,
    subset_obs_path,
    subset_var_path,
)
from cxg_assets.ingest.plan.chunk_plan import Chunk, ChunkPlan, load_plan, unreferenced_paths
from cxg_assets.ingest.plan.published import Dataset
from cxg_assets.ingest.storage.follow_up import follow_up
from cxg_assets.ingest.storage.store import Store
from cxg_assets.ingest.verify.against_census import open_truth

N_DOWNLOADS = 4
"""Chunks that are read from the store at once: one waits for the network most of the time."""

DOWNLOAD_BYTES = 512 * 2**20
"""No further chunk is begun while those under way have as many bytes; a single one may have more."""


class Kind(enum.Enum):
    """What is wrong, by who can mend it."""

    CHUNK = "chunk"
    """A chunk is missing, damaged, not in the manifest or not as the Census has it: it has to be made again."""

    DATASET = "dataset"
    """Manifest, card or citations are missing or do not fit: to publish again makes them."""

    PLAN = "plan"
    """The plan or the subset that it was made from is missing or damaged: an ingest makes them."""

    UNREFERENCED = "unreferenced"
    """An object that the dataset does not account for: it may be removed."""


@dataclass(frozen=True)
class Problem:
    """One thing that is wrong.

    Attributes:
        chunk: Key of the chunk that is concerned; empty for none.
        what: What is wrong, and where.
        kind: Who can mend it.
    """

    chunk: str
    what: str
    kind: Kind


def verify(
    store: Store, dataset: Dataset, census: CensusLocator | None, on_chunk: Callable[[], object] | None = None
) -> list[Problem]:
    """Compares every object of a dataset with plan and manifest, and every chunk with the Census when one is given.

    Args:
        store: The destination.
        dataset: What is published there.
        census: Read every cell of the subset again through `cellxgene_census.get_anndata` and compare; None leaves
            that out.
        on_chunk: Called after each chunk.

    Raises:
        StoreError: The store did not give what it has.
        CxgError: The Census cannot be read.

    Returns:
        What is wrong: with the dataset, then with its chunks in plan order, then what is unreferenced. Empty when
        all is right.
    """
    try:
        plan = load_plan(store, dataset.subset, dataset.plan_id)
    except StoreError:
        raise
    except (CxgError, OSError, ValueError, pa.ArrowException) as error:
        return [_unreadable_plan(store, dataset, error)]
    sizes = store.sizes(plan_folder(dataset.subset, dataset.plan_id))
    rows, problems = _read_rows(store, plan, dataset)
    problems += _missing_files(store, plan, sizes)
    with contextlib.ExitStack() as stack:
        truth = None
        if census is not None:
            try:
                truth = stack.enter_context(open_truth(store, plan, census))
            except FileNotFoundError:
                pass  # _missing_files has named it
            except (pa.ArrowException, OSError) as error:
                problems.append(_problem(Kind.PLAN, f"cells or genes of the subset cannot be read: {error}"))
        for chunk, found, data in _read_chunks(store, plan, rows, sizes, keep=truth is not None):
            problems += found
            if truth is not None and data is not None and not found:
                differences = truth.differences(data, plan, chunk)
                problems += [Problem(chunk.key, what, Kind.CHUNK) for what in differences]
            if on_chunk is not None:
                on_chunk()
    unreferenced = [f"{store.uri(path)} is unreferenced" for path in unreferenced_paths(plan, sizes)]
    return problems + [_problem(Kind.UNREFERENCED, what) for what in unreferenced]


def damaged_chunks(problems: list[Problem]) -> list[str]:
    """Keys of the chunks that have to be made again, in plan order."""
    return list(dict.fromkeys(problem.chunk for problem in problems if problem.kind is Kind.CHUNK))


def _problem(kind: Kind, what: str) -> Problem:
    return Problem("", " ".join(what.split()), kind)


def _unreadable_plan(store: Store, dataset: Dataset, error: Exception) -> Problem:
    uri = store.uri(plan_path(dataset.subset, dataset.plan_id))
    what = "is not there" if isinstance(error, FileNotFoundError) else f"cannot be read ({error})"
    ingest = follow_up(store, "ingest", dataset.subset)
    return _problem(Kind.PLAN, f"the plan {uri} {what}; {ingest} makes it again")


def _read_rows(store: Store, plan: ChunkPlan, dataset: Dataset) -> tuple[dict[str, Any] | None, list[Problem]]:
    """Rows of the manifest by chunk key (None when it cannot be read), and what is wrong with the whole of it."""
    try:
        rows = read_manifest(store.get(dataset.manifest_path)).to_pylist()
    except StoreError:
        raise
    except FileNotFoundError as error:
        return None, [_problem(Kind.DATASET, f"the manifest: {error}")]
    except CxgError as error:
        return None, [_problem(Kind.DATASET, f"the manifest {store.uri(dataset.manifest_path)}: {error}")]
    by_key = {row["chunk"]: row for row in rows}
    planned = {chunk.key: chunk for chunk in plan.chunks}
    wrong = [f"lists chunk {key}, which is not in the plan" for key in by_key if key not in planned]
    wrong += [f"lists chunk {key} {n} times" for key, n in Counter(row["chunk"] for row in rows).items() if n > 1]
    for key, chunk in planned.items():
        row = by_key.get(key)
        if row is not None and (row["fingerprint"], row["n_obs"]) != (chunk.fingerprint, chunk.n_obs):
            wrong.append(
                f"has chunk {key} with fingerprint {row['fingerprint'][:8]} and {row['n_obs']} cells, the plan "
                f"{chunk.fingerprint[:8]} and {chunk.n_obs}"
            )
    if not wrong and len(by_key) == len(planned):
        wrong += _disagreements(rows, plan, dataset)
    return by_key, [_problem(Kind.DATASET, f"the manifest {store.uri(dataset.manifest_path)} {what}") for what in wrong]


def _disagreements(rows: list[dict[str, Any]], plan: ChunkPlan, dataset: Dataset) -> Iterator[str]:
    """Where the sums of a manifest are not what dataset.json says, each in words."""
    sums = {name: sum(row[name] for row in rows) for name in ("n_obs", "nnz", "n_bytes")}
    sums |= {"n_chunks": len(rows), "n_vars": plan.header.n_vars}
    for name, number in sums.items():
        if getattr(dataset, name) != number:
            yield f"has {name} {number:,}, dataset.json says {getattr(dataset, name):,}"


def _missing_files(store: Store, plan: ChunkPlan, sizes: Mapping[str, int]) -> Iterator[Problem]:
    """What else belongs to a dataset and is not there."""
    header = plan.header
    for path in (card_path, citations_path):
        name = path(header.subset, header.plan_id)
        if name not in sizes:
            yield _problem(Kind.DATASET, f"{store.uri(name)} is not there")
    for path in (subset_obs_path, subset_var_path, subset_json_path):
        name = path(header.subset, header.subset_fingerprint)
        if not store.exists(name):
            ingest = follow_up(store, "ingest", header.subset)
            yield _problem(Kind.PLAN, f"{store.uri(name)} is not there; {ingest} makes it again")


def _read_chunks(
    store: Store, plan: ChunkPlan, rows: dict[str, Any] | None, sizes: Mapping[str, int], *, keep: bool
) -> Iterator[tuple[Chunk, list[Problem], bytes | None]]:
    """Checks the chunks in plan order, several at once.

    Args:
        store: The destination.
        plan: The plan.
        rows: Rows of the manifest by chunk key; None where there is none to compare with.
        sizes: What lies in the plan's folder.
        keep: Give also the files of the chunks.
    """
    waiting: deque[tuple[Chunk, Future[tuple[list[Problem], bytes | None]]]] = deque()
    n_bytes: deque[int] = deque()
    with ThreadPoolExecutor(N_DOWNLOADS) as pool:
        for chunk in plan.chunks:
            size = sizes.get(plan.path(chunk), 0)
            while waiting and (len(waiting) == N_DOWNLOADS or sum(n_bytes) + size > DOWNLOAD_BYTES):
                done, future = waiting.popleft()
                n_bytes.popleft()
                yield done, *future.result()
            waiting.append((chunk, pool.submit(_check_chunk, store, plan, chunk, rows, sizes, keep)))
            n_bytes.append(size)
        for chunk, future in waiting:
            yield chunk, *future.result()


def _check_chunk(
    store: Store, plan: ChunkPlan, chunk: Chunk, rows: dict[str, Any] | None, sizes: Mapping[str, int], keep: bool
) -> tuple[list[Problem], bytes | None]:
    """What is wrong with one chunk's object, and what is in it, if that is asked for."""
    path = plan.path(chunk)

    def wrong(what: str) -> tuple[list[Problem], None]:
        return [Problem(chunk.key, what, Kind.CHUNK)], None

    if path not in sizes:
        return wrong(f"missing: {store.uri(path)} is not there")
    row = None if rows is None else rows.get(chunk.key)
    if rows is not None and row is None:
        return wrong("not in the manifest")
    if row is not None and sizes[path] != row["n_bytes"]:
        return wrong(f"{store.uri(path)} has {sizes[path]:,} bytes, the manifest says {row['n_bytes']:,}")
    if row is None and not keep:
        return [], None
    try:
        data = store.get(path)
    except FileNotFoundError:
        return wrong(f"missing: {store.uri(path)} is not there any more")
    sha256 = hashlib.sha256(data).hexdigest()
    if row is not None and sha256 != row["sha256"]:
        return wrong(f"{store.uri(path)} has SHA-256 {sha256[:12]}…, the manifest says {row['sha256'][:12]}…")
    return [], data if keep else None
