"""The check `estimate`: what a YAML would make, asked in the UI before anything is made."""

from dataclasses import replace
from typing import Any

import cellxgene_census
import dagster as dg

from cxg_assets.names import filtered_subset_key
from cxg_assets.ui.checks import ESTIMATE, SUBSET_CHECKS
from cxg_assets_tests.platforms import Platform

get_obs: Any = cellxgene_census.get_obs


def evaluation(platform: Platform) -> dg.AssetCheckEvaluation:
    """Executes the check alone, as its button does."""
    key = ESTIMATE.key(filtered_subset_key(platform.spec.name))
    job = dg.define_asset_job("one_check", dg.AssetSelection.checks(key))
    definitions = dg.Definitions.merge(platform.definitions, dg.Definitions(jobs=[job]))
    result = definitions.resolve_job_def("one_check").execute_in_process(instance=platform.instance)
    [found] = result.get_asset_check_evaluations()
    return found


def test_it_tells_what_there_would_be_before_anything_is_made(platform: Platform) -> None:
    found = evaluation(platform)

    spec = platform.spec
    columns = ["soma_joinid", "donor_id", "dataset_id", "cell_type"]
    with cellxgene_census.open_soma(uri=platform.census_uri) as census:
        obs = get_obs(census, spec.organism, value_filter=spec.value_filter, column_names=columns)
    obs = obs.head(spec.max_obs or len(obs))
    told = {name: value.value for name, value in found.metadata.items()}
    assert found.passed
    assert told["n_obs"] == len(obs)
    assert [told[f"n_{name}"] for name in columns[1:]] == [obs[name].nunique() for name in columns[1:]]
    assert told["n_files"] == -(-len(obs) // spec.chunk_size)
    assert platform.instance.get_latest_materialization_event(filtered_subset_key(spec.name)) is None


def test_a_yaml_that_fits_no_census_is_told_why(platform: Platform) -> None:
    wrong = replace(platform, spec=replace(platform.spec, value_filter="tissue_general == 'blod'"))

    found = evaluation(wrong)

    assert not found.passed
    assert "(the nearest: 'blood')" in (found.description or "")


def test_an_ingest_runs_the_other_checks_of_the_subset_only(platform: Platform) -> None:
    result = platform.prepare()

    subset_key = filtered_subset_key(platform.spec.name)
    executed = {found.check_name for found in result.get_asset_check_evaluations() if found.asset_key == subset_key}
    assert executed == {check.name for check in SUBSET_CHECKS}
