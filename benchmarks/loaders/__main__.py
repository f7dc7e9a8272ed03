"""The loader beside annbatch, scDataset and AnnLoader, on the same cells: `python -m benchmarks.loaders`.

    python -m benchmarks.loaders --make                # once: the demo census, and two datasets of it
    python -m benchmarks.loaders --rounds 3            # the table

Contenders run in turn, each in a process of its own, with the Python that runs this. annbatch needs 3.12 or later: make
the datasets where cxg_assets is installed as a whole, then run the second line with a Python that has annbatch,
zarrs, scdataset and torch besides. What is not installed is left out, and that is said.
"""

import argparse
import importlib.util
import json
import os
import statistics
import subprocess
import sys
import time
from collections import defaultdict
from pathlib import Path

from benchmarks.loaders.names import BUCKET, LARGE, MANY
from benchmarks.measure import BenchmarkError
from benchmarks.stores import Stores

NEEDS = {"ours": (), "annbatch": ("annbatch", "zarrs"), "scdataset": ("scdataset", "torch"), "annloader": ("torch",)}

FIRST_BATCH = """
from cxg_assets.training import batches
batch = next(iter(batches("{url}", batch_size=512, labels=["cell_type"])))
assert batch.n_obs == 512
"""


def main() -> int:
    """Prints a table; returns 1 if a contender failed."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--make", action="store_true", help="build the datasets and end")
    parser.add_argument(
        "--cache", type=Path, default=Path("/tmp/cxg-benchmarks"), help="folder of censuses and datasets"
    )
    parser.add_argument("--n-obs", type=int, default=131_072)
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    folder = options.cache / f"loaders-{options.n_obs}"
    if options.make:
        from benchmarks.__main__ import demo_census
        from benchmarks.loaders.dataset import make_datasets

        make_datasets(demo_census(options.cache, options.n_obs), folder)
        return 0
    return run(folder, options.n_obs, options.rounds)


def run(folder: Path, n_obs: int, rounds: int) -> int:
    """Runs all rounds, in turn, and prints the table."""
    local, many = folder / BUCKET / LARGE, folder / BUCKET / MANY
    if not (many / "dataset.json").exists():
        raise SystemExit(f"{folder} has no datasets; run python -m benchmarks.loaders --make first")
    collection = folder / "annbatch.zarr"
    missing = {name: [need for need in needs if not _is_there(need)] for name, needs in NEEDS.items()}
    if not missing["annbatch"] and not collection.exists():
        say("annbatch makes its collection")
        aside = folder / "annbatch.part.zarr"
        _run("benchmarks.loaders.collect", local, aside)
        aside.rename(collection)
    found: dict[str, list[dict[str, float]]] = defaultdict(list)
    failed = False
    stores = Stores(folder)
    try:
        s3, s3_30 = (_endpoint(stores, kind, folder) for kind in ("s3", "s3+30"))
        whole, some, few = (20_000, n_obs), (8_192, 24_576), (512, 2_048)
        rows = [
            ("ours, local", "ours", local, {}, whole),
            ("annbatch on its zarr, local", "annbatch", local, {}, whole),
            ("ours, S3", "ours", f"s3://{BUCKET}/{LARGE}", s3, whole),
            ("ours, S3 + 30 ms", "ours", f"s3://{BUCKET}/{LARGE}", s3_30, whole),
            ("scDataset + AnnCollection, local", "scdataset", local, {}, some),
            ("AnnLoader, local", "annloader", local, {}, few),
        ]
        for number in range(rounds):
            for title, name, url, environment, (n_warm, n_measured) in rows:
                if missing[name]:
                    if not number:
                        say(f"{title} is left out: {', '.join(missing[name])} is not installed")
                    continue
                counts = ("--n-warm", n_warm, "--n-obs", n_measured, "--place", collection)
                try:
                    told = _run("benchmarks.loaders.contenders", name, url, *counts, environment=environment)
                except BenchmarkError as error:
                    failed = True
                    say(f"{title} failed: {error}")
                    continue
                found[title].append(json.loads(told))
                say(f"{title}: {told.strip()}; load {os.getloadavg()[0]:.1f}")
            for title, url, environment in (
                ("first batch, 100 files, local", many, {}),
                ("first batch, 100 files, S3", f"s3://{BUCKET}/{MANY}", s3),
                ("first batch, 100 files, S3 + 30 ms", f"s3://{BUCKET}/{MANY}", s3_30),
            ):
                began = time.perf_counter()
                _python("-c", FIRST_BATCH.format(url=url), environment=environment)
                found[title].append({"seconds": time.perf_counter() - began})
                say(f"{title}: {found[title][-1]['seconds']:.2f} s; load {os.getloadavg()[0]:.1f}")
    finally:
        stores.close()
    print(table(found))
    return int(failed)


def table(found: dict[str, list[dict[str, float]]]) -> str:
    """What was found as Markdown: medians and spreads, and speed against ours on this machine's disk."""
    lines = [
        "| loader | cells/s | CPU, µs a cell | peak, MiB | ours, local, against it |",
        "| --- | --- | --- | --- | --- |",
    ]
    firsts: list[str] = []
    for title, rounds in found.items():
        if "seconds" in rounds[0]:
            firsts.append(f"{title}: {_spread([some['seconds'] for some in rounds], 2)} s")
            continue
        speeds, cpu, peak = ([some[name] for some in rounds] for name in ("cells_per_second", "cpu_us", "peak_mib"))
        # Round by round: each round has seen its own load.
        ours = [some["cells_per_second"] for some in found.get("ours, local", [])]
        ratios = [own / speed for own, speed in zip(ours, speeds, strict=False)]
        against = _spread(ratios, 2) if ratios else ""
        lines.append(
            f"| {title} | {_spread(speeds)} | {_spread(cpu, 1)} | {statistics.median(peak):,.0f} | {against} |"
        )
    return "\n".join([*lines, "", *firsts])


def _spread(values: list[float], digits: int = 0) -> str:
    return f"{statistics.median(values):,.{digits}f} ({min(values):,.{digits}f}-{max(values):,.{digits}f})"


def _endpoint(stores: Stores, kind: str, folder: Path) -> dict[str, str]:
    """The variables by which a contender reaches an S3 that has the datasets."""
    buckets = folder / "s3"
    buckets.mkdir(exist_ok=True)
    link = buckets / BUCKET
    if not link.exists():
        link.symlink_to(folder / BUCKET)
    return stores.environment(kind)


def _is_there(module: str) -> bool:
    return importlib.util.find_spec(module) is not None


def _run(module: str, *arguments: object, environment: dict[str, str] | None = None) -> str:
    return _python("-m", module, *arguments, environment=environment)


def _python(*arguments: object, environment: dict[str, str] | None = None) -> str:
    """What a program printed.

    Raises:
        BenchmarkError: It failed.
    """
    command = [sys.executable, *map(str, arguments)]
    ran = subprocess.run(
        command, capture_output=True, text=True, env={**os.environ, **(environment or {})}, check=False
    )
    if ran.returncode:
        raise BenchmarkError(ran.stderr.strip()[-600:])
    return ran.stdout


def say(line: str) -> None:
    """One line of progress on stderr."""
    print(time.strftime("%H:%M:%S"), line, file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main())
