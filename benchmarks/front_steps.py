"""The steps over all obs of a release and all chunks of a plan, each as a program: all but the chunks themselves.

    python -m benchmarks.front_steps STEP --census-uri CENSUS --folder FOLDER --value-filter FILTER --json RESULT

The Dagster instance is that of FOLDER/home/dagster; a `dagster.yaml` that lies there says which database it has.

A step reads what the ones before it left in the folder's store and Dagster instance. It does what the asset, the check
or the command does, without Dagster around it where Dagster has no part in it. Chunks are not made: their reports are
made up, and files of a few bytes lie in their places.
"""

import argparse
import json
import os
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import timedelta
from functools import cached_property
from pathlib import Path
from typing import Any

from cxg_assets.ingest.census.release import Release, read_release
from cxg_assets.ingest.chunks.report import ChunkReport
from cxg_assets.ingest.finding import Finding
from cxg_assets.ingest.plan.chunk_plan import ChunkPlan, load_plan
from cxg_assets.ingest.plan.making import store_plan
from cxg_assets.ingest.plan.spans import plan_spans
from cxg_assets.ingest.plan.stored import stored_sizes
from cxg_assets.ingest.selection.index import CensusIndex, load_index, make_index
from cxg_assets.ingest.selection.subset import Subset, load_subset, make_subset
from cxg_assets.ingest.spec import SubsetSpec
from cxg_assets.ingest.storage.store import Store, StoreLocator
from cxg_assets.ingest.verify.plan import verify_plan
from cxg_assets.ingest.verify.selection import verify_subset

ORGANISM = "homo_sapiens"
NAME = "blood_normal"
"""A subset of the package, so that its UI shows what was recorded."""

CHUNK_SIZE = 10_000
CONTENT = b"a chunk"
N_WORKERS = 64
"""Workers that spans are planned for."""


@dataclass(frozen=True, kw_only=True)
class Front:
    """What the steps share.

    Attributes:
        census_uri: The Census.
        folder: Of the store and of the Dagster instance.
        value_filter: The subset's.
    """

    census_uri: str
    folder: Path
    value_filter: str

    @cached_property
    def release(self) -> Release:
        """The release."""
        return read_release(NAME, self.census_uri, None, {})

    @cached_property
    def store(self) -> Store:
        """The default store, and the destination."""
        return StoreLocator(url=(self.folder / "store").absolute().as_uri()).open()

    @property
    def spec(self) -> SubsetSpec:
        """The subset."""
        return SubsetSpec(name=NAME, organism=ORGANISM, value_filter=self.value_filter, chunk_size=CHUNK_SIZE)

    @property
    def index(self) -> CensusIndex:
        """What the first step left."""
        return load_index(self.store, self.release.version, ORGANISM)

    @property
    def subset(self) -> Subset:
        """What the filter left."""
        return load_subset(self.store, NAME, self.result("filter")["fingerprint"])

    @property
    def plan(self) -> ChunkPlan:
        """What planning left."""
        return load_plan(self.store, NAME, self.result("plan")["plan_id"])

    def result(self, step: str) -> dict[str, Any]:
        """What an earlier step said."""
        return json.loads((self.folder / f"{step}.json").read_text())


def index(front: Front) -> dict[str, Any]:
    """Writes the index."""
    made = make_index(front.release.locator({}), front.release, ORGANISM, front.store)
    return {"n_obs": made.n_obs, "n_bytes": made.n_bytes}


def select(front: Front) -> dict[str, Any]:
    """Filters the index."""
    made = make_subset(front.spec, front.index, front.store, front.release.locator({}), front.store)
    return {"n_obs": made.n_obs, "n_obs_before": made.n_obs_before, "fingerprint": made.fingerprint}


def check_subset(front: Front) -> dict[str, Any]:
    """Executes what the checks of the subset execute."""
    found = verify_subset(front.subset, NAME, front.store, front.index, front.store)
    return {"wrong": _wrong(*found), "n_obs": found.contents.facts["n_obs"]}


def plan(front: Front) -> dict[str, Any]:
    """Cuts the subset into chunks."""
    made = store_plan(front.spec, front.subset, front.store)
    return {"n_chunks": len(made.chunks), "plan_id": made.header.plan_id}


def check_plan(front: Front) -> dict[str, Any]:
    """Executes what the check of the plan executes."""
    return {"wrong": _wrong(verify_plan(front.plan, front.store))}


def spans(front: Front) -> dict[str, Any]:
    """Reads the plan, and gives its chunks to workers that only report: nothing is made."""
    made = front.plan
    began, cpu = time.monotonic(), time.process_time()
    planned = plan_spans(made.chunks, N_WORKERS)
    n_reported = sum(len([chunk.key for chunk in span.chunks]) for span in planned)
    return {**_spent(began, cpu), "n_spans": len(planned), "n_chunks": n_reported}


def register(front: Front) -> dict[str, Any]:
    """Registers the partitions."""
    from cxg_assets.cli.project import dagster_instance
    from cxg_assets.instance.partitions import register_partitions

    with dagster_instance() as instance:
        began, cpu = time.monotonic(), time.process_time()
        register_partitions(instance, front.plan, front.store)
        return _spent(began, cpu)


def record(front: Front) -> dict[str, Any]:
    """Records all chunks in one run, after a file was put in the place of each."""
    from benchmarks.recorded import record_reports
    from cxg_assets.cli.project import dagster_instance
    from cxg_assets.instance.provenance import IS_USER_PROVIDED_TAG, made_from_tags
    from cxg_assets.names import chunk_plan_key

    made = front.plan
    _put_chunks(front, made)
    tags = made_from_tags(front.release, {chunk_plan_key(NAME): made.header.plan_id}) | {IS_USER_PROVIDED_TAG: "true"}
    with dagster_instance() as instance:
        recorded = record_reports(instance, NAME, _reports(front, made), tags)
    return {
        "seconds": recorded.create_seconds + recorded.seconds,
        "cpu_seconds": recorded.create_cpu_seconds + recorded.cpu_seconds,
        "create_seconds": recorded.create_seconds,
        "chunks_per_second": len(made.chunks) / recorded.seconds,
        "run_id": recorded.run_id,
    }


def publish(front: Front) -> dict[str, Any]:
    """Reads back what is on record, looks what has stored, and publishes; the sample of chunks is not compared."""
    from cxg_assets.cli.project import dagster_instance
    from cxg_assets.ingest.dataset.publish import publish as publish_dataset
    from cxg_assets.instance.partitions import chunk_record

    with dagster_instance() as instance:
        began, cpu = time.monotonic(), time.process_time()
        made = front.plan
        reports = list(chunk_record(instance, made, front.store).reports.values())
        read_back = time.monotonic() - began
        sizes = stored_sizes(front.store, made)
        published = publish_dataset(front.store, made, reports, front.release.locator({}), sizes)
        return {**_spent(began, cpu), "read_back_seconds": read_back, "n_chunks": published.n_chunks}


def replan(front: Front) -> dict[str, Any]:
    """Plans anew with chunks half as large, registers their partitions, and publishes the new dataset."""
    from cxg_assets.cli.project import dagster_instance
    from cxg_assets.ingest.dataset.publish import publish as publish_dataset
    from cxg_assets.instance.partitions import register_partitions

    made = store_plan(replace(front.spec, chunk_size=CHUNK_SIZE // 2), front.subset, front.store)
    _put_chunks(front, made)
    with dagster_instance() as instance:
        began, cpu = time.monotonic(), time.process_time()
        register_partitions(instance, made, front.store)
        registered = _spent(began, cpu)
    sizes = stored_sizes(front.store, made)
    publish_dataset(front.store, made, _reports(front, made), front.release.locator({}), sizes)
    return {"n_chunks": len(made.chunks), "register_seconds": registered["seconds"]}


def fewer(front: Front) -> dict[str, Any]:
    """Registers the partitions of the first plan again: half of them go."""
    return {**register(front), "n_chunks": len(front.plan.chunks)}


def prune(front: Front) -> dict[str, Any]:
    """Removes the plan that is not published any more, with its chunks."""
    from cxg_assets.ingest.dataset.inventory import take_inventory
    from cxg_assets.ingest.dataset.prune import prune as remove

    inventory = take_inventory(front.store, NAME, 0, older_than=timedelta(0))
    left = remove(front.store, inventory)
    return {"n_plans": sum(entry.kind == "plan" for entry in inventory.going), "n_left": len(left)}


STEPS: dict[str, Callable[[Front], dict[str, Any]]] = {
    "index": index,
    "filter": select,
    "check-subset": check_subset,
    "plan": plan,
    "check-plan": check_plan,
    "spans": spans,
    "register": register,
    "record": record,
    "publish": publish,
    "replan": replan,
    "fewer": fewer,
    "prune": prune,
}
"""In the order in which they follow each other."""


def _put_chunks(front: Front, made: ChunkPlan) -> None:
    """Puts a file of a few bytes in the place of each chunk."""
    for chunk in made.chunks:
        front.store.put_chunk(made.path(chunk), CONTENT, chunk.fingerprint)


def _reports(front: Front, made: ChunkPlan) -> list[ChunkReport]:
    from benchmarks.recorded import made_up

    return [
        replace(
            made_up(NAME, chunk.key, number),
            fingerprint=chunk.fingerprint,
            uri=front.store.uri(made.path(chunk)),
            n_obs=chunk.n_obs,
            n_vars=made.header.subset.n_vars,
            n_bytes=len(CONTENT),
            first_joinid=chunk.first_joinid,
            last_joinid=chunk.last_joinid,
        )
        for number, chunk in enumerate(made.chunks)
    ]


def _wrong(*findings: Finding) -> str:
    return "; ".join(finding.message for finding in findings if not finding.passed)


def _spent(began: float, cpu: float) -> dict[str, float]:
    return {"seconds": time.monotonic() - began, "cpu_seconds": time.process_time() - cpu}


def main() -> None:
    """Runs one of the steps."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("step", choices=list(STEPS))
    parser.add_argument("--census-uri", required=True)
    parser.add_argument("--folder", type=Path, required=True)
    parser.add_argument("--value-filter", required=True)
    parser.add_argument("--json", type=Path, required=True)
    options = parser.parse_args()
    home = options.folder / "home"
    os.environ |= {"CXG_HOME": str(home), "DAGSTER_HOME": str(home / "dagster")}
    front = Front(census_uri=options.census_uri, folder=options.folder, value_filter=options.value_filter)
    began, cpu = time.monotonic(), time.process_time()
    result = STEPS[options.step](front)
    options.json.write_text(json.dumps(_spent(began, cpu) | result))


if __name__ == "__main__":
    main()
