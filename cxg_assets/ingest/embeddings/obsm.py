"""The arrays that go to `obsm` of the chunks: where each is, and what cells that it does not have get."""

import json
import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from cxg_assets.ingest.census.census import CensusLocator
from cxg_assets.ingest.embeddings.hosted import hosted_ids
from cxg_assets.ingest.errors import BadInput, shown_names, shown_path

BUFFER_BYTES = 8 * 2**20
"""Bytes TileDB holds for each of the three columns where nothing but an array's shape is read."""

_INFO = "CxG_embedding_info"
_BUILD = re.compile(r"\d{4}-\d{2}-\d{2}")


@dataclass(frozen=True, kw_only=True)
class ObsmArray:
    """An array of obsm, a row a cell, in a sparse SOMA array.

    Attributes:
        uri: Where it is.
        n_features: Its columns.
        hosted_id: Of an embedding that is hosted beside the release; empty of one inside it.
    """

    uri: str
    n_features: int
    hosted_id: str = ""

    @property
    def missing(self) -> float:
        """What stands for a value that it does not have, as the Census's own client has it."""
        return math.nan if self.hosted_id else 0.0

    def dtype(self, stored: np.dtype) -> np.dtype:
        """Type of its values in a chunk, as the Census's own client has it."""
        return np.dtype(np.float32) if self.hosted_id else stored


def find_obsm(
    census: CensusLocator, experiment: str, obs_embeddings: Sequence[str], obsm_layers: Sequence[str]
) -> dict[str, ObsmArray]:
    """Finds arrays by their names, sorted by them; opens each, as only the array itself tells its shape.

    Args:
        census: The Census.
        experiment: As `spec.experiment_name` gives it; hosted are those of cells, whose name is that of the organism.
        obs_embeddings: Names of embeddings that are hosted beside the release.
        obsm_layers: Names of those in `obsm` of the release itself.

    Raises:
        BadInput: One is not there, or is of another build or organism.
        CxgError: What lists them cannot be read.
    """
    found: dict[str, ObsmArray] = {}
    if obs_embeddings:
        if (place := census.embeddings) is None:
            raise BadInput("obs_embeddings: of this Census the build is not known; open it by its release")
        for name, embedding_id in hosted_ids(place, experiment, obs_embeddings).items():
            uri = place.uri(embedding_id)
            with census.open_x(uri, n_threads=1, buffer_bytes=BUFFER_BYTES, of=f"{name} embedding") as array:
                _require_of(name, uri, dict(array.metadata), place.build, experiment)
                found[name] = ObsmArray(uri=uri, n_features=int(array.shape[1]), hosted_id=embedding_id)
    if obsm_layers:
        with census.open() as opened:
            uris = opened.obsm(experiment)
        unknown = [name for name in obsm_layers if name not in uris]
        if unknown:
            there = f"it has {', '.join(uris)}" if uris else "it has none; obs_embeddings are hosted beside it"
            where = f"census {shown_path(census.uri)}"
            raise BadInput(f"obsm_layers: {where} has no obsm {shown_names(unknown)} for {experiment}; {there}")
        for name in obsm_layers:
            with census.open_x(uris[name], n_threads=1, buffer_bytes=BUFFER_BYTES, of="obsm") as array:
                found[name] = ObsmArray(uri=uris[name], n_features=int(array.shape[1]))
    return dict(sorted(found.items()))


def _require_of(name: str, uri: str, metadata: Mapping[str, Any], build: str, organism: str) -> None:
    """Refuses an embedding of another build or organism, by what the array itself says."""
    try:
        told = json.loads(metadata[_INFO])
        version, experiment = str(told["census_version"]), str(told["experiment_name"])
    except (KeyError, TypeError, ValueError) as error:
        raise BadInput(f"obs_embeddings: {name}, {uri}, does not say of which build it is ({_INFO})") from error
    # An alias would be as the manifest says, which named this build.
    if (_BUILD.fullmatch(version) and version != build) or experiment != organism:
        raise BadInput(
            f"obs_embeddings: {name}, {uri}, is of {experiment} of {version}, and not of {organism} of {build}"
        )
