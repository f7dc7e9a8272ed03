"""How much memory a worker takes: the estimate against a real worker, and against what the machine has."""

import json
import os
import pickle
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from cxg_assets.ingest.chunks.memory import available_memory, file_bytes, largest_chunk_nnz, worker_bytes
from cxg_assets.ingest.chunks.worker_environment import WORKER_ENVIRONMENT
from cxg_assets.ingest.formats import ZARR
from cxg_assets.ingest.spec import COMPRESSIONS, SubsetSpec
from cxg_assets_tests.conftest import Ingest
from cxg_assets_tests.ingested import Ingested

PROGRAM = """
import pickle, sys
from pathlib import Path
from cxg_assets.ingest.chunks.report import ChunkReport
from cxg_assets.ingest.plan.spans import plan_spans
from cxg_assets.ingest.chunks.worker import Worker

job, chunks = pickle.loads(Path(sys.argv[1]).read_bytes())
worker = Worker(job)
results = [result for span in plan_spans(chunks, n_workers=1) for result in worker.run(span)]
assert all(isinstance(result, ChunkReport) for result in results), results
status = Path("/proc/self/status").read_text().splitlines()
print(next(line.split()[1] for line in status if line.startswith("VmHWM:")))
"""

MEMINFO = "MemTotal:       24576000 kB\nMemFree:         1048576 kB\nMemAvailable:    8388608 kB\nHugePages_Total: 0\n"


@pytest.fixture
def machine(tmp_path: Path) -> Callable[..., int]:
    """A function: the memory that is available on a machine of 8 GiB, in a container with these files of limits."""

    def available(**limits: str) -> int:
        meminfo = tmp_path / "meminfo"
        meminfo.write_text(MEMINFO)
        for name, text in limits.items():
            (tmp_path / f"memory.{name}").write_text(text)
        return available_memory(meminfo, tmp_path)

    return available


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="the kernel's peak of a process is Linux's")
def test_a_worker_peaks_below_the_estimate(
    ingest: Ingest, spec: Callable[..., SubsetSpec], store_url: str, tmp_path: Path
) -> None:
    # Every gene, in small files and in one large file without compression.
    for name, chunk_size, compression in (("small", 100, "gzip"), ("large", 2_600, "none")):
        made = ingest(spec(name=name, genes=None, chunk_size=chunk_size, compression=compression), store_url)
        header, chunks = made.plan.header, made.plan.chunks
        peak = peak_of_a_worker(made, tmp_path / "job")
        estimate = worker_bytes(max(chunk.nnz for chunk in chunks), header.subset.n_vars, compression)

        assert peak < estimate


def peak_of_a_worker(made: Ingested, file: Path) -> int:
    """Peak memory in bytes of a new process that writes the chunks again."""
    for chunk in made.plan.chunks:
        made.file(chunk).unlink()
    file.write_bytes(pickle.dumps((made.job, made.plan.chunks)))
    run = subprocess.run(
        [sys.executable, "-c", PROGRAM, str(file)],
        env={**os.environ, **WORKER_ENVIRONMENT},
        capture_output=True,
        text=True,
        check=True,
    )
    return json.loads(run.stdout) * 1024


@pytest.mark.parametrize("compression", COMPRESSIONS)
def test_files_are_about_as_large_as_estimated(
    compression: str, ingest: Ingest, spec: Callable[..., SubsetSpec], store_url: str
) -> None:
    made = ingest(spec(genes=None, chunk_size=2_000, max_obs=2_000, compression=compression), store_url)
    [report] = made.reports

    assert report.n_bytes == pytest.approx(file_bytes(report.nnz, report.n_vars, compression), rel=0.25)


def test_larger_chunks_take_more_memory_and_what_fits_is_the_inverse() -> None:
    small, large = (worker_bytes(nnz, 60_000, "gzip") for nnz in (200_000, 20_000_000))
    assert small < large
    assert largest_chunk_nnz(large, 60_000, "gzip") == pytest.approx(20_000_000)
    assert largest_chunk_nnz(worker_bytes(0, 60_000, "gzip") - 1, 60_000, "gzip") <= 0


def test_the_memory_of_a_worker_that_writes_zarr_does_not_grow_with_the_chunk() -> None:
    small, large, larger = (worker_bytes(nnz, 60_000, "lz4", 0, ZARR) for nnz in (10**6, 10**8, 10**9))
    assert small < large == larger


def test_a_worker_takes_what_was_measured_at_the_defaults() -> None:
    # docs/performance.md: 0.78 GiB at 10,000 cells of 1,650 non-zeros a file.
    assert 0.78 <= worker_bytes(10_000 * 1_650, 61_517, "gzip") / 2**30 <= 1.6 * 0.78


def test_the_kernel_tells_what_is_available(machine: Callable[..., int]) -> None:
    assert machine() == 8 * 2**30


def test_a_container_without_a_limit_has_what_the_machine_has(machine: Callable[..., int]) -> None:
    assert machine(max="max\n") == 8 * 2**30


def test_a_container_has_what_its_limit_leaves_and_its_page_cache_does_not_count(machine: Callable[..., int]) -> None:
    limits = {"max": str(4 * 2**30), "current": str(3 * 2**30), "stat": f"anon 5\ninactive_file {2**30}\n"}

    assert machine(**limits) == 2 * 2**30


def test_a_container_that_is_over_its_limit_has_nothing(machine: Callable[..., int]) -> None:
    assert machine(max="1000", current="3000", stat="inactive_file 0\n") == 0


def test_where_the_kernel_does_not_tell_it_is_all_memory(tmp_path: Path) -> None:
    assert available_memory(tmp_path / "none", tmp_path) == os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
