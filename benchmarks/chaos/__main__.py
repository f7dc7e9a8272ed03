"""`python -m benchmarks.chaos`: rounds of the whole platform with faults, each compared with an undisturbed run.

Every fault comes once before any comes again; order and moments follow from the seed. Exit code 1: something was not as
it must be.
"""

import argparse
import random
import signal
import sys
import tempfile
import time
import warnings
from contextlib import AbstractContextManager, ExitStack
from pathlib import Path

from benchmarks.__main__ import demo_census, say
from benchmarks.chaos.table import Round, to_markdown
from benchmarks.machine import describe_machine
from cxg_assets.demo import build_census
from cxg_assets_tests.servers.chaos.checks import check
from cxg_assets_tests.servers.chaos.faults import FAULTS, Fault, undisturbed
from cxg_assets_tests.servers.chaos.look import chunks
from cxg_assets_tests.servers.chaos.world import ChaosError, World, new_world
from cxg_assets_tests.servers.postgres import serve_postgres


def main() -> int:
    """Runs the rounds. Returns 1 if anything was not as it must be."""
    known = {fault.name: fault for fault in FAULTS}
    parser = argparse.ArgumentParser(prog="python -m benchmarks.chaos", description=__doc__)
    parser.add_argument("--rounds", type=int, default=20, help="faults in all (default 20)")
    parser.add_argument("--seed", type=int, default=1, help="of order and moments (default 1)")
    parser.add_argument("--faults", default=",".join(known), help=f"separated by commas: {', '.join(known)}")
    parser.add_argument("--n-obs", type=int, default=20_000, help="cells of the demo census (default 20,000)")
    parser.add_argument("--chunk-size", type=int, default=500, help="cells of a file (default 500)")
    parser.add_argument("--database", choices=["sqlite", "postgres"], default="sqlite", help="of Dagster's records")
    parser.add_argument("--out", type=Path, default=Path("benchmark-results"), help="folder of the table")
    parser.add_argument("--cache", type=Path, default=Path("/tmp/cxg-benchmarks"), help="folder of the census, kept")
    options = parser.parse_args()
    if unknown := set(options.faults.split(",")) - set(known):
        parser.error(f"--faults: {', '.join(sorted(unknown))} is unknown")
    warnings.simplefilter("ignore")  # AnnData warns of each AnnData that tiledbsoma makes
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    census = demo_census(options.cache, options.n_obs)
    another = census.with_name(f"{census.name}-another")
    if not another.exists():
        build_census(another, n_obs=options.n_obs * 3 // 4, seed=2)
    about = describe_machine(options.n_obs, rounds=options.rounds)
    about |= {"chunk size": options.chunk_size, "seed": options.seed, "Dagster's records": options.database}
    rounds: list[Round] = []
    options.out.mkdir(parents=True, exist_ok=True)
    with ExitStack() as stack:
        work = stack.enter_context(tempfile.TemporaryDirectory(prefix="chaos-", dir=options.cache))
        postgres = stack.enter_context(serve_postgres(durable=True)) if options.database == "postgres" else None
        began = time.monotonic()
        with new_world(
            census, Path(work) / "undisturbed", options.chunk_size, options.seed, postgres=postgres
        ) as world:
            undisturbed(world)
            seconds = time.monotonic() - began
            expected = chunks(world)
            check(world, expected, deep=True)
        faults = [known[name] for name in options.faults.split(",")]
        for number, fault in enumerate(_deal(faults, options.rounds, options.seed), start=1):
            say(f"round {number}: {fault.name}")
            world = new_world(
                census, Path(work) / f"{number:02d}", options.chunk_size, options.seed + number, postgres=postgres
            )
            rounds.append(_run(fault, world, expected))
            if rounds[-1].wrong:
                say(f"round {number}: {rounds[-1].wrong}")
            (options.out / "chaos.md").write_text(to_markdown(rounds, seconds, about))
    print(to_markdown(rounds, seconds, about))
    return int(any(done.wrong for done in rounds))


def _deal(faults: list[Fault], n_rounds: int, seed: int) -> list[Fault]:
    """As many faults as there are rounds, shuffled; each comes before any comes once more."""
    dealt: list[Fault] = []
    order = random.Random(seed)
    while len(dealt) < n_rounds:
        dealt += order.sample(faults, len(faults))
    return dealt[:n_rounds]


def _run(fault: Fault, new: AbstractContextManager[World], expected: dict[str, str]) -> Round:
    began = time.monotonic()
    with new as world:
        try:
            other = fault.inject(world)
            seconds = time.monotonic() - began
            outcome = check(world, expected if other is None else chunks(world, other), deep=other is not None)
        except ChaosError as error:
            return Round(fault=fault.name, seconds=time.monotonic() - began, wrong=str(error))
    return Round(fault=fault.name, seconds=seconds, outcome=outcome)


if __name__ == "__main__":
    sys.exit(main())
