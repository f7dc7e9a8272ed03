"""A spec holds only what is allowed; a mistake names its attribute."""

from collections.abc import Callable
from typing import Any

import pytest

from cxg_assets.ingest.errors import BadInput
from cxg_assets.ingest.gene_selection import GeneSelection, HighlyVariable
from cxg_assets.ingest.spec import DEFAULT_CHUNK_SIZE, DEFAULT_OBS_COLUMNS, SubsetSpec


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
        ({"format": "parquet"}, "format: 'parquet' is unknown; choose one of h5ad, zarr"),
        (
            {"format": "zarr", "compression": "gzip"},
            "compression: gzip is for format: h5ad; with format: zarr choose one of lz4, zstd, none",
        ),
        ({"compression": "lz4"}, "compression: lz4 is for format: zarr; with format: h5ad choose one of gzip, lzf"),
        ({"format": "zarr", "compression": "zip"}, "compression: 'zip' is unknown; choose one of lz4, zstd, none"),
        (
            {"format": "zarr", "genes_text": "fixed"},
            "genes_text: fixed is for format: h5ad; take it out with format: zarr",
        ),
        ({"genes_text": "short"}, "genes_text: 'short' is unknown; choose one of variable, fixed"),
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
        ({}, "genes: give vocabulary, or any of value_filter, feature_ids, file, feature_type, measured_in and "),
        ({"feature_ids": ()}, "genes.feature_ids: the list is empty; leave genes out to keep all genes"),
        ({"feature_ids": ("ENSG1", "two words")}, "genes.feature_ids: 'two words' is not a feature_id"),
        ({"feature_ids": ("",)}, "genes.feature_ids: '' is not a feature_id"),
        ({"vocabulary": ()}, "genes.vocabulary: the list is empty"),
        ({"vocabulary": ("<pad>",)}, "genes.vocabulary: '<pad>' is not a feature_id"),
        ({"vocabulary": ("A",), "absent": "drop"}, "genes.absent: 'drop' is unknown; choose one of pad, refuse"),
        ({"absent": "refuse"}, "genes.absent: it is about a vocabulary, and there is none; take it out"),
        ({"vocabulary": ("A",), "value_filter": "nnz > 1"}, "genes.value_filter: the genes are those of vocabulary"),
        ({"vocabulary": ("A",), "measured_in": "every_dataset"}, "genes.measured_in: the genes are those of vocab"),
        ({"feature_type": (" ",)}, "genes.feature_type: ' ' is no type of genes"),
        ({"feature_type": ("a", "a")}, "genes.feature_type: 'a' is listed twice"),
        ({"measured_in": "some"}, "genes.measured_in: 'some' is unknown; it can be every_dataset"),
    ],
)
def test_a_gene_selection_without_genes_or_with_wrong_ids_is_bad_input(selection: dict[str, Any], message: str) -> None:
    with pytest.raises(BadInput, match=message):
        GeneSelection(**selection)


@pytest.mark.parametrize(
    ("variable", "message"),
    [
        ({"n_top_genes": 0}, "genes.highly_variable.n_top_genes: 0 is not a positive whole number"),
        ({"n_top_genes": True}, "genes.highly_variable.n_top_genes: True is not a positive whole number"),
        ({"n_top_genes": 5, "batch": ("a", "a")}, "genes.highly_variable.batch: 'a' is listed twice"),
    ],
)
def test_wrong_highly_variable_genes_are_bad_input(variable: dict[str, Any], message: str) -> None:
    with pytest.raises(BadInput, match=message):
        HighlyVariable(**variable)


def test_a_version_is_no_part_of_an_id() -> None:
    genes = GeneSelection(feature_ids=("ENSMUSG00000000001.5", "AC1.2", "ENSG1_PAR_Y", "ENSG2.3"))

    assert genes.canonical.feature_ids == ("AC1.2", "ENSG1_PAR_Y", "ENSG2", "ENSMUSG00000000001")
    assert GeneSelection(vocabulary=("ENSG2.3", "ENSG1")).canonical.vocabulary == ("ENSG2", "ENSG1")
