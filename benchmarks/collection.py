"""From the Census to an annbatch collection, and annbatch's own loader on what came of it.

    CXG_ANNBATCH_PYTHON=/path/to/python3.12 python -m benchmarks.collection

Ours: `format: zarr`, fully shuffled, by two workers. The other way: h5ad by two of our workers in census order, and
then annbatch's `add_adatas`, which shuffles, in a process of its own. Then an epoch of annbatch's stock loader on each
collection, in turn, by zarrs and by zarr-python, and one of `cxg_assets.training` on our chunks of both formats.
Seconds and CPU seconds of the work itself, without imports and opening; peaks of all processes, summed. Markdown on
stdout.
"""

import argparse
import os
import shutil
import statistics
import sys
from pathlib import Path
from typing import Any

from benchmarks.__main__ import demo_census, say
from benchmarks.machine import describe_machine
from benchmarks.measure import run_program

PYTHON = "CXG_ANNBATCH_PYTHON"
PEER = Path(__file__).parent / "peers" / "annbatch_way.py"
MB = 2**20


def main() -> None:
    """Measures all ways, round after round."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--n-obs", type=int, default=131_072)
    parser.add_argument("--chunk-size", type=int, default=10_000)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--cache", type=Path, default=Path("/tmp/cxg-benchmarks"))
    options = parser.parse_args()
    if PYTHON not in os.environ:
        sys.exit(f"set {PYTHON} to a Python (3.12 or newer) that has annbatch and zarrs")
    census, work = demo_census(options.cache, options.n_obs), options.cache / "collection"
    made: dict[str, list[dict[str, float]]] = {"ours": [], "h5ad": [], "add_adatas": []}
    loaded: dict[tuple[str, str], list[dict[str, float]]] = {}
    for number in range(options.rounds):
        say(f"round {number + 1}")
        shutil.rmtree(work, ignore_errors=True)
        work.mkdir(parents=True)
        made["ours"].append(ours(census, work, options, "zarr", "fully_shuffled"))
        made["h5ad"].append(ours(census, work, options, "h5ad", "census"))
        peer = ["make", "--source", work / "h5ad", "--collection", work / "own.zarr"]
        made["add_adatas"].append(annbatch(peer, work))
        [our_own] = (work / "zarr").rglob("collection.zarr")
        for pipeline in ("zarrs", "zarr"):
            for name, collection in (("annbatch's", work / "own.zarr"), ("ours", our_own)):
                result = annbatch(["load", "--collection", collection, "--pipeline", pipeline], work)
                loaded.setdefault((pipeline, name), []).append(result)
                assert result["n_obs"] == options.n_obs
        for chunk_format in ("zarr", "h5ad"):
            file = work / "loader.json"
            program = ["-m", "benchmarks.our_loader", "--destination", work / chunk_format, "--json", file]
            loaded.setdefault(("cxg_assets.training", f"our {chunk_format}"), []).append(
                run_program(program, file).result
            )
    about = describe_machine(options.n_obs, options.rounds)
    print("\n".join(f"- {name}: {value}" for name, value in about.items()), "\n")
    print_table(made, loaded)


def ours(census: Path, work: Path, options: argparse.Namespace, chunk_format: str, order: str) -> dict[str, float]:
    """Census to chunks of a format, published."""
    arguments: list[str | Path] = [
        "-m", "benchmarks.engine", "--census-uri", census, "--chunk-size", str(options.chunk_size), "--publish",
        "--destination", work / chunk_format, "--format", chunk_format, "--order", order, "--workers", "2",
        "--json", work / "ours.json",
    ]  # fmt: skip
    finished = run_program(arguments, work / "ours.json")
    peak = finished.usage.driver_peak_bytes + finished.usage.n_workers * finished.usage.worker_peak_bytes
    told = {name: finished.result[name] for name in ("seconds", "cpu_seconds", "total_bytes")}
    return {**told, "peak_mb": peak / MB}


def annbatch(arguments: list[str | Path], work: Path) -> dict[str, float]:
    """A way of annbatch's own, in a process of its own."""
    file = work / "annbatch.json"
    return run_program([os.environ[PYTHON], PEER, *arguments, "--json", file], file).result


def print_table(made: dict[str, list[dict[str, float]]], loaded: dict[tuple[str, str], list[dict[str, float]]]) -> None:
    """Medians, and least to greatest."""
    both = [
        {
            "seconds": one["seconds"] + two["seconds"],
            "cpu_seconds": one["cpu_seconds"] + two["cpu_seconds"],
            "peak_mb": max(one["peak_mb"], two["peak_mb"]),
        }
        for one, two in zip(made["h5ad"], made["add_adatas"], strict=True)
    ]
    print("| Census to collection | s | CPU s | peak, MB |\n| --- | ---: | ---: | ---: |")
    rows: dict[str, list[dict[str, Any]]] = {
        "ours, `format: zarr`": made["ours"], "h5ad": made["h5ad"], "`add_adatas`": made["add_adatas"],
        "h5ad and `add_adatas`": both,
    }  # fmt: skip
    for name, rounds in rows.items():
        print(f"| {name} | {_of(rounds, 'seconds', '.1f')} | {_of(rounds, 'cpu_seconds', '.1f')} | "
              f"{_of(rounds, 'peak_mb', '.0f')} |")  # fmt: skip
    for key in ("seconds", "cpu_seconds", "peak_mb"):
        print(f"\n{key}: {_median(both, key) / _median(made['ours'], key):.2f} times ours")
    print("\n| loader | collection | cells/s | cells/CPU s | opened in, s | peak, MB |")
    print("| --- | --- | ---: | ---: | ---: | ---: |")
    for (pipeline, name), rounds in loaded.items():
        for one in rounds:
            one["speed"], one["cpu_speed"] = one["n_obs"] / one["seconds"], one["n_obs"] / one["cpu_seconds"]
        told = (_of(rounds, key, form) for key, form in (("speed", ",.0f"), ("cpu_speed", ",.0f")))
        more = (_of(rounds, key, form) for key, form in (("open_seconds", ".2f"), ("peak_mb", ",.0f")))
        print(f"| {pipeline} | {name} | {' | '.join(told)} | {' | '.join(more)} |")


def _median(rounds: list[dict[str, Any]], key: str) -> float:
    return statistics.median(one[key] for one in rounds)


def _of(rounds: list[dict[str, Any]], key: str, form: str) -> str:
    values = [one[key] for one in rounds]
    return f"{_median(rounds, key):{form}} ({min(values):{form}} to {max(values):{form}})"


if __name__ == "__main__":
    main()
