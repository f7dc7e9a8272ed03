"""YAML files, loaded as Dagster loads them."""

from collections.abc import Callable
from pathlib import Path

import dagster as dg
import pyarrow as pa
import pytest

from cxg_assets.code_location import complete
from cxg_assets.components.attributes import PARTS
from cxg_assets.components.census_subset import CensusSubset
from cxg_assets.ingest.filters.lookup import value_list
from cxg_assets.ingest.gene_selection import GeneSelection, HighlyVariable
from cxg_assets.ingest.metrics import Outliers, Quality, QualityColumn
from cxg_assets.ingest.sampling import Order, Sample, Split
from cxg_assets.ingest.spec import DEFAULT_OBS_COLUMNS, SubsetSpec
from cxg_assets.names import CENSUS_RELEASE, census_index_key, corpus_key, filtered_subset_key
from cxg_assets.ui.descriptions import OwnersAndTags

FULL_OF_TWO = """\
type: cxg_assets.CensusSubset
attributes:
  name: immune
  organisms: [homo_sapiens, mus_musculus]
  value_filter: "tissue_general == 'blood'"
  obs_columns: [cell_type]
  genes:
    GENES
  chunk_size: 500
"""
FULL = """\
type: cxg_assets.CensusSubset
attributes:
  name: lung_t
  organism: mus_musculus
  value_filter: "tissue_general == 'lung'"
  obs_columns: [sex, assay]
  genes:
    value_filter: "nnz >= 3"
    feature_ids: [ENSMUSG00000000001]
    feature_type: protein_coding
    measured_in: every_dataset
    highly_variable: {n_top_genes: 500, batch: dataset_id}
  max_obs: 12
  quality:
    columns:
      mt_share: {share: {feature_name: "mt-*"}}
      marker_nnz: {nnz: {feature_ids: [ENSMUSG00000000001]}}
    keep: "mt_share < 0.2"
    outliers: {columns: [mt_share, raw_sum], by: dataset_id, n_mads: 4}
  sample: {by: cell_type, at_most: 1000, at_least: 100, min_donors: 3, fraction: 0.5, seed: 4}
  split: {by: [donor_id], shares: {train: 0.8, test: 0.2}, stratify: cell_type, seed: 5}
  order: shuffled
  seed: 6
  layers: {normalized: X, raw: layers/counts}
  obs_embeddings: [tf-sapiens, scvi]
  obsm_layers: [geneformer]
  chunk_size: 34
  format: h5ad
  compression: lzf
  genes_text: fixed
  exports: [parquet]
  destination: s3://bucket/prefix
  owners: [team:cell-models, me@lab.org]
  tags: {project: lung}
"""


def test_every_attribute_reaches_the_engine(tree: Callable[..., dg.ComponentTree]) -> None:
    component = tree(lung_t=FULL).load_component("lung_t", CensusSubset)
    spec = component.specs()[0]

    assert spec == SubsetSpec(
        name="lung_t",
        organism="mus_musculus",
        value_filter="tissue_general == 'lung'",
        obs_columns=("sex", "assay"),
        genes=GeneSelection(
            value_filter="nnz >= 3",
            feature_ids=("ENSMUSG00000000001",),
            feature_type=("protein_coding",),
            measured_in="every_dataset",
            highly_variable=HighlyVariable(n_top_genes=500, batch=("dataset_id",)),
        ),
        max_obs=12,
        quality=Quality(
            columns=(
                QualityColumn(name="mt_share", kind="share", feature_name=("mt-*",)),
                QualityColumn(name="marker_nnz", kind="nnz", feature_ids=("ENSMUSG00000000001",)),
            ),
            keep="mt_share < 0.2",
            outliers=Outliers(columns=("mt_share", "raw_sum"), by=("dataset_id",), n_mads=4),
        ),
        sample=Sample(by=("cell_type",), at_most=1000, at_least=100, min_donors=3, fraction=0.5, seed=4),
        split=Split(by=("donor_id",), shares={"train": 0.8, "test": 0.2}, stratify="cell_type", seed=5),
        order=Order(kind="shuffled", seed=6),
        layer="normalized",
        further_layers={"counts": "raw"},
        obs_embeddings=("scvi", "tf-sapiens"),
        obsm_layers=("geneformer",),
        chunk_size=34,
        format="h5ad",
        compression="lzf",
        genes_text="fixed",
    )
    assert component.destination == "s3://bucket/prefix"
    assert component.owners_and_tags() == OwnersAndTags(
        owners=("team:cell-models", "me@lab.org"), tags={"project": "lung"}
    )
    # Every declared attribute is above, so a newly added one fails here until it is.
    assert component.exports == ["parquet"]
    others = {"destination", "exports", "owners", "tags", "seed", "layers", "organisms"}
    assert set(CensusSubset.model_fields) == set(SubsetSpec.__dataclass_fields__) - {"lists", "further_layers"} | others
    assert set(PARTS["genes"].model_fields) == set(GeneSelection.__dataclass_fields__) | {"file"}
    assert set(PARTS["highly_variable"].model_fields) == set(HighlyVariable.__dataclass_fields__)
    assert set(PARTS["quality"].model_fields) == set(Quality.__dataclass_fields__)
    assert set(PARTS["sample"].model_fields) == set(Sample.__dataclass_fields__)
    assert set(PARTS["split"].model_fields) == set(Split.__dataclass_fields__)


LISTED = """\
type: cxg_assets.CensusSubset
attributes:
  name: lung_t
  organism: mus_musculus
  value_filter: "dataset_id in file('ids/train.txt')"
"""

HELD_OUT = """\
type: cxg_assets.CensusSubset
attributes:
  name: lung_t
  organism: mus_musculus
  split: {by: dataset_id, held_out: {test: {file: test.txt}, validation: [d3]}}
"""


def test_a_filter_takes_values_from_a_file_beside_the_yaml(
    tree: Callable[..., dg.ComponentTree], tmp_path: Path
) -> None:
    loaded = tree(lung_t=LISTED)
    [yaml] = tmp_path.glob("*/defs/lung_t/defs.yaml")
    file = yaml.with_name("ids") / "train.txt"
    file.parent.mkdir()
    file.write_text("# mine\nd2\n\nd1\nd2\n")

    spec = loaded.load_component("lung_t", CensusSubset).specs()[0]

    assert spec.value_filter == "dataset_id in file('ids/train.txt')"
    assert spec.lists == {"ids/train.txt": value_list(pa.array(["d1", "d2"]))}


def test_values_that_are_held_out_are_read_from_a_file_beside_the_yaml(
    tree: Callable[..., dg.ComponentTree], tmp_path: Path
) -> None:
    loaded = tree(lung_t=HELD_OUT)
    [yaml] = tmp_path.glob("*/defs/lung_t/defs.yaml")
    yaml.with_name("test.txt").write_text("\ufeff# held out\r\nd1\r\n\r\nd2 and more\r\nd1\r\n", encoding="utf-8")

    split = loaded.load_component("lung_t", CensusSubset).specs()[0].split

    assert split == Split(by=("dataset_id",), held_out={"test": ("d1", "d2 and more"), "validation": ("d3",)})


def test_what_is_left_out_has_the_defaults_of_the_engine(tree: Callable[..., dg.ComponentTree]) -> None:
    yaml = "type: cxg_assets.CensusSubset\nattributes: {name: all_human, organism: homo_sapiens}\n"
    spec = tree(all_human=yaml).load_component("all_human", CensusSubset).specs()[0]
    assert spec == SubsetSpec(name="all_human", organism="homo_sapiens")
    assert spec.obs_columns == DEFAULT_OBS_COLUMNS


def test_a_gene_file_is_found_beside_its_yaml(tree: Callable[..., dg.ComponentTree]) -> None:
    yaml = """\
    type: cxg_assets.CensusSubset
    attributes: {name: few, organism: homo_sapiens, genes: {file: genes.txt}}
    """
    built = tree(few=yaml)
    (built.defs_module_path / "few" / "genes.txt").write_text("# markers\nENSG00000167286  # CD3D\n\nENSG00000090382\n")
    genes = built.load_component("few", CensusSubset).specs()[0].genes
    assert genes == GeneSelection(feature_ids=("ENSG00000167286", "ENSG00000090382"))


def test_a_vocabulary_keeps_its_order(tree: Callable[..., dg.ComponentTree]) -> None:
    built = tree(
        few="""\
    type: cxg_assets.CensusSubset
    attributes: {name: few, organism: homo_sapiens, genes: {vocabulary: words.txt, absent: refuse}}
    """
    )
    (built.defs_module_path / "few" / "words.txt").write_text("CD3D\nENSG00000090382.2\nABC\n")
    genes = built.load_component("few", CensusSubset).specs()[0].genes
    assert genes == GeneSelection(vocabulary=("CD3D", "ENSG00000090382.2", "ABC"), absent="refuse")


def test_one_yaml_of_several_organisms_is_a_subset_of_each(tree: Callable[..., dg.ComponentTree]) -> None:
    orthologs = "group,mus_musculus,homo_sapiens\na,ENSMUSG00000032094,ENSG00000167286\nb,,ENSG00000090382\n"
    yaml = FULL_OF_TWO.replace("GENES", "file: orthologs.csv")
    loaded = tree(immune=yaml)
    (loaded.defs_module_path / "immune" / "orthologs.csv").write_text(orthologs)

    specs = loaded.load_component("immune", CensusSubset).specs()

    assert [(spec.name, spec.organism) for spec in specs] == [
        ("immune_homo_sapiens", "homo_sapiens"), ("immune_mus_musculus", "mus_musculus"),
    ]  # fmt: skip
    assert [spec.genes and spec.genes.feature_ids for spec in specs] == [
        ("ENSG00000167286", "ENSG00000090382"), ("ENSMUSG00000032094",),
    ]  # fmt: skip
    assert {(spec.value_filter, spec.chunk_size, spec.obs_columns) for spec in specs} == {
        ("tissue_general == 'blood'", 500, ("cell_type",))
    }
    keys = complete(loaded.build_defs()).resolve_asset_graph().get_all_asset_keys()
    assert {key.path[0] for key in keys if key.path[-1] == "dataset"} == {spec.name for spec in specs}
    assert corpus_key("immune") in keys


def test_subsets_of_one_organism_share_its_index(tree: Callable[..., dg.ComponentTree]) -> None:
    one = "type: cxg_assets.CensusSubset\nattributes: {name: one, organism: homo_sapiens}\n"
    two = one.replace("one", "two")
    mouse = one.replace("one", "mouse").replace("homo_sapiens", "mus_musculus")
    graph = complete(tree(one=one, two=two, mouse=mouse).build_defs()).resolve_asset_graph()

    indexes = {key for key in graph.get_all_asset_keys() if key.path[-1] == "census_index"}
    assert indexes == {census_index_key("homo_sapiens"), census_index_key("mus_musculus")}
    assert graph.get(filtered_subset_key("two")).parent_keys == {
        census_index_key("homo_sapiens"),
        CENSUS_RELEASE,
    }


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("chunk_sise: 10", "wrong/defs.yaml:5` Extra inputs are not permitted"),
        ("genes: {value_filter: 'nnz > 1', fil: x}", "wrong/defs.yaml:5` Extra inputs are not permitted"),
        ("layer: scaled", "Input should be 'raw' or 'normalized'"),
        ("format: n5", "Input should be 'h5ad' or 'zarr'"),
        ("compression: bzip2", "Input should be 'gzip', 'lzf', 'zstd', 'lz4' or 'none'"),
        ("chunk_size: 0", "chunk_size: 0 is not a positive whole number"),
        ("max_obs: -1", "max_obs: -1 is not a positive whole number"),
        ("destination: gs://bucket", "destination: 'gs://bucket' is not supported"),
        ("genes: {feature_ids: []}", "genes.feature_ids: the list is empty"),
        ("obs_columns: [assay, assay]", "obs_columns: assay is listed twice"),
        ("value_filter: ' '", "value_filter: the filter is empty"),
    ],
)
def test_a_wrong_value_is_reported(tree: Callable[..., dg.ComponentTree], line: str, message: str) -> None:
    yaml = f"type: cxg_assets.CensusSubset\nattributes:\n  name: wrong\n  organism: homo_sapiens\n  {line}\n"
    with pytest.raises(Exception, match=r"Error while loading component wrong") as caught:
        tree(wrong=yaml).load_component("wrong", CensusSubset)
    error: BaseException | None = caught.value
    texts: list[str] = []
    while error is not None:
        texts.append(str(error))
        error = error.__cause__
    assert message in " ".join(" ".join(texts).split())


@pytest.mark.parametrize(("chunk_format", "chunk_size"), [("h5ad", 10_000), ("zarr", 65_536)])
def test_a_chunk_has_as_many_cells_as_suit_its_format(
    tree: Callable[..., dg.ComponentTree], chunk_format: str, chunk_size: int
) -> None:
    attributes = f"{{name: lung_t, organism: homo_sapiens, format: {chunk_format}}}"
    declared = f"type: cxg_assets.CensusSubset\nattributes: {attributes}\n"

    spec = tree(lung_t=declared).load_component("lung_t", CensusSubset).specs()[0]

    assert spec.chunk_size == chunk_size
