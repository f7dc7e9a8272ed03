"""The datasets of several organisms that one YAML declares, as one: a card, and a file that names them."""

import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath

from cxg_assets.ingest.errors import BadInput, shown_names
from cxg_assets.ingest.layout import card_path, corpus_card_path, corpus_path
from cxg_assets.ingest.plan.published import Dataset, read_dataset
from cxg_assets.ingest.quantities import counted, size
from cxg_assets.ingest.records import encode
from cxg_assets.ingest.storage.store import Store

_CARD = """\
# {name}

{cells} of {organisms}, cut from the CZ CELLxGENE Census (build {build}) by cxg_assets: a dataset of each organism.

| Dataset | Organism | Cells | Genes | Files | Size | Card |
| --- | --- | ---: | --- | ---: | ---: | --- |
{rows}

Filter: `{value_filter}`.

```python
from cxg_assets.training import batches
{loaded}
```

`corpus.json` names the datasets and their plans. The `citations.csv` beside each card lists the source datasets: cite
them, and the Census (https://doi.org/10.1101/2023.10.30.563174).
"""


@dataclass(frozen=True, kw_only=True)
class Member:
    """A dataset of a corpus, as it was when the corpus was published.

    Attributes:
        subset: Name of its subset.
        organism: Its organism.
        plan_id: Its plan.
        n_obs: Its cells.
        n_vars: Its genes.
        nnz: Its non-zeros.
        n_chunks: Its files.
        n_bytes: Bytes of them.
        genes: What selected the genes, in words.
        card: Path of its card, relative to the destination.
    """

    subset: str
    organism: str
    plan_id: str
    n_obs: int
    n_vars: int
    nnz: int
    n_chunks: int
    n_bytes: int
    genes: str
    card: str


@dataclass(frozen=True, kw_only=True)
class Corpus:
    """What `corpus.json` says.

    Attributes:
        name: Of the YAML that declares the datasets.
        build: Build of the Census that all are of.
        value_filter: Filter over obs of all, as it was understood; empty for every cell.
        published_at: UTC, ISO 8601.
        members: The datasets, in the order of the YAML.
    """

    name: str
    build: str
    value_filter: str
    published_at: str
    members: tuple[Member, ...]

    @property
    def n_obs(self) -> int:
        """Cells of all."""
        return sum(member.n_obs for member in self.members)


def publish_corpus(store: Store, name: str, subsets: Sequence[str]) -> Corpus:
    """Writes README.md and then corpus.json of what is published now.

    Args:
        store: The destination.
        name: Of the corpus.
        subsets: Names of its subsets.

    Raises:
        BadInput: A dataset is not published, or they are of different builds, filters included; nothing was written.
    """
    datasets = [_published(store, name, subset) for subset in subsets]
    for what, told in (
        ("builds of the Census", [dataset.header.subset.release.build for dataset in datasets]),
        ("filters", [dataset.header.subset.selection.value_filter or "none" for dataset in datasets]),
    ):
        if len(set(told)) > 1:
            each = "; ".join(f"{subset} {value}" for subset, value in zip(subsets, told, strict=True))
            raise BadInput(f"{name}: its datasets are of different {what}: {each}. Ingest those of before again")
    subset = datasets[0].header.subset
    corpus = Corpus(
        name=name,
        build=subset.release.build,
        value_filter=subset.selection.value_filter or "",
        published_at=time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
        members=tuple(map(_member, datasets)),
    )
    store.put(corpus_card_path(name), corpus_card(corpus))
    store.put(corpus_path(name), encode(corpus))
    return corpus


def corpus_card(corpus: Corpus) -> bytes:
    """The card as Markdown; links to the cards of the datasets are relative to it."""
    rows = (
        f"| `{one.subset}` | {one.organism} | {one.n_obs:,} | {_in_cell(one.genes)} | {one.n_chunks:,} "
        f"| {size(one.n_bytes)} | [{PurePosixPath(one.card).name}](../{one.card}) |"
        for one in corpus.members
    )
    loaded = (f'{one.organism} = batches("…/{one.subset}", labels=["cell_type"])' for one in corpus.members)
    return _CARD.format(
        name=corpus.name,
        cells=counted(corpus.n_obs, "cell"),
        organisms=shown_names([one.organism for one in corpus.members]),
        build=corpus.build,
        rows="\n".join(rows),
        value_filter=corpus.value_filter or "none",
        loaded="\n".join(loaded),
    ).encode()


def _in_cell(text: str) -> str:
    """A text in a cell of a table."""
    return text.replace("|", "\\|")


def _published(store: Store, name: str, subset: str) -> Dataset:
    try:
        return read_dataset(store, subset)
    except FileNotFoundError as error:
        ingest = store.follow_up("ingest", subset)
        raise BadInput(f"{name}: {subset} is not published ({error}); {ingest} writes and publishes it") from error


def _member(dataset: Dataset) -> Member:
    subset, plan_id = dataset.header.subset, dataset.header.plan_id
    return Member(
        subset=subset.name,
        organism=subset.selection.organism,
        plan_id=plan_id,
        n_obs=subset.n_obs,
        n_vars=subset.n_vars,
        nnz=dataset.nnz,
        n_chunks=dataset.n_chunks,
        n_bytes=dataset.n_bytes,
        genes=subset.genes_in_words,
        card=card_path(subset.name, plan_id),
    )
