"""Writes `census_info`: what the census holds, in the tables of the real one."""

from collections.abc import Iterable, Sequence

import pyarrow as pa
import tiledbsoma as soma

from cxg_assets.demo.experiment import WrittenOrganism
from cxg_assets.demo.layout import CENSUS_SCHEMA_VERSION, DATASET_SCHEMA_VERSION
from cxg_assets.demo.tables import write_table

BUILD_DATE = "2025-01-01"
"""Fixed, so that equal arguments give equal censuses. No real release has this date."""

_DATASETS_SCHEMA = pa.schema(
    [
        ("soma_joinid", pa.int64()),
        ("citation", pa.large_string()),
        ("collection_id", pa.large_string()),
        ("collection_name", pa.large_string()),
        ("collection_doi", pa.large_string()),
        ("collection_doi_label", pa.large_string()),
        ("dataset_id", pa.large_string()),
        ("dataset_version_id", pa.large_string()),
        ("dataset_title", pa.large_string()),
        ("dataset_h5ad_path", pa.large_string()),
        ("dataset_total_cell_count", pa.int64()),
    ]
)
_COUNTED_COLUMNS = (
    "assay",
    "cell_type",
    "disease",
    "self_reported_ethnicity",
    "sex",
    "suspension_type",
    "tissue",
    "tissue_general",
)


def release_name(*, n_obs: int, seed: int) -> str:
    """Return the label that tells one demo census from another; `census_build_date` is the same in all."""
    return f"demo-n{n_obs}-seed{seed}"


def write_info(census: soma.Collection, organisms: Sequence[WrittenOrganism], *, release: str) -> None:
    """Add `census_info` to a census.

    Args:
        census: The root, open for writing.
        organisms: The organisms, as written.
        release: See `release_name`.
    """
    with census.add_new_collection("census_info") as info:
        write_table(info, "summary", _summary(organisms, release))
        write_table(info, "datasets", _datasets(organisms))
        write_table(info, "summary_cell_counts", _summary_cell_counts(organisms))
        write_table(info, "organisms", _organisms(organisms))


def _summary(organisms: Sequence[WrittenOrganism], release: str) -> pa.Table:
    n_primary = [int(organism.tally.primary["dataset_id"].sum()) for organism in organisms]
    values = {
        "census_schema_version": CENSUS_SCHEMA_VERSION,
        "census_build_date": BUILD_DATE,
        "dataset_schema_version": DATASET_SCHEMA_VERSION,
        "total_cell_count": str(sum(organism.plan.n_obs for organism in organisms)),
        "unique_cell_count": str(sum(n_primary)),
        **{
            f"number_donors_{organism.plan.organism.name}": str(int(organism.tally.is_donor_of.sum()))
            for organism in organisms
        },
        # Not in the real table, where nothing needs it.
        "demo_release": release,
    }
    return _numbered({"label": pa.array(values.keys()), "value": pa.array(values.values())})


def _datasets(organisms: Sequence[WrittenOrganism]) -> pa.Table:
    datasets = [dataset for organism in organisms for dataset in organism.plan.datasets]
    collections = list(dict.fromkeys(dataset.study.collection for dataset in datasets))
    rows = []
    for dataset in datasets:
        collection = collections.index(dataset.study.collection) + 1
        # 10.5555 is the DOI prefix reserved for tests: it can never belong to a publication.
        doi = f"10.5555/cxg-assets-demo.{collection}"
        rows.append(
            {
                "soma_joinid": dataset.soma_joinid,
                "citation": f"Demo data of cxg_assets (made-up DOI {doi}): resampled reference cells. Do not cite.",
                "collection_id": f"de300000-0000-4000-9000-{collection:012x}",
                "collection_name": dataset.study.collection,
                "collection_doi": doi,
                "collection_doi_label": "Demo et al. (2025) Not a Journal",
                "dataset_id": dataset.dataset_id,
                "dataset_version_id": f"de300000-0000-4000-a000-{dataset.soma_joinid:012x}",
                "dataset_title": dataset.study.title,
                "dataset_h5ad_path": f"{dataset.dataset_id}.h5ad",
                "dataset_total_cell_count": dataset.n_obs,
            }
        )
    return pa.Table.from_pylist(rows, schema=_DATASETS_SCHEMA)


def _summary_cell_counts(organisms: Sequence[WrittenOrganism]) -> pa.Table:
    """Count cells by organism, category and term, in that order; category `all` counts them once."""
    rows = sorted(row for organism in organisms for row in _counts_of(organism))
    names = ("organism", "category", "ontology_term_id", "label", "total_cell_count", "unique_cell_count")
    columns = dict(zip(names, (list(values) for values in zip(*rows, strict=True)), strict=True))
    return _numbered(
        {
            "organism": _dictionary(columns["organism"]),
            "category": _dictionary(columns["category"]),
            "label": pa.array(columns["label"]),
            "ontology_term_id": pa.array(columns["ontology_term_id"]),
            "total_cell_count": pa.array(columns["total_cell_count"], pa.int64()),
            "unique_cell_count": pa.array(columns["unique_cell_count"], pa.int64()),
        }
    )


def _counts_of(organism: WrittenOrganism) -> Iterable[tuple[str, str, str, str, int, int]]:
    name, tally = organism.plan.organism.label, organism.tally
    yield name, "all", "na", "na", organism.plan.n_obs, int(tally.primary["dataset_id"].sum())
    for column in _COUNTED_COLUMNS:
        terms = organism.vocabulary.terms[column]
        for term, total, primary in zip(terms, tally.total[column], tally.primary[column], strict=True):
            if total > 0:
                id = "na" if column == "suspension_type" else term.id
                yield name, column, id, term.label, int(total), int(primary)


def _organisms(organisms: Sequence[WrittenOrganism]) -> pa.Table:
    described = [organism.plan.organism for organism in organisms]
    return _numbered(
        {
            "organism_ontology_term_id": pa.array([organism.ontology_term_id for organism in described]),
            "organism_label": pa.array([organism.label for organism in described]),
            "organism": pa.array([organism.name for organism in described]),
        }
    )


def _dictionary(values: list[str]) -> pa.Array:
    labels = sorted(set(values))
    return pa.DictionaryArray.from_arrays(pa.array([labels.index(v) for v in values], pa.int8()), pa.array(labels))


def _numbered(columns: dict[str, pa.Array]) -> pa.Table:
    n_rows = len(next(iter(columns.values())))
    return pa.table({**columns, "soma_joinid": pa.array(range(n_rows), pa.int64())})
