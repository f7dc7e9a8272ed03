"""All but the chunks at the size of the Census: index, filter, checks, plan, partitions, recording, publishing.

Run it from the repository's root, in an environment with `pip install -e ".[test]"`:

    python -m benchmarks.front_half [--n-obs 10000000 100000000] [--cache /tmp/cxg-benchmarks]

The census has obs of a demo census over and over and no counts; the filter keeps 63 % of it, in files of 10,000 cells.
Each step is a process of its own, so that its peak of memory is its own. 100 million cells take 15 GB of disk and some
ten minutes the first time, most of it to build the census, which is kept. Prints a table in Markdown.
"""

import argparse
import json
import tempfile
from collections.abc import Iterable, Mapping
from pathlib import Path

from benchmarks.__main__ import demo_census, say
from benchmarks.front_steps import STEPS
from benchmarks.machine import describe_machine
from benchmarks.measure import Finished, run_program
from benchmarks.obs_only_census import kept

EVERY_CELL = "soma_joinid >= 0"
VALUE_FILTER = "tissue_general in ['blood', 'lung', 'colon'] and is_primary_data == True"
N_DEMO_OBS = 10_000
HEADINGS = """| obs rows | step | seconds | CPU seconds | peak, MiB | others' cores | |
| ---: | --- | ---: | ---: | ---: | ---: | --- |"""
CHECKS = ("check-subset", "check-plan")


def main() -> None:
    """Measures and prints."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--n-obs", type=int, nargs="+", default=[100_000_000], help="rows of obs, one size or several")
    parser.add_argument("--cache", type=Path, default=Path("/tmp/cxg-benchmarks"), help="folder of the censuses, kept")
    options = parser.parse_args()
    machine = describe_machine(N_DEMO_OBS, 1)
    demo = demo_census(options.cache, N_DEMO_OBS)
    print(json.dumps({name: machine[name] for name in ("date", "commit", "cpu", "load at the start", "dagster")}))
    print(HEADINGS)
    for n_obs in options.n_obs:
        census = kept(demo, n_obs, say)
        with tempfile.TemporaryDirectory(prefix="front-", dir=options.cache) as folder:
            for told in in_lines(n_obs, measure(census, Path(folder), n_obs)):
                print(told, flush=True)


def measure(
    census: Path, folder: Path, n_obs: int, value_filter: str = VALUE_FILTER, steps: Iterable[str] = STEPS
) -> dict[str, Finished]:
    """Runs steps once, one after the other.

    Args:
        census: The census.
        folder: Where the store and the Dagster instance go, or are.
        n_obs: Its rows of obs.
        value_filter: Which cells are selected.
        steps: Which; what the others have left may lie in the folder.
    """
    finished: dict[str, Finished] = {}
    for step in steps:
        result_file = folder / f"{step}.json"
        arguments = ["-m", "benchmarks.front_steps", step, "--census-uri", census, "--folder", folder]
        arguments += ["--value-filter", value_filter, "--json", result_file]
        finished[step] = run_program(arguments, result_file)
        say(f"{n_obs:,} rows: {step}: {finished[step].result}")
    return finished


def in_lines(n_obs: int, finished: Mapping[str, Finished]) -> list[str]:
    """The lines of a table."""
    lines = [line(n_obs, step, [one]) for step, one in finished.items()]
    checks = [finished[step] for step in CHECKS if step in finished]
    return [*lines, line(n_obs, "both checks", checks)] if checks else lines


def line(n_obs: int, step: str, finished: list[Finished]) -> str:
    """One line: seconds of all, and the highest of their peaks."""
    said = {name: value for one in finished for name, value in one.result.items()}
    seconds, cpu = (sum(one.result[name] for one in finished) for name in ("seconds", "cpu_seconds"))
    peak = max(one.usage.driver_peak_anonymous_bytes for one in finished) / 2**20
    others = max(one.usage.others_cores for one in finished)
    notes = "; ".join(
        f"{name}: {round(value, 2) if isinstance(value, float) else value:,}"
        for name, value in said.items()
        if name not in ("seconds", "cpu_seconds") and isinstance(value, int | float)
    )
    wrong = f" **{said['wrong']}**" if said.get("wrong") else ""
    return f"| {n_obs:,} | {step} | {seconds:.1f} | {cpu:.1f} | {peak:,.0f} | {others:.2f} | {notes}{wrong} |"


if __name__ == "__main__":
    main()
