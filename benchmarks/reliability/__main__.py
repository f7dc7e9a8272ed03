"""`python -m benchmarks.reliability`: the command over a bad network, one run for each kind of fault, and a table.

Exit code 1: a chunk was another than without faults, something was left in the bucket, or a command did not end as it
must.
"""

import argparse
import signal
import sys
import tempfile
from pathlib import Path

from benchmarks.__main__ import demo_census, say
from benchmarks.machine import describe_machine
from benchmarks.reliability.run import Outcome, run_scenario
from benchmarks.reliability.scenarios import Scenario, scenarios
from benchmarks.reliability.table import problems, to_markdown
from benchmarks.stores import Stores

UNDISTURBED = "undisturbed"


def main() -> int:
    """Runs what was asked for. Returns 1 if anything was not as it must be."""
    known = scenarios(seed=0)
    parser = argparse.ArgumentParser(prog="python -m benchmarks.reliability", description=__doc__)
    parser.add_argument("--n-obs", type=int, default=20_000, help="cells of the demo census (default 20,000)")
    parser.add_argument("--chunk-size", type=int, default=500, help="cells of a file (default 500)")
    parser.add_argument("--workers", type=int, default=2, help="Ray actors (default 2)")
    parser.add_argument("--seed", type=int, default=1, help="of the proxies' random numbers (default 1)")
    parser.add_argument("--faults", default=",".join(known), help=f"separated by commas: {', '.join(known)}")
    parser.add_argument("--out", type=Path, default=Path("benchmark-results"), help="folder of the table")
    parser.add_argument("--cache", type=Path, default=Path("/tmp/cxg-benchmarks"), help="folder of the census, kept")
    options = parser.parse_args()
    asked = options.faults.split(",")
    if unknown := set(asked) - set(known):
        parser.error(f"--faults: {', '.join(sorted(unknown))} is unknown")
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    census = demo_census(options.cache, options.n_obs)
    about = describe_machine(options.n_obs, rounds=1) | {"chunk size": options.chunk_size, "seed": options.seed}
    done: list[tuple[Scenario, Outcome]] = []
    table = ""
    failed = False
    with tempfile.TemporaryDirectory(prefix="reliability-", dir=options.cache) as work:
        stores = Stores(Path(work))
        stores.add_census(census)
        try:
            source = stores.source(census, "s3")
            for name, scenario in scenarios(options.seed).items():
                if name not in (UNDISTURBED, *asked):
                    continue
                say(name)
                outcome = run_scenario(
                    scenario, source, Path(work), chunk_size=options.chunk_size, workers=options.workers
                )
                done.append((scenario, outcome))
                for problem in problems(scenario, outcome, done[0][1]):
                    failed = True
                    say(f"{name}: {problem}")
                options.out.mkdir(parents=True, exist_ok=True)
                table = to_markdown(done, about)
                (options.out / "reliability.md").write_text(table)
        finally:
            stores.close()
    print(table)
    return int(failed)


if __name__ == "__main__":
    sys.exit(main())
