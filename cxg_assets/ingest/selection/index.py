"""The census index: all obs metadata of one organism of a release, as one feather file."""

import json
from dataclasses import asdict, dataclass
from pathlib import Path

from cxg_assets.ingest.census.census import Census
from cxg_assets.ingest.census.release import Release
from cxg_assets.ingest.census.repeated_cells import RepeatedCells
from cxg_assets.ingest.errors import CxgError
from cxg_assets.ingest.storage.feather import write_feather


@dataclass(frozen=True, kw_only=True)
class CensusIndex:
    """What is known of an index file; stored beside it as JSON.

    Attributes:
        release: The build it was read from.
        organism: As the Census spells it.
        n_obs: Rows.
        n_bytes: Size of the file.
        columns: Columns of obs.
    """

    release: Release
    organism: str
    n_obs: int
    n_bytes: int
    columns: tuple[str, ...]

    def to_json(self) -> bytes:
        """The inverse of `from_json`."""
        return json.dumps(asdict(self), indent=1).encode()

    @classmethod
    def from_json(cls, text: bytes) -> "CensusIndex":
        """Reads what `to_json` wrote."""
        fields = json.loads(text)
        fields |= {"release": Release.from_fields(fields["release"]), "columns": tuple(fields["columns"])}
        return cls(**fields)


def write_index(census: Census, release: Release, organism: str, path: Path) -> CensusIndex:
    """Streams obs from the Census to a feather file, in soma_joinid order.

    Memory: a few batches, and 8 bytes a cell to see whether one is there twice.

    Dictionary columns stay dictionaries with all their categories, plain text stays plain text (older builds). The file
    says itself how many cells it has twice.

    Raises:
        BadInput: The Census has no such organism.
        CxgError: obs came back with another number of rows than the Census counts.
    """
    obs = census.obs(organism)
    cells = RepeatedCells(obs.count, obs.schema)
    n_obs = write_feather(path, cells.seen(census.obs_batches(organism)), obs.schema, note=cells.note)
    if n_obs != obs.count:
        raise CxgError(f"{organism} obs of {census.uri} counts {obs.count:,} cells, but {n_obs:,} were read")
    return CensusIndex(
        release=release,
        organism=organism,
        n_obs=n_obs,
        n_bytes=path.stat().st_size,
        columns=tuple(obs.schema.names),
    )
