"""The asset over the datasets of several organisms: one card, one file that names them, or nothing."""

import json
import re
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import dagster as dg
import pandas as pd
import pytest

from cxg_assets.assets.corpus import build_corpus
from cxg_assets.ingest.dataset.corpus import publish_corpus
from cxg_assets.ingest.dataset.publish import publish
from cxg_assets.ingest.errors import BadInput
from cxg_assets.ingest.layout import corpus_card_path, corpus_path, dataset_path
from cxg_assets.ingest.spec import SubsetSpec
from cxg_assets.names import corpus_key
from cxg_assets.resources.store import S3Resource, StoreResource
from cxg_assets_tests.cli.test_metadata_page import documented
from cxg_assets_tests.conftest import BLOOD_NORMAL, Ingest
from cxg_assets_tests.ingested import Ingested

SUBSETS = ("immune_homo_sapiens", "immune_mus_musculus")


@pytest.fixture
def members(ingest: Ingest, spec: Callable[..., SubsetSpec], store_url: str) -> list[Ingested]:
    made = [
        ingest(
            spec(name=name, organism=name.partition("_")[2], value_filter=BLOOD_NORMAL, max_obs=40, chunk_size=25),
            store_url,
        )
        for name in SUBSETS
    ]
    for one in made:
        publish(one.store, one.plan, one.reports, one.census)
    return made


def test_its_card_and_its_file_tell_of_each_dataset(members: list[Ingested], store_url: str) -> None:
    asset, store = build_corpus("immune", SUBSETS, ""), StoreResource(url=store_url, s3=S3Resource())

    result = dg.materialize([asset], resources={"store": store})

    [made] = result.asset_materializations_for_node(asset.node_def.name)
    assert made.asset_key == corpus_key("immune")
    metadata = {name: value.value for name, value in made.metadata.items()}
    assert set(metadata) == documented("`<corpus>/corpus`")
    opened = members[0].store
    told: dict[str, Any] = json.loads(opened.get(corpus_path("immune")))
    chunks = [[one.read(chunk) for chunk in one.plan.chunks] for one in members]
    assert metadata["n_obs"] == sum(adata.n_obs for adatas in chunks for adata in adatas)
    for member, one, adatas in zip(told["members"], members, chunks, strict=True):
        assert member["subset"] == one.spec.name
        assert member["organism"] == one.spec.organism
        assert member["plan_id"] == one.plan.header.plan_id
        assert (member["n_obs"], member["n_vars"]) == (sum(adata.n_obs for adata in adatas), adatas[0].n_vars)
        assert member["nnz"] == sum(adata.X.nnz for adata in adatas)
        assert member["n_bytes"] == sum(one.file(chunk).stat().st_size for chunk in one.plan.chunks)
    card = opened.get(corpus_card_path("immune")).decode()
    links = re.findall(r"\]\(\.\./([^)]*)\)", card)
    assert links == [member["card"] for member in told["members"]]
    assert all(opened.exists(link) for link in links)
    rows = [line.split("|")[1:-1] for line in card.splitlines() if line.startswith("| `")]
    table = pd.DataFrame(rows).map(str.strip)
    assert list(table[0].str.strip("`")) == list(SUBSETS)
    assert list(table[2].str.replace(",", "").astype(int)) == [member["n_obs"] for member in told["members"]]


def test_what_is_not_published_is_refused_and_nothing_written(members: list[Ingested]) -> None:
    store = members[0].store
    store.delete(dataset_path(SUBSETS[1]))

    with pytest.raises(BadInput, match=f"^immune: {SUBSETS[1]} is not published .*ingest {SUBSETS[1]}"):
        publish_corpus(store, "immune", SUBSETS)

    assert not store.exists(corpus_path("immune"))
    assert not store.exists(corpus_card_path("immune"))


def test_datasets_of_other_cells_than_one_filter_selects_are_refused(
    members: list[Ingested], ingest: Ingest, store_url: str
) -> None:
    edited = replace(members[1].spec, value_filter="tissue_general == 'spleen'")
    other = ingest(edited, store_url)
    publish(other.store, other.plan, other.reports, other.census)

    with pytest.raises(BadInput, match=r"^immune: its datasets are of different filters: .*spleen"):
        publish_corpus(other.store, "immune", SUBSETS)

    assert not other.store.exists(corpus_path("immune"))
