"""A spec holds only what is allowed; a mistake names its attribute."""

from collections.abc import Callable
from typing import Any

import pytest

from cxg_assets.ingest.errors import BadInput
from cxg_assets.ingest.spec import DEFAULT_CHUNK_SIZE, DEFAULT_OBS_COLUMNS, GeneSelection, SubsetSpec


def test_a_name_and_an_organism_are_enough() -> None:
    spec = SubsetSpec(name="blood", organism="homo_sapiens")

    assert spec.value_filter is None
    assert spec.genes is None
    assert (spec.layer, spec.compression) == ("raw", "gzip")
    assert (spec.chunk_size, spec.max_obs) == (DEFAULT_CHUNK_SIZE, None)
    assert spec.obs_columns == DEFAULT_OBS_COLUMNS


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"name": ""}, r"name: '' is not allowed; use small letters"),
        ({"name": "Blood"}, "name: 'Blood' is not allowed"),
        ({"name": "a/b"}, "name: 'a/b' is not allowed"),
        ({"name": ".."}, r"name: '\.\.' is not allowed"),
        ({"name": "a" * 64}, "name: .* at most 63"),
        ({"name": None}, "name: None is not allowed"),
        ({"organism": "Homo sapiens"}, "organism: 'Homo sapiens' is not allowed"),
        ({"value_filter": "  "}, "value_filter: the filter is empty; leave it out to keep every cell"),
        ({"chunk_size": 0}, "chunk_size: 0 is not a positive whole number"),
        ({"chunk_size": -5}, "chunk_size: -5 is not a positive whole number"),
        ({"chunk_size": 1.5}, r"chunk_size: 1\.5 is not a positive whole number"),
        ({"chunk_size": True}, "chunk_size: True is not a positive whole number"),
        ({"max_obs": 0}, "max_obs: 0 is not a positive whole number"),
        ({"max_obs": "many"}, "max_obs: 'many' is not a positive whole number"),
        ({"layer": "counts"}, "layer: 'counts' is unknown; choose one of raw, normalized"),
        ({"compression": "zip"}, "compression: 'zip' is unknown; choose one of gzip, lzf, zstd, none"),
        ({"obs_columns": ("tissue", "assay", "tissue")}, "obs_columns: tissue is listed twice"),
        ({"obs_columns": ("soma_joinid",)}, "obs_columns: soma_joinid is always the first column"),
    ],
)
def test_a_mistake_names_its_attribute(spec: Callable[..., SubsetSpec], changes: dict[str, Any], message: str) -> None:
    with pytest.raises(BadInput, match=message):
        spec(**changes)


@pytest.mark.parametrize(
    ("selection", "message"),
    [
        ({}, "genes: give value_filter, feature_ids or file; leave genes out to keep all genes"),
        ({"feature_ids": ()}, "genes.feature_ids: the list is empty; leave genes out to keep all genes"),
        ({"feature_ids": ("ENSG1", "two words")}, "genes.feature_ids: 'two words' is not a feature_id"),
        ({"feature_ids": ("",)}, "genes.feature_ids: '' is not a feature_id"),
    ],
)
def test_a_gene_selection_without_genes_or_with_wrong_ids_is_bad_input(selection: dict[str, Any], message: str) -> None:
    with pytest.raises(BadInput, match=message):
        GeneSelection(**selection)
