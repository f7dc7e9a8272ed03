"""A CPU that tiledbsoma cannot run on is found out before tiledbsoma is imported."""

import subprocess
import sys

import pytest

from cxg_assets.ingest.census.cpu import host_features, require_cpu
from cxg_assets.ingest.errors import CxgError

PROGRAM = """
import sys
from cxg_assets.ingest.census.cpu import require_cpu
assert "llvmlite" not in sys.modules
require_cpu()
print("tiledbsoma" in sys.modules)
"""


def test_this_machine_passes() -> None:
    require_cpu()


def test_a_cpu_without_avx2_is_refused_with_what_to_do() -> None:
    with pytest.raises(CxgError, match=r"no AVX2.*tiledbsoma wheel.*from source"):
        require_cpu(lambda: {"sse4.2": True, "avx": True, "avx2": False}, lambda: "x86_64")


def test_arm_needs_nothing() -> None:
    require_cpu(lambda: {"neon": True, "avx2": False}, lambda: "aarch64")


def test_a_cpu_that_llvm_cannot_tell_of_is_not_refused() -> None:
    require_cpu(dict, lambda: "x86_64")


def test_the_cpu_is_asked_once() -> None:
    host_features.cache_clear()
    require_cpu(machine=lambda: "x86_64")
    require_cpu(machine=lambda: "x86_64")

    assert host_features.cache_info().misses == 1


def test_it_is_found_out_without_importing_tiledbsoma() -> None:
    finished = subprocess.run([sys.executable, "-c", PROGRAM], capture_output=True, text=True, check=True)

    assert finished.stdout == "False\n"
