"""Whoever uses the definitions sees the warnings of what is theirs, and none of the parts of Dagster used here."""

import os
import subprocess
import sys
import warnings
from pathlib import Path

import pytest
from dagster_shared.utils.warnings import BetaWarning, PreviewWarning

from cxg_assets.code_location import complete
from cxg_assets.components.census_subset import subset_definitions
from cxg_assets_tests.platforms import Platform

SCRIPT = """
import warnings
import dagster as dg, dagster_aws.s3, dagster_ray, numpy  # they have filters of their own

before = list(warnings.filters)
from cxg_assets.definitions import defs
assert warnings.filters == before

defs.get_repository_def().get_all_jobs()
defs.resolve_asset_graph()
warnings.warn("mine is old", DeprecationWarning)
dg.LocalFileCodeReference(file_path="mine.py")
"""

BETA = (BetaWarning, PreviewWarning)


@pytest.mark.parametrize("options", [(), ("-W", "default")], ids=["", "with -W default"])
def test_a_script_sees_its_own_warnings_and_no_others(options: tuple[str, ...], tmp_path: Path) -> None:
    script = tmp_path / "script.py"
    script.write_text(SCRIPT)
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONWARNINGS"}
    done = subprocess.run(
        [sys.executable, *options, script], env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    first, _, second, _ = done.stderr.splitlines()
    assert first.endswith("script.py:11: DeprecationWarning: mine is old")
    assert "script.py:12: BetaWarning: Class `LocalFileCodeReference`" in second


def test_what_a_run_uses_is_built_and_run_without_a_warning_of_beta(prepared: Platform) -> None:
    with warnings.catch_warnings(record=True) as seen:
        warnings.simplefilter("always")
        complete(subset_definitions(prepared.spec, "")).resolve_all_job_defs()
        assert prepared.make_missing().success
        assert prepared.publish().success
        prepared.definitions.load_asset_value([prepared.spec.name, "dataset"], instance=prepared.instance)
    assert [str(warning.message) for warning in seen if issubclass(warning.category, BETA)] == []
    # tiledbsoma and anndata, where every cell of a sample is compared with the Census.
    assert [warning for warning in seen if "Transforming to str index" in str(warning.message)] == []
