"""The invented studies that the demo census is made of, and the vocabulary of its obs.

No such study exists: collections and titles say "demo", DOIs use 10.5555, the prefix that is reserved for tests, and
ids start with `de300000`. What is real in a demo cell is its counts (see `reference`), not where it is said to be from.

`data/studies.json` holds the studies in joinid order, `data/terms.json` the ontology terms that CELLxGENE's schema 7
pins (CL, UBERON, EFO, MONDO, PATO, HsapDv, MmusDv, HANCESTRO). Since schema 6, ` || ` joins several diseases of one
donor, in the order of their ids.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from importlib import resources
from typing import Any


@dataclass(frozen=True, kw_only=True)
class Study:
    """One dataset of the demo census: its labels, and what its cells are drawn from.

    Attributes:
        title: Dataset title.
        collection: Name of the collection; studies may share one.
        share: Share of the organism's cells; the shares of an organism sum to 1.
        assays: Donor k is measured with assay k modulo their number.
        tissues: Each cell is from one of them, at random.
        diseases: Donor k has disease k modulo their number, so every disease is present at any size.
        suspension_type: `cell` or `nucleus`.
        cell_mix: Cell type -> weight.
        lncrna_share: Share of the rarer lncRNAs that the study's gene reference knows. Below 1, the study lacks genes
            that others measure, which is what the presence matrix records.
        repeats: Titles of studies whose cells this one holds again, with `is_primary_data` False. Such a study has no
            cells of its own and takes its labels from the first copies.
        array: `visium` or `slide_seq`, of a spatial study: one section, of one donor; empty elsewhere.
    """

    title: str
    collection: str
    share: float
    assays: Sequence[str] = ()
    tissues: Sequence[str] = ()
    diseases: Sequence[str] = ("normal",)
    suspension_type: str = "cell"
    cell_mix: Mapping[str, float]
    lncrna_share: float = 1.0
    repeats: Sequence[str] = ()
    array: str = ""


@dataclass(frozen=True, kw_only=True)
class Organism:
    """An experiment of the census: its organism's names, its studies in joinid order, whether its cells are spots."""

    name: str
    label: str
    ontology_term_id: str
    development_stages: Sequence[str]
    ethnicities: Sequence[str]
    studies: Sequence[Study]
    is_spatial: bool = False


@cache
def organisms() -> tuple[Organism, ...]:
    """Return the organisms of `census_data`: human, mouse, three other primates."""
    return _organisms("organisms")


@cache
def spatial_organisms() -> tuple[Organism, ...]:
    """Return the organisms of `census_spatial_sequencing`: human, mouse."""
    return _organisms("spatial", is_spatial=True)


def _organisms(key: str, **more: Any) -> tuple[Organism, ...]:
    data = _read("studies.json")

    def study(described: dict[str, Any]) -> Study:
        mix = described.pop("cell_mix", None)
        return Study(**described, cell_mix={} if mix is None else data["cell_mixes"][mix])

    return tuple(
        Organism(**{**described, **more, "studies": tuple(map(study, described["studies"]))}) for described in data[key]
    )


@cache
def ontology_ids() -> dict[str, dict[str, str]]:
    """Return, for each column of obs that comes as a pair, label -> what `<column>_ontology_term_id` holds."""
    return _read("terms.json")["terms"]


@cache
def organ_of_tissue() -> dict[str, str]:
    """Return tissue -> `tissue_general`, by the Census's rule: the organ that a tissue is part of."""
    return _read("terms.json")["organ_of_tissue"]


def _read(name: str) -> dict[str, Any]:
    return json.loads((resources.files("cxg_assets.demo") / "data" / name).read_text(encoding="utf-8"))
