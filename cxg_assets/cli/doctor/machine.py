"""What `cxg-assets doctor` looks at on this machine: CPU, Ray, memory and disks."""

import os
import shutil
import tempfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import unquote, urlsplit

from cxg_assets import settings
from cxg_assets.cli.doctor.places import Planned
from cxg_assets.cli.project import Subset
from cxg_assets.ingest.census.cpu import require_cpu
from cxg_assets.ingest.census.release import Release
from cxg_assets.ingest.census.tiles import NNZ_PER_CELL
from cxg_assets.ingest.chunks.memory import available_memory, largest_chunk_nnz, worker_bytes
from cxg_assets.ingest.errors import BadInput, CxgError
from cxg_assets.ingest.finding import Finding
from cxg_assets.ingest.formats import H5AD
from cxg_assets.ingest.layout import index_json_path
from cxg_assets.ingest.plan.making import MAX_CHUNKS
from cxg_assets.ingest.plan.ordering import POOL_NNZ
from cxg_assets.ingest.quantities import counted, size
from cxg_assets.ingest.sampling import CENSUS_ORDER
from cxg_assets.ingest.spec import DEFAULT_CHUNK_SIZE
from cxg_assets.ingest.storage.probe import SHORT
from cxg_assets.ingest.storage.store import StoreLocator
from cxg_assets.resources.executors import is_kuberay
from cxg_assets.resources.ray_address import require_cluster
from cxg_assets.resources.ray_cluster import one_ray_for_several_runs, wait_for_held_ray

INDEX_BYTES_PER_CELL = 40
"""Of a census index: 33.6 measured on the obs of a demo census of 147,456 cells, all 28 columns, zstd."""

EVENT_BYTES_PER_CHUNK = 12 * 1024
"""Of a Dagster instance's SQLite files: 5.7 KB in the index and 5.0 in the run's own file, measured over 100 chunks."""

N_VARS = 62_000
"""Genes where no plan tells: the 61,517 that a demo census has as the Census does, rounded up."""

N_FEATURES = 512
"""Features of an embedding where no plan tells: scvi has 50, Geneformer 512."""

THIS_MACHINE = "this machine"


@dataclass(frozen=True)
class Node:
    """A machine that workers run on, with its memory in bytes."""

    name: str
    n_cpus: int
    memory: int


@dataclass(frozen=True, kw_only=True)
class WorkerLoad:
    """What decides a worker's memory.

    Attributes:
        n_chunks: Chunks; there are never more workers than that.
        chunk_nnz: Non-zeros of the largest chunk.
        chunk_size: Cells of a chunk.
        n_vars: Genes.
        compression: Of the chunk files.
        known_from: Where these are from, in words.
        pool_nnz: Non-zeros of a pool of shuffled cells; 0 in census order.
        format: Of the chunks.
        n_layers: X and the layers beside it.
        n_obsm: Values of obsm of a chunk.
    """

    n_chunks: int
    chunk_nnz: int
    chunk_size: int
    n_vars: int
    compression: str
    known_from: str
    pool_nnz: int = 0
    format: str = H5AD
    n_layers: int = 1
    n_obsm: int = 0


@dataclass(frozen=True)
class DiskNeed:
    """Bytes that a run will write to a folder, and of what; the folder need not be there yet."""

    folder: Path
    n_bytes: int
    what: str


def check_cpu(require: Callable[[], None] = require_cpu) -> Finding:
    """Whether tiledbsoma can be imported. Imports nothing that needs it."""
    try:
        require()
    except CxgError as error:
        return Finding.failed("cpu", error)
    return Finding(where="cpu", what="it can run tiledbsoma")


def check_ray() -> tuple[Finding, tuple[Node, ...]]:
    """Starts the Ray of a run, or joins the cluster of RAY_ADDRESS, and leaves it again.

    Returns:
        The finding, and the machines that workers would run on; this one when there was no Ray, none when Kubernetes
        will make them.
    """
    try:
        if is_kuberay():
            from cxg_assets.resources.cluster.kuberay import kuberay_of_settings

            asked = kuberay_of_settings().manifest.get("metadata") or {}
            where = f"a cluster in namespace {asked.get('namespace') or 'default'}"
            return Finding(where="ray", what=f"each run asks Kubernetes for {where}; none was made now"), ()
        joined = require_cluster()
        with one_ray_for_several_runs():
            wait_for_held_ray()
            return _look_at_ray(joined)
    except BadInput as error:
        finding = Finding.failed("ray", error)
    except Exception as error:  # noqa: BLE001 - Ray raises errors of many kinds where it cannot start
        reason = " ".join(f"{type(error).__name__}: {error}".split())
        finding = Finding.failed("ray", reason, "see the logs in /tmp/ray/session_latest")
    return finding, (Node(THIS_MACHINE, os.cpu_count() or 1, available_memory()),)


def _look_at_ray(joined: str | None) -> tuple[Finding, tuple[Node, ...]]:
    import ray

    if joined:
        alive = [(node["NodeManagerAddress"], node["Resources"]) for node in ray.nodes() if node["Alive"]]
        # Of a cluster's machines Ray tells what it may use of their memory, not what is free now.
        nodes = tuple(Node(name, int(has.get("CPU", 0)), int(has.get("memory", 0))) for name, has in alive)
    else:
        # Looked up while Ray runs, as its own processes take their part.
        nodes = (Node(THIS_MACHINE, int(ray.cluster_resources().get("CPU", 1)), available_memory()),)
    place = f"joined {joined}" if joined else "started and stopped here"
    n_cpus, memory = sum(node.n_cpus for node in nodes), sum(node.memory for node in nodes)
    counts = f"nodes {len(nodes):,}, CPUs {n_cpus:,}, memory {size(memory)}"
    return Finding(where="ray", what=f"Ray {ray.__version__}, {place}: {counts}"), nodes


def check_memory(load: WorkerLoad, nodes: Sequence[Node]) -> Finding:
    """Whether the workers fit into memory, on the machine where there is least of it for each CPU."""
    useful = [node for node in nodes if node.n_cpus]
    if not useful:
        return Finding.warned("memory", "not checked, as no machine of the cluster has CPUs yet")
    each = worker_bytes(
        load.chunk_nnz, load.n_vars, load.compression, load.pool_nnz, load.format, load.n_layers, load.n_obsm
    )
    tightest = min(useful, key=lambda node: node.memory / node.n_cpus)
    n_workers = min(tightest.n_cpus, load.n_chunks)
    text = (
        f"{load.known_from}: a worker takes up to {size(each)}, and {tightest.name} has {size(tightest.memory)} "
        f"for {n_workers}"
    )
    if tightest.memory >= n_workers * each:
        return Finding(where="memory", what=text)
    n_fitting = sum(min(node.memory // each, node.n_cpus) for node in useful)
    if n_fitting:
        advice = f"cxg-assets ingest -d {n_fitting} starts that many"
        return Finding.warned("memory", f"{text}: {n_fitting} fit", advice)
    most = max(node.memory for node in useful)
    nnz = largest_chunk_nnz(most, load.n_vars, load.compression, load.pool_nnz, load.format, load.n_layers)
    # A value of obsm takes about as much as two non-zeros.
    smaller = load.chunk_size * nnz // max(load.chunk_nnz + 2 * load.n_obsm, 1)
    advice = "use a machine with more memory, or stop what else runs there"
    if smaller >= 1:
        advice = f"reduce chunk_size to {smaller:,} or less"
    return Finding.failed("memory", f"{text}: no worker fits in memory", advice)


def _free_bytes(folder: Path) -> int:
    return shutil.disk_usage(folder).free


def check_disk(needs: Sequence[DiskNeed], free: Callable[[Path], int] = _free_bytes) -> Iterator[Finding]:
    """Whether disks have room, one finding a disk: folders on one disk share what is free there.

    Args:
        needs: What will be written where.
        free: Tells the free bytes of the disk that a folder is on.
    """
    disks: dict[int, list[DiskNeed]] = {}
    for need in needs:
        disks.setdefault(_existing(need.folder).stat().st_dev, []).append(need)
    for shared in disks.values():
        n_free = free(_existing(shared[0].folder))
        n_needed = sum(need.n_bytes for need in shared)
        folders = ", ".join(dict.fromkeys(str(need.folder) for need in shared))
        uses = "; ".join(f"{need.what}, {size(need.n_bytes)}" for need in shared if need.n_bytes)
        text = f"{folders}: {size(n_free)} free, about {size(n_needed)} needed{f' ({uses})' if uses else ''}"
        if n_needed <= n_free:
            yield Finding(where="disk", what=text)
        else:
            advice = "free some, or use another disk: TMPDIR, CXG_HOME, or the URL of the destination"
            yield Finding.failed("disk", text, advice)


def disk_needs(
    release: Release | None, default: StoreLocator | None, subset: Subset | None, planned: Planned | None
) -> list[DiskNeed]:
    """What a run will write to this machine's disks.

    Args:
        release: The Census; None when it could not be opened, and then the index is not counted.
        default: The default store; None when it cannot be used.
        subset: The subset, if one is asked for.
        planned: Its plan, if there is one.
    """
    n_cells = 0 if release is None else release.total_cell_count
    index = n_cells * INDEX_BYTES_PER_CELL
    store_folder = None if default is None else _folder_of(default.url)
    is_made = (
        release is not None
        and default is not None
        and subset is not None
        and default.open(SHORT).exists(index_json_path(release.version, subset.spec.experiment))
    )
    on_its_way = 0 if is_made else index
    needs = [DiskNeed(Path(tempfile.gettempdir()), on_its_way, f"the index of up to {n_cells:,} cells, on its way")]
    if store_folder is not None:
        needs.append(DiskNeed(store_folder, 0 if is_made else index, "the index"))
    if subset is not None and planned is not None:
        destination = _folder_of(subset.destination) if subset.destination else store_folder
        if destination is not None:
            needs.append(DiskNeed(destination, planned.missing_bytes, counted(len(planned.missing), "chunk")))
    n_events = 0 if planned is None else len(planned.missing)
    needs.append(DiskNeed(settings.dagster_home(), n_events * EVENT_BYTES_PER_CHUNK, "Dagster's events"))
    return needs


def worker_load(subset: Subset | None, planned: Planned | None) -> WorkerLoad:
    """What decides a worker's memory: of the plan or, without one, with many non-zeros in a cell and every gene."""
    if planned is not None:
        header = planned.header
        return WorkerLoad(
            n_chunks=len(planned.chunks),
            chunk_nnz=max(planned.nnz(chunk) for chunk in planned.chunks),
            chunk_size=header.chunk_size,
            n_vars=header.subset.n_vars,
            compression=header.compression,
            format=header.format,
            n_layers=1 + len(header.further_layers),
            n_obsm=header.cells_of_first * header.n_features,
            pool_nnz=0 if header.pool_obs is None else POOL_NNZ,
            known_from=f"plan {header.plan_id}, {counted(header.chunk_size, 'cell')} a file",
        )
    chunk_size = DEFAULT_CHUNK_SIZE if subset is None else subset.spec.chunk_size
    return WorkerLoad(
        n_chunks=MAX_CHUNKS,
        chunk_nnz=chunk_size * NNZ_PER_CELL,
        chunk_size=chunk_size,
        n_vars=N_VARS,
        compression="gzip" if subset is None else subset.spec.compression,
        format=H5AD if subset is None else subset.spec.format,
        n_layers=1 if subset is None else 1 + len(subset.spec.further_layers),
        n_obsm=0 if subset is None else chunk_size * N_FEATURES * (len(subset.spec.obsm_names)),
        pool_nnz=0 if subset is None or subset.spec.order.kind == CENSUS_ORDER else POOL_NNZ,
        known_from=f"no plan yet, {counted(chunk_size, 'cell')} a file",
    )


def _folder_of(url: str) -> Path | None:
    parts = urlsplit(url)
    return Path(unquote(parts.path)) if parts.scheme == "file" else None


def _existing(folder: Path) -> Path:
    """The folder, or the nearest one above it that exists."""
    return next(parent for parent in (folder, *folder.parents) if parent.exists())
