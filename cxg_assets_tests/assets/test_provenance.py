"""What is made tells by what its cells and genes were selected, whatever its YAML says by now."""

from pathlib import Path
from typing import Any

import anndata
import cellxgene_census
import dagster as dg
import pytest
import tiledbsoma as soma

from cxg_assets.ingest.layout import card_path, subset_json_path
from cxg_assets.ingest.plan.published import read_dataset
from cxg_assets.ingest.spec import GeneSelection
from cxg_assets.instance.provenance import latest_data_version
from cxg_assets.names import chunk_plan_key, filtered_subset_key
from cxg_assets_tests.assets.ui import stale_assets
from cxg_assets_tests.conftest import BLOOD_NORMAL
from cxg_assets_tests.platforms import Platform, failure_text

NAME = "blood_normal"
SUBSET, PLAN = filtered_subset_key(NAME), chunk_plan_key(NAME)
LUNG = BLOOD_NORMAL.replace("blood", "lung")
get_obs: Any = cellxgene_census.get_obs


def materialize(platform: Platform, *keys: dg.AssetKey) -> dg.ExecuteInProcessResult:
    """Materializes these assets and nothing else."""
    job = dg.define_asset_job("these", keys)
    definitions = dg.Definitions.merge(platform.definitions, dg.Definitions(jobs=[job]))
    return definitions.resolve_job_def("these").execute_in_process(instance=platform.instance, raise_on_error=False)


def files(platform: Platform) -> dict[str, bytes]:
    """Everything at the destination but the pointer, which tells when it was written."""
    store = Path(platform.store_url.removeprefix("file://")) / NAME
    return {
        str(file.relative_to(store)): file.read_bytes()
        for file in store.rglob("*")
        if file.is_file() and file.name != "dataset.json"
    }


def test_a_plan_is_refused_when_the_filter_was_edited_after_its_subset_was_made(prepared: Platform) -> None:
    before = files(prepared)

    refused = materialize(prepared.changed(value_filter=LUNG), PLAN)

    assert not refused.success
    assert failure_text(refused) == (
        "blood_normal: the YAML no longer selects what filtered_subset has: value_filter was `tissue_general == "
        "'blood' and disease == 'normal' and is_pri…`, is now `tissue_general == 'lung' and disease == 'normal' and "
        "is_prim…`. Materialize filtered_subset again, then chunk_plan; or put the YAML back"
    )
    assert files(prepared) == before


@pytest.mark.parametrize(
    ("changes", "named"),
    [
        ({"organism": "mus_musculus"}, "organism was homo_sapiens, is now mus_musculus"),
        ({"max_obs": 229}, "max_obs was 230, is now 229"),
        ({"max_obs": None}, "max_obs was 230, is now not given"),
        ({"value_filter": None}, "is_pri…`, is now not given"),
        ({"genes": None}, "genes.value_filter was `n_measured_obs >= 10 and nnz >= 10`, is now not given"),
        (
            {"genes": GeneSelection(feature_ids=("ENSG1", "ENSG2"))},
            "is now not given; genes.feature_ids was not given, is now a list of 2",
        ),
        ({"obs_columns": ("cell_type", "donor_id", "dataset_id")}, "obs_columns: is_primary_data taken out"),
        ({"obs_columns": ("donor_id", "cell_type", "is_primary_data", "dataset_id")}, "obs_columns: another order"),
        ({"obs_columns": ("cell_type", "sex"), "max_obs": 5}, "and sex added; max_obs was 230, is now 5"),
    ],
    ids=str,
)
def test_a_plan_is_refused_after_any_edit_of_what_selects(
    prepared: Platform, changes: dict[str, Any], named: str
) -> None:
    refused = materialize(prepared.changed(**changes), PLAN)

    assert not refused.success
    assert named in failure_text(refused)


def test_what_is_made_after_an_edit_tells_what_selected_its_cells(prepared: Platform, census: soma.Collection) -> None:
    edited = prepared.changed(
        value_filter=LUNG, genes=None, obs_columns=("sex",), max_obs=7, organism="mus_musculus", chunk_size=3
    )

    assert edited.make_missing().success
    assert edited.publish().success

    spec, plan = prepared.spec, prepared.plan
    wanted = get_obs(census, "homo_sapiens", value_filter=BLOOD_NORMAL, column_names=["soma_joinid"])
    cells: list[int] = []
    for chunk in plan.chunks:
        adata = anndata.read_h5ad(prepared.file(chunk))
        cells += adata.obs["soma_joinid"].tolist()
        origin = adata.uns["cxg_assets"]
        assert (origin["value_filter"], origin["organism"]) == (BLOOD_NORMAL, "homo_sapiens")
        assert origin["genes"] == f"{adata.n_vars} with n_measured_obs >= 10 and nnz >= 10"
        assert tuple(adata.obs.columns) == ("soma_joinid", *spec.obs_columns)
    assert cells == wanted["soma_joinid"].tolist()[:230]
    dataset = read_dataset(prepared.store, NAME)
    assert dataset.header.subset.selection == plan.header.subset.selection
    assert (dataset.header.subset.selection.value_filter, dataset.header.subset.selection.max_obs) == (
        BLOOD_NORMAL,
        230,
    )
    [event] = prepared.dataset_events()
    told: dict[str, Any] = {name: value.value for name, value in event.metadata.items()}
    assert told["resolved_filter"] == BLOOD_NORMAL
    assert [column.name for column in told["dagster/column_schema"].columns] == ["soma_joinid", *spec.obs_columns]
    card = prepared.store.get(card_path(NAME, plan.header.plan_id)).decode()
    assert f"| Cells | 230 (limited to the first 230), filter `{BLOOD_NORMAL}` |" in card


def test_the_check_judges_a_subset_by_the_filter_that_selected_it(platform: Platform) -> None:
    made = platform.changed(value_filter="tissue_general == 'blood'", max_obs=None)
    assert made.prepare().success
    edited = made.changed(value_filter=BLOOD_NORMAL)
    job = dg.define_asset_job("checks", dg.AssetSelection.checks_for_assets(SUBSET))
    definitions = dg.Definitions.merge(edited.definitions, dg.Definitions(jobs=[job]))
    checked = definitions.resolve_job_def("checks").execute_in_process(instance=edited.instance)

    assert checked.success
    [primary] = [found for found in checked.get_asset_check_evaluations() if found.check_name == "primary_cells_only"]
    assert primary.passed
    assert primary.metadata["asked_for"].value == "no matter whether they are primary"
    assert primary.metadata["n_not_primary"].value > 0  # type: ignore[operator]


@pytest.mark.parametrize(
    "changes",
    [
        {"value_filter": BLOOD_NORMAL.replace(" and ", "  and  ").replace("'", '"')},
        {"value_filter": "not (tissue_general != 'blood' or 'normal' != disease or is_primary_data != 1)"},
        {"value_filter": '(tissue_general == "blood") & (disease == "normal") & (is_primary_data == 1)'},
        {"genes": GeneSelection(value_filter="(10 <= n_measured_obs) & (nnz>=10)")},
    ],
    ids=str,
)
def test_a_filter_in_other_words_shows_nothing_as_stale_and_an_ingest_with_it_writes_nothing_anew(
    published: Platform, changes: dict[str, Any]
) -> None:
    before, plan = files(published), published.plan
    chunks = {chunk.key: published.file(chunk).stat() for chunk in plan.chunks}
    fingerprint = latest_data_version(published.instance, SUBSET)
    respelt = published.changed(**changes)
    assert stale_assets(respelt) == {}

    assert respelt.prepare().success
    assert respelt.make_missing().success
    assert respelt.publish().success

    assert latest_data_version(respelt.instance, SUBSET) == fingerprint
    assert respelt.plan == plan
    assert files(respelt) == before
    after = {chunk.key: respelt.file(chunk).stat() for chunk in plan.chunks}
    assert {key: (stat.st_ino, stat.st_mtime_ns) for key, stat in after.items()} == {
        key: (stat.st_ino, stat.st_mtime_ns) for key, stat in chunks.items()
    }
    assert stale_assets(respelt) == {}


def some_genes(platform: Platform) -> tuple[str, ...]:
    """Some feature_ids of the Census."""
    get_var: Any = cellxgene_census.get_var
    with cellxgene_census.open_soma(uri=platform.census_uri) as opened:
        return tuple(get_var(opened, "homo_sapiens", column_names=["feature_id"])["feature_id"].iloc[5:9])


def test_a_list_of_genes_or_labels_in_another_order_is_the_same_selection(platform: Platform) -> None:
    feature_ids = some_genes(platform)
    made = platform.changed(
        value_filter="disease in ['normal', 'COVID-19']", genes=GeneSelection(feature_ids=feature_ids)
    )
    assert made.prepare().success
    before = files(made)
    respelt = made.changed(
        value_filter="disease in ['COVID-19', 'normal', 'normal']",
        genes=GeneSelection(feature_ids=feature_ids[::-1]),
    )
    assert stale_assets(respelt, []) == stale_assets(made, [])

    assert respelt.prepare().success

    assert files(respelt) == before


def test_a_subset_of_before_selections_were_kept_is_made_again_and_not_guessed_at(prepared: Platform) -> None:
    path = subset_json_path(NAME, latest_data_version(prepared.instance, SUBSET))
    prepared.store.put(path, prepared.store.get(path).replace(b'"selection"', b'"organism"'))

    refused = materialize(prepared, PLAN)

    assert not refused.success
    assert "materialize filtered_subset again" in failure_text(refused)
    assert materialize(prepared, SUBSET).success
    assert materialize(prepared, PLAN).success


def test_what_decides_the_files_the_plan_takes_from_the_yaml_of_now(prepared: Platform) -> None:
    edited = prepared.changed(chunk_size=100, compression="lzf", layer="normalized")

    assert materialize(edited, PLAN).success

    header = edited.plan.header
    assert (header.chunk_size, header.compression, header.layer) == (100, "lzf", "normalized")
    assert header.subset.selection.value_filter == BLOOD_NORMAL
