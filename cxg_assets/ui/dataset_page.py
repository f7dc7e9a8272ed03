"""What the page of a dataset tells: first what it is, where it is and how it is loaded, diagnostics last."""

from collections.abc import Mapping, Sequence
from typing import Any

import dagster as dg

from cxg_assets.ingest.chunks.report import ChunkReport, Costs
from cxg_assets.ingest.dataset.card import read_citations
from cxg_assets.ingest.dataset.estimating.costs import CostEstimate
from cxg_assets.ingest.errors import shown_text
from cxg_assets.ingest.formats import H5AD
from cxg_assets.ingest.layout import citations_path, dataset_path, subset_obs_path
from cxg_assets.ingest.plan.chunk_plan import BESIDE_X, ChunkPlan
from cxg_assets.ingest.plan.published import Dataset
from cxg_assets.ingest.quantities import counted, size
from cxg_assets.ingest.storage.feather import count_labels, feather_source
from cxg_assets.ingest.storage.store import Store
from cxg_assets.names import h5ad_chunks_key
from cxg_assets.ui import bars
from cxg_assets.ui.choices import quality_of, sample_of, split_of
from cxg_assets.ui.markdown import SHOWN, doi_link, escaped, names_and_values, table
from cxg_assets.ui.metadata import Metadata, copy_command, file_metadata, filter_of
from cxg_assets.ui.schemas import chunk_obs_schema, same_columns

COUNTED = {"cell_type": "cell type", "tissue": "tissue", "donor_id": "donor", "dataset_id": "dataset"}
"""Columns of obs whose cells are counted, where the subset has them, and what one value is called."""

_TABLES = {"cell_type": "cell_types", "tissue": "tissues", "donor_id": "donors", "dataset_id": "datasets"}
"""Keys of their tables."""

_CENSUS = "https://doi.org/10.1101/2023.10.30.563174"


def dataset_metadata(store: Store, dataset: Dataset, first: str, pictures: Metadata, diagnostics: Metadata) -> Metadata:
    """Of `dataset`, in the order in which people ask.

    Args:
        store: The destination.
        dataset: What is published.
        first: URI of its first chunk.
        pictures: Of its cells, from `label_pictures`.
        diagnostics: Pictures and figures of its files.
    """
    header = dataset.header
    subset, selection, folder = header.subset, header.subset.selection, store.uri(header.subset.name)
    lineage = same_columns(h5ad_chunks_key(subset.name), ("soma_joinid", *selection.chunk_columns))
    uri = store.uri(dataset_path(subset.name))
    return {
        "summary": _summary(dataset),
        **pictures,
        **_load(dataset, folder, first),
        "where": dg.MetadataValue.path(folder),
        "card": dg.MetadataValue.md(
            f"`README.md` in the folder `{header.plan_id}` there, beside `manifest.parquet`, which lists the files, "
            "and `citations.csv`"
        ),
        "citations": dg.MetadataValue.md(_citations(store, dataset)),
        "changes": dg.MetadataValue.md(_changes(dataset)),
        **file_metadata(uri, subset.n_obs, chunk_obs_schema(selection.chunk_columns), lineage),
        "resolved_filter": filter_of(selection),
        "genes": subset.genes_in_words,
        **quality_of(subset),
        **sample_of(subset),
        **split_of(subset),
        "order": header.order_in_words,
        **({"labels": dataset.labels_in_words} if dataset.labels_in_words else {}),
        "format": header.format,
        **({"collections": list(dataset.collections)} if dataset.collections else {}),
        "census_build": subset.release.build,
        "published_at": dataset.published_at,
        **dataset.sums,
        "mean_file_bytes": dataset.n_bytes / dataset.n_chunks,
        "bytes_per_cell": round(dataset.n_bytes / subset.n_obs, 1),
        "plan_id": header.plan_id,
        **diagnostics,
    }


def label_pictures(store: Store, dataset: Dataset) -> Metadata:
    """Pictures and tables of how many cells each cell type, tissue, donor and dataset has, where obs tells."""
    header = dataset.header
    obs = feather_source(store, subset_obs_path(header.subset.name, header.subset.fingerprint))
    counts: dict[str, Mapping[str, int]] = dict(count_labels(obs, list(COUNTED)))
    if "dataset_id" in counts:
        titles = {row["dataset_id"]: row["dataset_title"] or row["dataset_id"] for row in _rows(store, dataset)}
        # Two datasets may have one title.
        named = {f"{titles.get(key, key)}\0{key}": n_obs for key, n_obs in counts["dataset_id"].items()}
        short = {name.partition("\0")[0]: n_obs for name, n_obs in named.items()}
        counts["dataset_id"] = short if len(short) == len(named) else counts["dataset_id"]
    found: Metadata = {}
    for column in (column for column in COUNTED if column in counts):
        noun = COUNTED[column]
        found[f"cells_by_{column}"] = bars.picture(f"Cells by {noun}", counts[column])
        found[_TABLES[column]] = bars.table(noun, counts[column])
    return found


def estimate_metadata(estimated: CostEstimate, plan: ChunkPlan, reports: Sequence[ChunkReport]) -> Metadata:
    """What the chunks were estimated to take, beside what they took; nothing where some do not tell."""
    told = [report for report in reports if report.cpu_seconds]
    if len(told) < len(plan.chunks):
        return {}
    took, n_bytes = Costs.of(told), sum(report.n_bytes for report in told)
    rows = [
        ("CPU of workers", *(f"{costs.cpu_seconds:,.1f} s" for costs in (estimated.chunks, took))),
        ("read", size(estimated.chunks.bytes_read), size(took.bytes_read)),
        ("requests to read", *(f"{costs.read_requests:,.0f}" for costs in (estimated.chunks, took))),
        ("requests to write", *(f"{costs.write_requests:,}" for costs in (estimated.chunks, took))),
        ("size", size(estimated.n_bytes), size(n_bytes)),
    ]
    return {"estimate": dg.MetadataValue.md(table(("", "estimate", "took"), rows, numbers=("estimate", "took")))}


def _summary(dataset: Dataset) -> dg.MetadataValue:
    header, subset, told = dataset.header, dataset.header.subset, dataset.header.provenance
    n_labels = {name: len(values) for name, values in dataset.labels.items()} | dict(dataset.n_labels_left_out)
    of_what = [counted(n_labels[column], noun) for column, noun in COUNTED.items() if column in n_labels]
    rows = {
        "Observations": f"{subset.n_obs:,} cells of {subset.selection.organism.replace('_', ' ')}",
        **({"Of": ", ".join(of_what)} if of_what else {}),
        "Filter": f"`{shown_text(filter_of(subset.selection)).replace('|', chr(92) + '|')}`",
        "Genes": f"{subset.n_vars:,}",
        "Files": f"{dataset.n_chunks:,}",
        "Size": f"{size(dataset.n_bytes)}, {size(dataset.n_bytes / dataset.n_chunks)} a file on average",
        "Layer": f"X/{header.layer}, {dataset.nnz:,} non-zeros",
        **{said: told[name] for name, said in BESIDE_X.items() if name in told},
        "Census build": subset.release.build,
        "Published": dataset.published_at,
    }
    return names_and_values(rows)


def _load(dataset: Dataset, folder: str, first: str) -> Metadata:
    """Lines to copy by a click: one file, and batches to train on."""
    read = "read_h5ad" if dataset.header.format == H5AD else "read_zarr"
    found: Metadata = {}
    if first.startswith("file://"):
        folder = folder.removeprefix("file://")
        # Python joins the parts; in one piece it would be wider than the page.
        names = "".join(f' "/{name}"' for name in first.removeprefix(f"file://{folder}/").split("/"))
        path = f'"{folder}"{names}'
    else:
        found["download"], path = copy_command(first), f'"{first.rpartition("/")[2]}"'
    found["load_file"] = f"import anndata; adata = anndata.{read}({path})"
    found["load_batches"] = f'from cxg_assets.training import batches; loader = batches("{folder}")'
    return {key: dg.MetadataValue.path(line) for key, line in found.items()}


def _citations(store: Store, dataset: Dataset) -> str:
    """The source datasets with their links, as many as the UI shows without a click; citations.csv has all."""
    lines = [f"- CELLxGENE Census: [{_CENSUS.partition('org/')[2]}]({_CENSUS})"]
    last = "\n- all of them: `citations.csv` beside the card"
    for row in _rows(store, dataset):
        title = shown_text(row["collection_name"] or row["dataset_title"] or row["dataset_id"])
        link = doi_link(row["collection_doi"]) if row["collection_doi"] else "no DOI"
        line = f"- {escaped(title)}, {row['n_obs']:,} cells: {link}"
        if len("\n".join([*lines, line])) + len(last) >= SHOWN:
            break
        lines.append(line)
    return "\n".join(lines) + last


def _changes(dataset: Dataset) -> str:
    """What changed since the dataset before."""
    if not dataset.changes:
        return "The first dataset of this subset, or the first that tells."
    return "\n".join(f"- {line}" for line in dataset.changes)


def _rows(store: Store, dataset: Dataset) -> Sequence[Mapping[str, Any]]:
    return read_citations(store.get(citations_path(dataset.header.subset.name, dataset.header.plan_id)))
