"""What is installed on the nodes of a cluster, compared with what the run has.

Equal content must give equal bytes, and what crosses between a run and its workers must be read as it was meant: both
need the same code on both sides. Python and Ray are compared by Ray itself when a cluster is joined.
"""

import time
from collections.abc import Callable, Mapping
from typing import Any

from cxg_assets.ingest.errors import BadInput

PACKAGES = ("anndata", "h5py", "hdf5plugin", "isal", "numcodecs", "ray", "tiledbsoma", "zarr")
"""Packages whose versions decide what is read of the Census and the bytes of a file, and Ray."""

ANSWER_SECONDS = 120.0
"""A node that has to unpack what the run brings along (a `runtime_env`) answers within a minute."""

MAX_NODES = 3
"""Nodes that an error names."""

CURE = (
    "install the same on every node (pip install -c constraints.txt), or send cxg_assets along with "
    "CXG_RAY_RUNTIME_ENV; docs/how-to/cluster.md"
)

Installed = dict[str, str]
"""Versions by name; empty for what is not installed."""


def looking() -> Callable[[], Installed]:
    """A function that tells what is installed where it runs.

    It is made anew inside this one so that Ray sends its code: a node may have no cxg_assets, or another one.
    """
    names = PACKAGES

    def installed() -> Installed:
        import hashlib
        import importlib
        import importlib.metadata
        import pathlib
        import platform

        found = {"Python": platform.python_version()}
        for name in names:
            try:
                found[name] = importlib.metadata.version(name)
            except importlib.metadata.PackageNotFoundError:
                found[name] = ""
        try:
            package = importlib.import_module("cxg_assets")
        except ImportError:
            return {"cxg_assets": "", **found}
        folder = pathlib.Path(package.__path__[0])
        # Two checkouts have the same version for weeks.
        digest = hashlib.sha256()
        for file in sorted((folder / "ingest").rglob("*.py")):
            digest.update(file.relative_to(folder).as_posix().encode() + b"\0" + file.read_bytes())
        return {"cxg_assets": f"{package.__version__} (code {digest.hexdigest()[:8]})", **found}

    return installed


def differences(theirs: Mapping[str, str], ours: Mapping[str, str]) -> str:
    """What is another here and there, in words; empty where nothing is.

    What the run itself does not have (packages of extras) is not asked of a node either.
    """
    said = []
    for name, version in ours.items():
        other = theirs.get(name, "")
        if version and other != version:
            said.append(f"{f'has {name} {other}' if other else f'lacks {name}'} where the run has {version}")
    return ", ".join(said)


def require_same_versions() -> None:
    """Makes sure, before any chunk is tried, that all nodes of a cluster have what the run has.

    A node that does not answer is not waited for: each worker is asked again when it starts.

    Raises:
        BadInput: One has other versions, or lacks something.
    """
    import ray
    from ray.exceptions import RayError, RuntimeEnvSetupError
    from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

    nodes = {node["NodeID"]: str(node["NodeManagerAddress"]) for node in ray.nodes() if node["Alive"]}
    look = ray.remote(num_cpus=0, max_retries=0)(looking())
    asked: dict[Any, str] = {
        look.options(scheduling_strategy=NodeAffinitySchedulingStrategy(node, soft=False)).remote(): address
        for node, address in nodes.items()
    }
    ours = looking()()
    wrong: list[str] = []
    left, until = list(asked), time.monotonic() + ANSWER_SECONDS
    while left and (seconds := until - time.monotonic()) > 0:
        ready, left = ray.wait(left, num_returns=1, timeout=seconds)
        for ref in ready:
            try:
                said = differences(ray.get(ref), ours)
            except RuntimeEnvSetupError as error:
                raise BadInput(f"CXG_RAY_RUNTIME_ENV: node {asked[ref]} cannot set it up: {_short(error)}") from error
            except RayError:
                continue  # it is gone, or will be told by a worker that dies there
            if said:
                wrong.append(f"node {asked[ref]} {said}")
    if wrong:
        more = len(wrong) - MAX_NODES
        raise BadInput(
            "; ".join(sorted(wrong)[:MAX_NODES]) + (f"; and {more} nodes more" if more > 0 else "") + f": {CURE}"
        )


def _short(error: Exception) -> str:
    lines = [line for line in str(error).splitlines() if line.strip()]
    return lines[-1][:300] if lines else type(error).__name__
