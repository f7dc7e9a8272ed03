"""Gene selections keep var's order and refuse what var does not have."""

from typing import Any

import cellxgene_census
import pyarrow as pa
import pytest
import tiledbsoma as soma

from cxg_assets.ingest.errors import BadInput
from cxg_assets.ingest.genes.select import select_genes
from cxg_assets.ingest.spec import GeneSelection

get_var: Any = cellxgene_census.get_var

VAR = pa.table(
    {
        "soma_joinid": pa.array(range(6), pa.int64()),
        "feature_id": pa.array([f"ENSG{number}" for number in range(6)], pa.large_string()),
        "nnz": pa.array([0, 50, 3, 9, 700, 10], pa.int64()),
    }
)


def ids(*feature_ids: str) -> GeneSelection:
    return GeneSelection(feature_ids=feature_ids)


def test_no_selection_keeps_all_genes() -> None:
    assert select_genes(VAR, None).equals(VAR)


def test_feature_ids_in_any_order_keep_the_order_of_var() -> None:
    kept = select_genes(VAR, ids("ENSG4", "ENSG0", "ENSG3"))

    assert kept.to_pydict() == VAR.take([0, 3, 4]).to_pydict()


def test_a_filter_keeps_what_the_census_keeps(census: soma.Collection) -> None:
    value_filter = "n_measured_obs >= 10 and nnz >= 10 and feature_length < 4000"
    var = census["census_data"]["homo_sapiens"].ms["RNA"].var.read().concat()

    kept = select_genes(var, GeneSelection(value_filter=value_filter))

    expected = get_var(census, "homo_sapiens", value_filter=value_filter)
    assert 0 < kept.num_rows < var.num_rows
    assert kept["feature_id"].to_pylist() == expected.feature_id.tolist()
    assert kept["soma_joinid"].to_pylist() == expected.soma_joinid.tolist()


def test_ids_and_a_filter_keep_what_passes_both() -> None:
    selection = GeneSelection(feature_ids=("ENSG4", "ENSG2", "ENSG1"), value_filter="nnz >= 10")

    assert select_genes(VAR, selection)["feature_id"].to_pylist() == ["ENSG1", "ENSG4"]


def test_a_filter_sees_every_batch_of_var() -> None:
    in_batches = pa.Table.from_batches(VAR.to_batches(max_chunksize=2))

    assert select_genes(in_batches, GeneSelection(value_filter="nnz >= 10"))["soma_joinid"].to_pylist() == [1, 4, 5]


@pytest.mark.parametrize(
    ("selection", "message"),
    [
        (
            ids("ENSG1", "TP53"),
            "genes.feature_ids: 1 of 2 are not in var of this Census: TP53; give feature_id or "
            "feature_name values as var has them",
        ),
        (ids(*(f"X{n}" for n in range(8))), "8 of 8 are not in var .*: X0, X1, X2, X3, X4 and 3 more"),
        (ids("ENSG1", "ENSG2", "ENSG1"), "genes.feature_ids: listed twice: ENSG1; list each gene once"),
        (GeneSelection(value_filter="nnz > 1000"), "genes.value_filter: no gene of 6 passes 'nnz > 1000'; loosen it"),
        (GeneSelection(value_filter="length > 1"), "genes.value_filter.*length"),
        (GeneSelection(value_filter="nnz >"), "genes.value_filter"),
    ],
)
def test_a_wrong_selection_is_bad_input_and_says_why(selection: GeneSelection, message: str) -> None:
    with pytest.raises(BadInput, match=message):
        select_genes(VAR, selection)
