"""Distil the ontologies that filters know from the unpacked contents of cellxgene-ontology-guide.

Regenerates, byte for byte with the same pyarrow, `cxg_assets/ingest/filters/ontologies.parquet`: a row for each term
that is not deprecated, with its id, its label, and the rows of its nearest ancestors. The versions are those that the
schema of CELLxGENE named below prescribes; they are kept in the file.

Usage, after unzipping the wheel (`NOTICE` names its version and licence):

    python scripts/distil_ontologies.py --guide DIR --output cxg_assets/ingest/filters/ontologies.parquet

where DIR is the importable package folder (the one that holds `__init__.py`).
"""

import argparse
import json
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

SCHEMA_VERSION = "7.0.0"
"""Of CELLxGENE: that of the Census of 2025-11-08."""

ONTOLOGIES = ("CL", "EFO", "HsapDv", "MONDO", "MmusDv", "UBERON")


def read_terms(guide: Path, ontology: str, version: str) -> dict[str, Any]:
    """The terms of one ontology by id, without those that are deprecated."""
    file = guide / "data" / f"{ontology}-ontology-{version}.json.zst"
    with pa.CompressedInputStream(pa.OSFile(str(file)), "zstd") as stream:
        terms = json.loads(stream.read())
    return {term: about for term, about in terms.items() if not about["deprecated"]}


def nearest(ancestors: dict[str, set[str]], term: str) -> set[str]:
    """The ancestors of a term that are no ancestors of another of its ancestors.

    Not those at a distance of one: these may be of another ontology, and then what is above them would be lost.
    """
    return ancestors[term].difference(*(ancestors[other] for other in ancestors[term]))


def main() -> None:
    """Writes the file."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--guide", type=Path, required=True)
    parser.add_argument("--output", type=Path, required=True)
    options = parser.parse_args()
    info = json.loads((options.guide / "data" / "ontology_info.json").read_text())[SCHEMA_VERSION]["ontologies"]
    versions = {ontology: info[ontology]["version"] for ontology in ONTOLOGIES}
    terms: dict[str, Any] = {}
    for ontology, version in versions.items():
        terms |= read_terms(options.guide, ontology, version)
    ids = sorted(terms)
    row_of = {term: row for row, term in enumerate(ids)}
    ancestors = {term: row_of.keys() & terms[term]["ancestors"].keys() for term in ids}
    parents = [sorted(row_of[other] for other in nearest(ancestors, term)) for term in ids]
    table = pa.table(
        {
            "term": pa.array(ids, pa.string()),
            "label": pa.array([terms[term]["label"] for term in ids], pa.string()),
            "parents": pa.array(parents, pa.list_(pa.int32())),
        }
    ).replace_schema_metadata({"versions": json.dumps(versions)})
    pq.write_table(table, options.output, compression="zstd", compression_level=19)


if __name__ == "__main__":
    main()
