"""Writes a census: its experiments, and `census_info`, which says what it holds in the tables of the real one."""

import os
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pyarrow as pa
import tiledbsoma as soma

from cxg_assets.demo.experiment import WrittenOrganism, write_organism
from cxg_assets.demo.hosted.embeddings import FOLDER, write_embeddings
from cxg_assets.demo.layout import CENSUS_SCHEMA_VERSION, DATASET_SCHEMA_VERSION, WRITER_CONFIG
from cxg_assets.demo.plan import OrganismPlan, plan_organism
from cxg_assets.demo.size import Size
from cxg_assets.demo.studies import ontology_ids, organisms, spatial_organisms
from cxg_assets.demo.tables import write_table
from cxg_assets.ingest.census.soma_context import soma_context

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


def write_census(
    folder: Path, size: Size, seed: int, text_as_dictionary: bool, on_progress: Callable[[int, int], None]
) -> None:
    """Write a census into a folder that does not exist; see `cxg_assets.demo.build_census`."""
    plans = _plan_experiments(size, seed)
    n_datasets = sum(len(plan.datasets) for plan in plans)
    # Tells one demo census from another; `census_build_date` is the same in all.
    release = f"demo-{size.name}-seed{seed}"
    n_total = sum(plan.n_obs for plan in plans)
    n_done = 0

    def on_cells(n_cells: int) -> None:
        nonlocal n_done
        n_done += n_cells
        on_progress(n_done, n_total)

    context = soma_context(WRITER_CONFIG)
    with (
        soma.Collection.create(folder.as_posix(), context=context) as census,
        ThreadPoolExecutor(os.cpu_count()) as threads,
    ):
        census.metadata["created_on"] = BUILD_DATE
        census.metadata["cxg_schema_version"] = DATASET_SCHEMA_VERSION
        census.metadata["census_schema_version"] = CENSUS_SCHEMA_VERSION
        census.metadata["demo_release"] = release
        written = []
        for name, is_spatial in (("census_data", False), ("census_spatial_sequencing", True)):
            experiments = [plan for plan in plans if plan.organism.is_spatial == is_spatial]
            if not experiments:
                continue
            with census.add_new_collection(name) as collection:
                written += [
                    write_organism(
                        collection,
                        plan,
                        n_presence_rows=n_datasets,
                        text_as_dictionary=text_as_dictionary,
                        threads=threads,
                        on_cells=on_cells,
                    )
                    for plan in experiments
                ]
        with census.add_new_collection("census_info") as info:
            write_table(info, "summary", _summary(written, release))
            write_table(info, "datasets", _datasets(written))
            write_table(info, "summary_cell_counts", _summary_cell_counts(written))
            write_table(info, "organisms", _organisms(written))
    # Of human cells, which every demo has and begins with.
    write_embeddings(folder / FOLDER, plans[0], BUILD_DATE, context)


def _plan_experiments(size: Size, seed: int) -> list[OrganismPlan]:
    """Return all experiments that a census of this size has, in the order of their datasets."""
    plans: list[OrganismPlan] = []
    for organism in (*organisms(), *spatial_organisms()):
        if n_obs := size.of(organism):
            n_before = sum(len(plan.datasets) for plan in plans)
            plans.append(plan_organism(organism, n_obs=n_obs, seed=seed, first_dataset_joinid=n_before))
    return plans


def _summary(organisms: Sequence[WrittenOrganism], release: str) -> pa.Table:
    cells = [each for each in organisms if not each.plan.organism.is_spatial]
    n_donors = {each.plan.organism.name: int(each.tally.is_donor_of.sum()) for each in cells}
    values = {
        "census_schema_version": CENSUS_SCHEMA_VERSION,
        "census_build_date": BUILD_DATE,
        "dataset_schema_version": DATASET_SCHEMA_VERSION,
        "total_cell_count": str(sum(organism.plan.n_obs for organism in organisms)),
        "unique_cell_count": str(sum(organism.tally.n_primary for organism in organisms)),
        **{f"number_donors_{name}": str(n) for name, n in n_donors.items()},
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
    """Count cells and spots by organism, category and term, in that order; category `all` counts them once."""
    # An organism's cells and spots are counted together.
    counts: Counter[tuple[str, str, str, str]] = Counter()
    primary: Counter[tuple[str, str, str, str]] = Counter()
    for key, n_total, n_primary in (row for organism in organisms for row in _counts_of(organism)):
        counts[key] += n_total
        primary[key] += n_primary
    keys = sorted(counts)
    organism, category, term_id, label = (list(values) for values in zip(*keys, strict=True))
    return _numbered(
        {
            "organism": _dictionary(organism),
            "category": _dictionary(category),
            "label": pa.array(label),
            "ontology_term_id": pa.array(term_id),
            "total_cell_count": pa.array([counts[key] for key in keys], pa.int64()),
            "unique_cell_count": pa.array([primary[key] for key in keys], pa.int64()),
        }
    )


def _counts_of(organism: WrittenOrganism) -> Iterable[tuple[tuple[str, str, str, str], int, int]]:
    name, tally = organism.plan.organism.label, organism.tally
    yield (name, "all", "na", "na"), organism.plan.n_obs, tally.n_primary
    for column in _COUNTED_COLUMNS:
        ids = ontology_ids().get(column, {})
        labels = tally.vocabulary.labels[column]
        for label, total, primary in zip(labels, tally.total[column], tally.primary[column], strict=True):
            if total > 0:
                yield (name, column, ids.get(label, "na"), label), int(total), int(primary)


def _organisms(organisms: Sequence[WrittenOrganism]) -> pa.Table:
    described = list({each.plan.organism.name: each.plan.organism for each in organisms}.values())
    names = {"organism_ontology_term_id": "ontology_term_id", "organism_label": "label", "organism": "name"}
    return _numbered({column: pa.array([getattr(each, name) for each in described]) for column, name in names.items()})


def _dictionary(values: list[str]) -> pa.Array:
    labels = sorted(set(values))
    return pa.DictionaryArray.from_arrays(pa.array([labels.index(v) for v in values], pa.int8()), pa.array(labels))


def _numbered(columns: dict[str, pa.Array]) -> pa.Table:
    n_rows = len(next(iter(columns.values())))
    return pa.table({**columns, "soma_joinid": pa.array(range(n_rows), pa.int64())})
