"""What a try-out left behind: objects, records of Dagster, processes, temporary files."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import boto3
import dagster as dg
from dagster import DagsterInstance

from cxg_assets.ingest.layout import dataset_path, plan_folder
from cxg_assets.ingest.plan.chunk_plan import load_plan
from cxg_assets.ingest.plan.published import read_dataset
from cxg_assets.ingest.storage.store import Store, StoreLocator
from cxg_assets.ingest.verify.dataset import verify
from cxg_assets.instance.provenance import latest_data_version
from cxg_assets.names import chunk_plan_key, h5ad_chunks_key
from cxg_assets_tests.servers.chaos.world import PREFIX, ChaosError, World, wait_until
from cxg_assets_tests.servers.command import SUBSET
from cxg_assets_tests.servers.strict_s3 import BUCKET, REGION, Key

ENDED = {dg.DagsterRunStatus.SUCCESS, dg.DagsterRunStatus.FAILURE, dg.DagsterRunStatus.CANCELED}


@dataclass(frozen=True, kw_only=True)
class Record:
    """What Dagster's instance of one home says of the chunks.

    Attributes:
        summaries: Of each run over chunks that came to its end, oldest first.
        n_materializations: Of chunks.
        unfinished: Ids of runs that are shown as running.
        untrue: Partitions whose latest event is not the chunk of the current plan.
    """

    summaries: tuple[Mapping[str, Any], ...]
    n_materializations: int
    unfinished: tuple[str, ...]
    untrue: tuple[str, ...]

    def total(self, figure: str) -> int:
        """Sum of a figure over the summaries."""
        return sum(int(summary[figure]) for summary in self.summaries)


def open_store(world: World, prefix: str = PREFIX) -> Store:
    """The destination, past the proxy."""
    return StoreLocator(url=f"s3://{BUCKET}/{prefix}", s3=world.server.settings()).open()


def chunks(world: World, prefix: str = PREFIX) -> dict[str, str]:
    """SHA-256 of each chunk of the published plan, by path in the store.

    Raises:
        ChaosError: Nothing is published.
    """
    store = open_store(world, prefix)
    try:
        dataset = read_dataset(store, SUBSET)
    except FileNotFoundError as error:
        raise ChaosError("nothing was published") from error
    folder = plan_folder(SUBSET, dataset.header.plan_id)
    paths = [path for path in store.sizes(folder) if path.endswith(".h5ad")]
    return {path: hashlib.sha256(store.get(path)).hexdigest() for path in paths}


def require_not_half_published(world: World) -> None:
    """What is published at this moment, if anything is, must be whole and right.

    Raises:
        ChaosError: It is not.
    """
    store = open_store(world)
    if not store.exists(dataset_path(SUBSET)):
        return
    problems = verify(store, read_dataset(store, SUBSET), census=None)
    if problems:
        raise ChaosError(f"published, but not whole: {problems[:5]}")


def unfinished_uploads(world: World) -> int:
    """Uploads in parts that were begun and not ended."""
    key = Key()
    session = boto3.Session(key.id, key.secret, region_name=REGION)
    client: Any = session.client("s3", endpoint_url=f"http://{world.server.endpoint}")
    return len(client.list_multipart_uploads(Bucket=BUCKET).get("Uploads", []))


def record(world: World, home: Path) -> Record:
    """What the Dagster instance of a home says."""
    with DagsterInstance.from_config(str(home / "dagster")) as instance:
        key = h5ad_chunks_key(SUBSET)
        observations = [item.asset_observation for item in instance.fetch_observations(key, limit=100).records]
        events = instance.fetch_materializations(key, limit=10_000).records
        runs = instance.get_runs()
        store = open_store(world)
        plan = load_plan(store, SUBSET, latest_data_version(instance, chunk_plan_key(SUBSET)))
        latest = {}
        for item in events:
            event = item.asset_materialization
            if event is not None:
                latest.setdefault(event.partition, (event.tags or {}).get("dagster/data_version"))
        return Record(
            summaries=tuple(
                {name: entry.value for name, entry in observation.metadata.items()}
                for observation in reversed(observations)
                if observation is not None
            ),
            n_materializations=len(events),
            unfinished=tuple(run.run_id for run in runs if run.status not in ENDED),
            untrue=tuple(chunk.key for chunk in plan.chunks if latest.get(chunk.key) != chunk.fingerprint),
        )


def wait_for_processes(world: World) -> None:
    """All that the world's programs started must end by itself soon.

    Raises:
        ChaosError: Some did not.
    """

    def gone() -> bool:
        return not any(program.sampler.living() for program in world.programs)

    wait_until("all processes end", gone, seconds=90)
