"""What decides the files of a subset, as one digest."""

import hashlib
import json
from collections.abc import Sequence
from dataclasses import asdict

import pyarrow as pa

from cxg_assets.ingest.census.release import Release
from cxg_assets.ingest.selection.selection import Selection
from cxg_assets.ingest.spec import CENSUS_DATA


def subset_fingerprint(selection: Selection, release: Release, genes: pa.Table, columns: Sequence[str]) -> str:
    """SHA-256 (hex) over everything that decides a subset's obs and var.

    Args:
        selection: What selected it.
        release: The build of the Census.
        genes: Its genes in order, with `feature_id`.
        columns: Columns of its obs file that are the census index's.
    """
    inputs = {
        "release": release.fingerprint,
        "organism": selection.organism,
        "value_filter": selection.value_filter,
        "max_obs": selection.max_obs,
        "columns": list(columns),
        "categories": "those of its cells, sorted",  # before, those of the whole Census in its order
        "feature_ids": genes["feature_id"].to_pylist(),
    }
    if selection.modality != CENSUS_DATA:
        inputs["modality"] = selection.modality
    if selection.genes is not None:
        # Not only the genes that it kept: what chunks tell of their origin comes from the selection. What an attribute
        # of later versions says by default is not said, so that a subset of before keeps its name.
        told = {"value_filter", "feature_ids", *selection.genes.given}
        inputs["genes"] = {name: value for name, value in asdict(selection.genes).items() if name in told}
    for attribute in ("sample", "split"):
        if (value := getattr(selection, attribute)) is not None:
            inputs[attribute] = asdict(value)
    if selection.quality is not None:
        # The genes, and not by what they were found: other patterns may give the same.
        inputs["quality"] = selection.quality.identity(selection.quality_genes)
    return hashlib.sha256(json.dumps(inputs).encode()).hexdigest()
