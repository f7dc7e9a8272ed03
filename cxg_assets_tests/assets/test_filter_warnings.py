"""What a filter overlooks is in the log and the metadata of the subset, and on the stderr of the command."""

import logging
from pathlib import Path

from cxg_assets.ingest.spec import GeneSelection
from cxg_assets.names import filtered_subset_key
from cxg_assets_tests.cli.command import cxg_assets, declare
from cxg_assets_tests.platforms import Platform, failure_text

DIABETES = "disease == 'type 2 diabetes mellitus'"
TWO_GENES = "feature_name == 'PRAMEF36P'"


def warnings_on_record(platform: Platform) -> str:
    [record] = platform.instance.fetch_materializations(filtered_subset_key(platform.spec.name), limit=1).records
    assert record.asset_materialization is not None
    return str(record.asset_materialization.metadata["warnings"].value)


def test_the_asset_logs_what_its_filters_overlook(platform: Platform) -> None:
    changed = platform.changed(value_filter=DIABETES, genes=GeneSelection(value_filter=TWO_GENES))

    result = changed.prepare()

    assert result.success
    entries = platform.instance.all_logs(result.run_id)
    logged = [entry.user_message for entry in entries if entry.level == logging.WARNING]
    assert [line.partition(" misses ")[0] for line in logged[:1]] == [f"value_filter: {DIABETES}"]
    assert "feature_name 'PRAMEF36P' stands for 2 genes" in logged[1]
    assert warnings_on_record(changed) == "\n".join(logged)


def test_a_filter_that_overlooks_nothing_has_none(prepared: Platform) -> None:
    assert warnings_on_record(prepared) == "none"


def test_the_asset_of_a_filter_that_selects_nothing_names_the_nearest_label(platform: Platform) -> None:
    result = platform.changed(value_filter="tissue_general == 'lungs'").prepare()
    assert not result.success
    assert "(the nearest: 'lung')" in failure_text(result)


def test_the_command_tells_each_in_one_line(home: Path, defs: Path, workers: object) -> None:
    declare(defs, value_filter=DIABETES, genes={"value_filter": TWO_GENES})

    outcome = cxg_assets("ingest", "sample", "--workers", "1")

    assert outcome.exit_code == 0, outcome.stderr
    told = [line for line in outcome.stderr.splitlines() if line.startswith("cxg-assets: warning: ")]
    assert len(told) == 2
    assert f"value_filter: {DIABETES} misses " in told[0]
    assert "feature_name 'PRAMEF36P' stands for 2 genes" in told[1]
