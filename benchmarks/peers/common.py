"""What the peers share: their arguments, how they open the Census, and the result they write."""

import argparse
import json
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    import tiledbsoma

ORGANISM = "Homo sapiens"

VAR_COLUMNS = ["soma_joinid", "feature_id", "feature_name", "feature_length"]
"""The columns that the actor pool asks for."""


@dataclass(frozen=True, kw_only=True)
class PeerJob:
    """What a peer is asked to make. Picklable.

    Attributes:
        census_uri: SOMA URI.
        tiledb_config: TileDB settings for it, besides cellxgene_census's own.
        joinids: (n_obs,) int64, the cells in order.
        chunk_size: Cells a file.
        workers: Processes that share the files.
        destination: A folder, or `s3://bucket/prefix`.
        feature_ids: Keep these genes only; empty for all.
        compression: `compression` of `write_h5ad`; None for none.
    """

    census_uri: str
    tiledb_config: dict[str, str]
    joinids: np.ndarray
    chunk_size: int
    workers: int
    destination: str
    feature_ids: tuple[str, ...]
    compression: str | None

    def chunks(self) -> list[np.ndarray]:
        """The joinids of each file."""
        return [self.joinids[start : start + self.chunk_size] for start in range(0, len(self.joinids), self.chunk_size)]

    def open(self) -> "tiledbsoma.Collection":
        """Opens the Census as the peers do, but by URI instead of looking a release up over HTTP first."""
        import cellxgene_census

        return cellxgene_census.open_soma(uri=self.census_uri, tiledb_config=self.tiledb_config or None)

    @property
    def var_value_filter(self) -> str | None:
        """The gene filter, as the actor pool spells it."""
        if not self.feature_ids:
            return None
        return f"feature_id in [{','.join(repr(feature_id) for feature_id in self.feature_ids)}]"


def parse_job(description: str | None) -> tuple[PeerJob, Path]:
    """Reads a peer's command line. Returns the job and the file for the result."""
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("--census-uri", required=True)
    parser.add_argument("--tiledb-config", type=json.loads, default={}, help="JSON object of TileDB settings")
    parser.add_argument("--joinids", type=Path, required=True, help=".npy of int64 soma_joinids")
    parser.add_argument("--chunk-size", type=int, required=True, help="cells a file")
    parser.add_argument("--workers", type=int, default=1)
    parser.add_argument("--destination", default="", help="folder or s3://bucket/prefix")
    parser.add_argument("--genes", default="", help="feature_ids, separated by commas")
    parser.add_argument("--compression", default=None, help="of write_h5ad")
    parser.add_argument("--json", type=Path, required=True, help="where the result goes")
    options = parser.parse_args()
    job = PeerJob(
        census_uri=options.census_uri,
        tiledb_config=options.tiledb_config,
        joinids=np.load(options.joinids),
        chunk_size=options.chunk_size,
        workers=options.workers,
        destination=options.destination,
        feature_ids=tuple(gene for gene in options.genes.split(",") if gene),
        compression=options.compression,
    )
    if job.destination and not job.destination.startswith("s3://"):
        Path(job.destination).mkdir(parents=True, exist_ok=True)
    return job, options.json


def write_result(file: Path, *, n_obs: int, seconds: float, file_bytes: list[int], **extra: Any) -> None:
    """Writes what `benchmarks.measure` reads."""
    result = {"n_obs": n_obs, "n_files": len(file_bytes), "seconds": seconds, "total_bytes": sum(file_bytes), **extra}
    file.write_text(json.dumps(result))
