"""`python -m benchmarks`: measures peers and ours in turn and writes one table.

See benchmarks/README.md.
"""

import argparse
import signal
import sys
import tempfile
import time
import traceback
from pathlib import Path

from benchmarks.census_facts import read_facts
from benchmarks.machine import describe_machine
from benchmarks.measure import BenchmarkError, run_program
from benchmarks.rounds import Runner
from benchmarks.rows import ROWS, Bench
from benchmarks.stores import Stores
from benchmarks.table import RowResult, to_markdown, write_tables
from cxg_assets_tests.servers.command import COMMAND


def main() -> int:
    """Runs the rows that were asked for. Returns 1 if one could not be measured."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument(
        "--rows", nargs="+", choices=list(ROWS), default=list(ROWS), metavar="NAME", help=", ".join(ROWS)
    )
    parser.add_argument("--rounds", type=int, default=3, help="how often each contender runs (default 3)")
    parser.add_argument("--n-obs", type=int, default=131_072, help="cells of the demo census (default 131,072)")
    parser.add_argument("--n-index-obs", type=int, default=10_000_000, help="rows of the obs-only census (default 10M)")
    parser.add_argument("--n-small-obs", type=int, default=10_000, help="cells in files of 100 (default 10,000)")
    parser.add_argument("--out", type=Path, default=Path("benchmark-results"), help="folder of the two tables")
    parser.add_argument("--cache", type=Path, default=Path("/tmp/cxg-benchmarks"), help="folder of the censuses, kept")
    options = parser.parse_args()
    # Ended from outside, it still ends what it started.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    census = demo_census(options.cache, options.n_obs)
    about = describe_machine(options.n_obs, options.rounds)
    results: list[RowResult] = []
    failed = False
    with tempfile.TemporaryDirectory(prefix="run-", dir=options.cache) as work:
        stores = Stores(Path(work))
        stores.add_census(census)
        runner = Runner(work=Path(work), census=census, stores=stores, rounds=options.rounds, say=say)
        bench = Bench(
            runner=runner, facts=read_facts(census), n_index_obs=options.n_index_obs, n_small_obs=options.n_small_obs
        )
        try:
            for name in options.rows:
                try:
                    results.append(ROWS[name](bench))
                except (BenchmarkError, RuntimeError):
                    failed = True
                    say(f"{name} could not be measured:\n{traceback.format_exc()}")
                write_tables(options.out, results, about)
        finally:
            stores.close()
    print(to_markdown(results, about))
    return int(failed)


def demo_census(cache: Path, n_obs: int) -> Path:
    """The demo census of a size; built once."""
    cache.mkdir(parents=True, exist_ok=True)
    census = cache / f"demo-{n_obs}"
    if not census.exists():
        say(f"building a demo census of {n_obs:,} cells")
        run_program([COMMAND, "census", "build", census, "--n-obs", str(n_obs)], cache / "build.json", has_result=False)
    return census


def say(line: str) -> None:
    """One line of progress, with the time of day, on stderr."""
    print(time.strftime("%H:%M:%S"), line, file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main())
