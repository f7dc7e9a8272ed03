"""What must hold after every fault."""

from collections.abc import Mapping
from dataclasses import dataclass

from cxg_assets.ingest.plan.published import read_dataset
from cxg_assets.ingest.verify.dataset import verify
from cxg_assets_tests.servers.chaos.look import chunks, open_store, record, unfinished_uploads, wait_for_processes
from cxg_assets_tests.servers.chaos.world import ChaosError, World
from cxg_assets_tests.servers.command import SUBSET


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """What a try-out came to.

    Attributes:
        n_runs: Runs of the command or the UI that made chunks.
        n_launches: How often Dagster has begun their steps.
        n_chunks: Of the dataset.
        n_stored: Chunks that were stored, of all plans.
        n_found: Chunks that runs had found stored, and did not make.
        retries: Chunks that the pool tried again.
        workers_lost: Actors that died.
    """

    n_runs: int
    n_launches: int
    n_chunks: int
    n_stored: int
    n_found: int
    retries: int
    workers_lost: int


def check(world: World, expected: Mapping[str, str], *, deep: bool = False) -> Outcome:
    """Compares what is there with what an undisturbed run leaves.

    Args:
        world: After the fault.
        expected: Digest of each chunk of an undisturbed run, by path.
        deep: Compare every cell with what the Census's own client gives; bytes that are those of a dataset for which
            that was done need not be.

    Raises:
        ChaosError: Something is not as it must be.
    """
    wait_for_processes(world)
    puts = world.puts()
    again = {path: n for path, n in puts.items() if n > 1}
    _require(not again, f"stored more than once: {again}")
    found = chunks(world)
    _require(found == expected, f"not the bytes of an undisturbed run: {_difference(found, expected)}")
    store = open_store(world)
    dataset = read_dataset(store, SUBSET)
    problems = verify(store, dataset, dataset.header.subset.release.locator({}) if deep else None)
    _require(not problems, f"verify finds: {problems[:5]}")
    _require(unfinished_uploads(world) == 0, "uploads in parts were left")
    left = [path for path in world.scratch.rglob("*") if path.is_file()]
    _require(not left, f"temporary files were left: {left[:5]}")
    homes = sorted(path.parent.parent for path in world.folder.glob("*/dagster/dagster.yaml"))
    records = [record(world, home) for home in homes]
    for home, told in zip(homes, records, strict=True):
        _require(not told.unfinished, f"{home.name}: shown as running: {told.unfinished}")
        _require(not told.untrue, f"{home.name}: not shown as the chunk that it is: {told.untrue[:5]}")
    return Outcome(
        n_runs=sum(len(told.summaries) for told in records),
        n_launches=sum(told.total("launches") for told in records),
        n_chunks=len(found),
        n_stored=puts.total(),
        n_found=sum(told.total("n_skipped") for told in records),
        retries=sum(told.total("retries") for told in records),
        workers_lost=sum(told.total("workers_lost") for told in records),
    )


def _require(holds: bool, otherwise: str) -> None:
    if not holds:
        raise ChaosError(otherwise)


def _difference(found: Mapping[str, str], expected: Mapping[str, str]) -> str:
    missing = sorted(set(expected) - set(found))
    others = sorted(path for path in set(found) & set(expected) if found[path] != expected[path])
    return f"missing {missing[:5]}, too many {sorted(set(found) - set(expected))[:5]}, other bytes {others[:5]}"
