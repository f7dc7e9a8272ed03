"""The datasets of several organisms that one YAML declares, as one."""

import hashlib
from collections.abc import Sequence
from typing import Any

import dagster as dg

from cxg_assets.ingest.dataset.corpus import publish_corpus
from cxg_assets.ingest.layout import corpus_card_path
from cxg_assets.instance.step_failures import as_failure
from cxg_assets.names import DESTINATION, corpus_key, dataset_key
from cxg_assets.resources.store import StoreResource
from cxg_assets.ui.metadata import corpus_metadata


def build_corpus(name: str, subsets: Sequence[str], destination: str) -> dg.AssetsDefinition:
    """The corpus asset: a card over the datasets, when all are published.

    Args:
        name: Of the YAML.
        subsets: Names of the subsets that it declares.
        destination: URL of their store; empty for the default store.
    """

    @dg.asset(
        key=corpus_key(name),
        deps=[dataset_key(subset) for subset in subsets],
        group_name=name,
        metadata={DESTINATION: destination} if destination else {},
        kinds={"markdown"},
        description=f"The datasets of {name} as one: a card, and corpus.json, which names them. Materialize it when "
        "all are published, and again when one is published anew.\n\n"
        f"The datasets: {', '.join(subsets)}. They have to be of one build of the Census and of one filter; otherwise "
        "nothing is written.",
    )
    def corpus(store: StoreResource) -> dg.MaterializeResult[Any]:
        opened = store.locator(destination).open()
        with as_failure():
            made = publish_corpus(opened, name, subsets)
        plans = " ".join(member.plan_id for member in made.members)
        return dg.MaterializeResult(
            data_version=dg.DataVersion(hashlib.sha256(plans.encode()).hexdigest()[:16]),
            metadata=corpus_metadata(made, opened.uri(corpus_card_path(name))),
        )

    return corpus
