"""Whether this CPU can run tiledbsoma: its wheel ends the process with an illegal instruction where it cannot.

Nothing can be caught then and nothing is said, so it is found out before tiledbsoma is imported.
"""

import functools
import platform
from collections.abc import Callable, Mapping

from cxg_assets.ingest.errors import CxgError

NEEDED = "avx2"
"""What the x86_64 wheels of tiledbsoma are compiled for, under LLVM's name of it. Those of arm64 need nothing extra."""


@functools.cache
def host_features() -> Mapping[str, bool]:
    """What this CPU can do, by LLVM's names; asked for once. Empty where LLVM cannot tell.

    LLVM asks the CPU itself, so that the answer is right in containers and virtual machines, and outside of Linux too.
    """
    # Imported here: 60 ms where numba, which comes with it, was not imported before.
    import llvmlite.binding

    try:
        return dict(llvmlite.binding.get_host_cpu_features())
    except RuntimeError:
        return {}


def require_cpu(
    features: Callable[[], Mapping[str, bool]] = host_features, machine: Callable[[], str] = platform.machine
) -> None:
    """Makes sure that tiledbsoma can be imported. Costs nothing after the first time.

    Raises:
        CxgError: It cannot: the CPU has no AVX2. Of features that are not told nothing is known.
    """
    # x86_64 is called AMD64 on Windows.
    if machine().lower() in ("x86_64", "amd64") and not features().get(NEEDED, True):
        raise CxgError(
            "cpu: this machine's CPU has no AVX2, which the tiledbsoma wheel needs: it would end the process with an "
            "illegal instruction. Use a machine with AVX2 (Intel since 2013, AMD since 2015; a virtual machine has to "
            "be given the host's CPU model), or build tiledbsoma from source on this one"
        )
