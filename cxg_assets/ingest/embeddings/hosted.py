"""Which embeddings the Census hosts for a build, by its manifest.

`get_anndata(obs_embeddings=…)` of cellxgene_census reads the same file; of two of one name both take the newer.
"""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from cxg_assets.ingest.census.embeddings_place import EmbeddingsPlace
from cxg_assets.ingest.census.release_directory import fetch_objects
from cxg_assets.ingest.errors import BadInput, CxgError, shown_names, shown_path

_SETTINGS = "CXG_CENSUS_EMBEDDINGS_MANIFEST and CXG_CENSUS_EMBEDDINGS_URI say where they are"


def hosted_ids(place: EmbeddingsPlace, organism: str, names: Sequence[str]) -> dict[str, str]:
    """The id of each of some embeddings of cells.

    Raises:
        BadInput: One is not hosted for this build and organism, or nobody says where the manifest is.
        CxgError: The manifest cannot be read.
    """
    found: dict[str, tuple[str, str]] = {}
    for entry in _manifest(place).values():
        told = entry if isinstance(entry, dict) else {}
        wanted = {"data_type": "obs_embedding", "experiment_name": organism, "census_version": place.build}
        if any(told.get(key) != value for key, value in wanted.items()):
            continue
        name, newest = str(told.get("embedding_name")), (str(told.get("submission_date", "")), str(told.get("id")))
        found[name] = max(found.get(name, newest), newest)
    unknown = [name for name in names if name not in found]
    if unknown:
        there = f"there are {', '.join(sorted(found))}" if found else f"there are none; {_SETTINGS}"
        raise BadInput(f"obs_embeddings: {shown_names(unknown)} is not hosted for {organism} of {place.build}; {there}")
    return {name: found[name][1] for name in names}


def _manifest(place: EmbeddingsPlace) -> Mapping[str, Any]:
    where = place.manifest
    if not where:
        raise BadInput(f"obs_embeddings: nothing tells which embeddings there are for this Census; {_SETTINGS}")
    if where.startswith(("http://", "https://")):
        try:
            [told] = fetch_objects([where])
        except CxgError as error:
            raise CxgError(f"obs_embeddings: {error}, or say where a copy is: {_SETTINGS}") from error
        return told
    try:
        read = json.loads(Path(where.removeprefix("file://")).read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        there = f"{shown_path(where)} is not there"
        raise BadInput(f"obs_embeddings: this Census has none: {there}; {_SETTINGS}") from error
    except (OSError, ValueError) as error:
        raise CxgError(f"obs_embeddings: {shown_path(where)} cannot be read ({error}); {_SETTINGS}") from error
    if not isinstance(read, dict):
        raise CxgError(f"obs_embeddings: {shown_path(where)} is JSON, but not an object; {_SETTINGS}")
    return read
