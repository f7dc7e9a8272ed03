"""What a dataset is and whom to cite, for the person who finds its folder."""

import io
from collections import Counter
from collections.abc import Iterator
from typing import Any

import pyarrow as pa
import pyarrow.csv

from cxg_assets.ingest.plan.chunk_plan import BESIDE_X, PlanHeader
from cxg_assets.ingest.plan.published import Dataset
from cxg_assets.ingest.quantities import counted, size
from cxg_assets.ingest.storage.feather import FeatherSource, count_labels

COLUMNS = ("dataset_id", "dataset_title", "collection_name", "collection_doi", "citation")
"""Of a source dataset, in citations.csv."""

_CARD = """\
# {subset}

{cells} of {organism} in {files}, cut from the CZ CELLxGENE Census by cxg_assets.

| | |
| --- | --- |
| Census build | {build} (schema {schema_version}) |
| Census URI | `{uri}` |
| Cells | {n_obs:,}{limit}, filter `{value_filter}` |
{choices}{labels}| Genes | {genes} |
| Layer | X/{layer}, {nnz:,} non-zeros |
{beside}| Files | {n_chunks:,} of at most {at_most}, {n_bytes}, arrays compressed with {compression} |
| Plan | `{plan_id}` |

`manifest.parquet` lists the files with their cells, sizes and SHA-256 checksums. `citations.csv` lists the source
datasets: cite them, and the Census (https://doi.org/10.1101/2023.10.30.563174).{measured}
{changes}
## Load it

```python
import anndata, pandas
manifest = pandas.read_parquet("manifest.parquet")
adata = anndata.read_{format}(manifest.uri[0].removeprefix("file://"))
print(adata, adata.uns["cxg_assets"])
```

`obs_names` are the Census's soma_joinids, unique over all files, and `var_names` the `feature_id`s. `uns["cxg_assets"]`
tells where a file comes from.
{elsewhere}"""

_FILES_IN_S3 = """Files in S3: `s3fs.S3FileSystem().open(uri)` in place of the path.
"""

_COLLECTIONS = """
In batches, by the loader of annbatch (a package of its own):

```python
from annbatch import DatasetCollection, Loader
{opened}
loader = Loader(batch_size=4096, chunk_size=256, preload_nchunks=64, shuffle=True).use_collection(collection)
```

In S3 a zarr group of obstore takes the place of the path: `S3Store.from_url(folder)` in `zarr.storage.ObjectStore`. A
row of the manifest is a folder of objects: `n_bytes` is their sum, and `sha256` the SHA-256 of a line `name sha256` for
each, sorted by name.
"""


_MEASURED = """ `measured.parquet` tells which
genes, in the order of var, each source dataset has measured: elsewhere a zero is no count."""


def dataset_card(header: PlanHeader, dataset: Dataset) -> bytes:
    """The dataset card as Markdown."""
    selection = header.subset.selection
    text = _CARD.format(
        subset=header.subset.name,
        organism=selection.organism,
        build=header.subset.release.build,
        schema_version=header.subset.release.schema_version,
        uri=header.subset.release.uri,
        limit="" if selection.max_obs is None else f" (limited to the first {selection.max_obs:,})",
        value_filter=selection.value_filter or "none",
        choices="".join(f"| {name} | {text} |\n" for name, text in _choices(header)),
        labels=f"| Labels | {dataset.labels_in_words} |\n" if dataset.labels_in_words else "",
        genes=header.subset.genes_in_words,
        layer=header.layer,
        beside="".join(
            f"| {said} | {told} |\n" for name, said in BESIDE_X.items() if (told := header.provenance.get(name))
        ),
        compression=header.compression,
        at_most=counted(header.chunk_size, "cell"),
        plan_id=header.plan_id,
        n_obs=header.subset.n_obs,
        cells=counted(header.subset.n_obs, "cell"),
        files=counted(dataset.n_chunks, header.chunk_format.of_chunk),
        format=header.format,
        elsewhere=_elsewhere(dataset),
        n_chunks=dataset.n_chunks,
        nnz=dataset.nnz,
        n_bytes=size(dataset.n_bytes),
        changes=_changes(dataset),
        measured=_MEASURED if dataset.measured_sha256 else "",
    )
    return text.encode()


def _changes(dataset: Dataset) -> str:
    """What changed since the dataset before; empty for the first."""
    return "\n".join(["", "## Changes", "", *(f"- {line}" for line in dataset.changes), ""]) if dataset.changes else ""


def _elsewhere(dataset: Dataset) -> str:
    """How the chunks are opened by other means."""
    folders = [path.split("/")[-2] for path in dataset.collections]
    opened = "\n".join(f'collection = DatasetCollection("{folder}", mode="r")' for folder in folders)
    return _COLLECTIONS.format(opened=opened) if folders else _FILES_IN_S3


def _choices(header: PlanHeader) -> Iterator[tuple[str, str]]:
    """Genes that are padded; what was done with the cells that passed the filter, and what came of it."""
    subset = header.subset
    if subset.scenes:
        sections = counted(len(subset.scenes), "section")
        yield "Spots", f"of {sections} of {subset.selection.modality}; their places are `obsm[\"spatial\"]`"
    if subset.n_padded:
        more = "" if subset.n_padded == len(subset.padded) else " …"
        yield "Not in the Census", f"{counted(subset.n_padded, 'gene')}, zero in X: {', '.join(subset.padded)}{more}"
    if subset.selection.quality is not None and subset.quality is not None:
        yield "Quality", f"{subset.selection.quality.in_words}: {subset.quality.in_words}"
    if subset.selection.sample is not None and subset.sampled is not None:
        groups = f", {subset.sampled.n_groups_kept:,} of {subset.sampled.n_groups:,} groups"
        yield "Sample", f"{subset.selection.sample.in_words}: of {subset.sampled.n_obs:,} cells{groups}"
    if subset.selection.split is not None:
        parts = ", ".join(f"{part} {n_obs:,}" for part, n_obs in subset.parts.items())
        yield "Split", f"{subset.selection.split.in_words}: {parts} cells; column `split` of the manifest"
    if header.pool_obs is not None:
        yield "Order", header.order_in_words


def read_citations(data: bytes) -> list[dict[str, Any]]:
    """The rows of a citations.csv, with `COLUMNS` and `n_obs`."""
    return pyarrow.csv.read_csv(io.BytesIO(data)).to_pylist()


def citations_csv(obs: FeatherSource, datasets: pa.Table) -> bytes:
    """The source datasets of a subset's cells, most cells first; none where the Census has no dataset_id.

    Args:
        obs: The subset's obs file.
        datasets: `census_info/datasets`.
    """
    counts = count_labels(obs, ["dataset_id"]).get("dataset_id", Counter())
    known = {row["dataset_id"]: row for row in datasets.to_pylist()}
    rows = [
        {column: known.get(dataset_id, {}).get(column, "") for column in COLUMNS}
        | {"dataset_id": dataset_id, "n_obs": n_obs}
        for dataset_id, n_obs in counts.most_common()
    ]
    schema = pa.schema([*((column, pa.string()) for column in COLUMNS), ("n_obs", pa.int64())])
    sink = io.BytesIO()
    pyarrow.csv.write_csv(pa.Table.from_pylist(rows, schema=schema), sink)
    return sink.getvalue()
