"""cellxgene-ingest, `ingest-pool.py`: a pool of Ray actors, each opening the Census again for every file.

Kept from the model: `ray.util.ActorPool.map`; the existence check before each file; the Census opened for each file;
obs with soma_joinid only; var with four columns; the file written uncompressed to a temporary file and uploaded by
boto3, with a new client for each. In its favour: the clock starts when the actors have imported everything and
answered; files for a folder are written in place, without the temporary copy.
"""

import os
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import numpy as np

from benchmarks.peers.common import ORGANISM, VAR_COLUMNS, PeerJob, parse_job, write_result
from cxg_assets.resources.ray_cluster import start_own_ray

if TYPE_CHECKING:
    import anndata


class IngestBatch:
    """One actor."""

    def __init__(self, job: PeerJob) -> None:
        import boto3
        import cellxgene_census  # noqa: F401 - loaded when the actor starts, as the model does

        self._job = job
        # The model opens the Census here too, and never uses it.
        self._census = job.open()
        self._s3 = boto3.client("s3") if job.destination.startswith("s3://") else None

    def ready(self) -> int:
        """Answers when the actor can work."""
        return os.getpid()

    def ingest(self, joinids: np.ndarray) -> int:
        """Makes one file. Returns its size; 0 when it exists."""
        import cellxgene_census

        name = f"{joinids[0]}-{joinids[-1]}.h5ad"
        if self._exists(name):
            return 0
        with self._job.open() as census:
            adata = cellxgene_census.get_anndata(
                census=census,
                organism=ORGANISM,
                var_value_filter=self._job.var_value_filter,
                obs_coords=joinids,
                column_names={"obs": ["soma_joinid"], "var": VAR_COLUMNS},
            )
            return self._write(adata, name)

    def _exists(self, name: str) -> bool:
        if self._s3 is None:
            return (Path(self._job.destination) / name).exists()
        import botocore.exceptions

        bucket, prefix = _bucket_and_prefix(self._job.destination)
        try:
            self._s3.head_object(Bucket=bucket, Key=f"{prefix}{name}")
        except botocore.exceptions.ClientError as error:
            return int(error.response["Error"]["Code"]) != 404
        return True

    def _write(self, adata: "anndata.AnnData", name: str) -> int:
        if self._s3 is None:
            path = Path(self._job.destination) / name
            adata.write_h5ad(path)
            return path.stat().st_size
        import boto3

        bucket, prefix = _bucket_and_prefix(self._job.destination)
        with tempfile.NamedTemporaryFile() as file:
            adata.write_h5ad(file.name)
            boto3.client("s3").upload_file(file.name, bucket, f"{prefix}{name}")
            return os.stat(file.name).st_size


def _bucket_and_prefix(destination: str) -> tuple[str, str]:
    parts = urlsplit(destination)
    prefix = parts.path.strip("/")
    return parts.netloc, f"{prefix}/" if prefix else ""


def main() -> None:
    """Runs the pool."""
    import ray

    job, result_file = parse_job(__doc__)
    start_own_ray({"num_cpus": job.workers})
    began = time.monotonic()
    actors = [ray.remote(IngestBatch).remote(job) for _ in range(job.workers)]
    ray.get([actor.ready.remote() for actor in actors])
    ready = time.monotonic()
    pool = ray.util.ActorPool(actors)
    sizes: Any = list(pool.map(lambda actor, joinids: actor.ingest.remote(joinids), job.chunks()))
    ended = time.monotonic()
    write_result(
        result_file, n_obs=len(job.joinids), seconds=ended - ready, file_bytes=sizes, pool_start_seconds=ready - began
    )
    ray.shutdown()


if __name__ == "__main__":
    main()
