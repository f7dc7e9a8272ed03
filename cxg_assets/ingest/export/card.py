"""The card of an export: what Hugging Face's `datasets` reads to find the files, and what a person reads."""

import json

import pyarrow as pa

from cxg_assets.ingest.plan.chunk_plan import PlanHeader
from cxg_assets.ingest.plan.published import Dataset
from cxg_assets.ingest.quantities import counted

LICENSE = "cc-by-4.0"
"""Of the data of the Census: https://cellxgene.cziscience.com/docs/032__Contribute%20and%20Publish%20Data."""

WHOLE = "train"
"""What `datasets` calls the one part of a dataset that has no split."""

_SIZES = {10**3: "n<1K", 10**4: "1K<n<10K", 10**5: "10K<n<100K", 10**6: "100K<n<1M", 10**7: "1M<n<10M"}
_LARGER = {10**8: "10M<n<100M", 10**9: "100M<n<1B"}

_NAMES = {"double": "float64", "float": "float32", "large_string": "string"}
"""Types as `datasets` calls them, where Arrow has another name."""

_BODY = """
# {subset}

{cells} of {organism}, cut from the CZ CELLxGENE Census (build {build}) by cxg_assets: {genes}, layer `{layer}`, filter
`{value_filter}`. A row is a cell: `genes` are places in `genes.parquet`, which names them, and `expressions` the values
there; genes that are not listed are zero. The other columns are obs of the Census.

```python
from datasets import load_dataset
cells = load_dataset("path/of/this/folder", "cells")
genes = load_dataset("path/of/this/folder", "genes", split="{whole}")
```

Cite the source datasets, which `citations.csv` lists, and the Census (https://doi.org/10.1101/2023.10.30.563174).
Made from plan `{plan_id}`, each row compared with its chunk. Published {published_at}.
"""


def export_card(dataset: Dataset, cells: pa.Schema, genes: pa.Schema) -> bytes:
    """README.md of an export: front matter in YAML, then Markdown.

    Args:
        dataset: What is published.
        cells: Columns of the files of its chunks.
        genes: Columns of the vocabulary.
    """
    header = dataset.header
    parts = list(header.subset.parts) or [WHOLE]
    lines = [
        "---",
        f"pretty_name: {json.dumps(header.subset.name)}",
        f"license: {LICENSE}",
        "tags: [biology, single-cell, transcriptomics, cellxgene-census]",
        f"size_categories: [{size_category(header.subset.n_obs)}]",
        "configs:",
        "- config_name: cells",
        "  default: true",
        "  data_files:",
        *(f"  - {{split: {part}, path: 'data/{part}/*.parquet'}}" for part in parts),
        "- config_name: genes",
        f"  data_files: [{{split: {WHOLE}, path: genes.parquet}}]",
        "dataset_info:",
        *_features("cells", cells),
        *_features("genes", genes),
        "---",
    ]
    return ("\n".join(lines) + "\n" + _body(header, dataset)).encode()


def size_category(n_obs: int) -> str:
    """How `datasets` says how many rows there are."""
    return next((name for limit, name in (_SIZES | _LARGER).items() if n_obs < limit), "1B<n<10B")


def _features(config: str, schema: pa.Schema) -> list[str]:
    lines = [f"- config_name: {config}", "  features:"]
    for field in schema:
        is_list = pa.types.is_list(field.type)
        kind = str(field.type.value_type if is_list else field.type)
        told = f"{'sequence' if is_list else 'dtype'}: {_NAMES.get(kind, kind)}"
        lines.append(f"  - {{name: {json.dumps(field.name)}, {told}}}")
    return lines


def _body(header: PlanHeader, dataset: Dataset) -> str:
    subset = header.subset
    return _BODY.format(
        subset=subset.name,
        cells=counted(subset.n_obs, "cell"),
        organism=subset.selection.organism,
        build=subset.release.build,
        genes=subset.genes_in_words,
        layer=header.layer,
        value_filter=subset.selection.value_filter or "none",
        whole=WHOLE,
        plan_id=header.plan_id,
        published_at=dataset.published_at,
    )
