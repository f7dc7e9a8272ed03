"""`cxg-assets diff`: two releases as pandas compares them; what is published is the earlier one by default."""

import json
from pathlib import Path
from typing import Any

import cellxgene_census
import tiledbsoma as soma

from cxg_assets_tests.cli.command import cxg_assets, declare
from cxg_assets_tests.cli.conftest import SUBSET, Finished

BLOOD = "tissue_general == 'blood'"
CELL = ["dataset_id", "observation_joinid"]


def cells(census: soma.Collection) -> Any:
    return cellxgene_census.get_obs(census, "homo_sapiens", value_filter=BLOOD, column_names=CELL)[CELL].astype(str)


def test_a_release_is_compared_with_another(
    home: Path, defs: Path, census_uri: str, old_census_uri: str, census: soma.Collection, old_census: soma.Collection
) -> None:
    declare(defs)
    both = cells(old_census).merge(cells(census), how="outer", indicator=True)
    n_both, n_gone, n_new = ((both._merge == side).sum() for side in ("both", "left_only", "right_only"))

    told = cxg_assets("diff", "sample", "--from", old_census_uri, "--to", census_uri)
    found = cxg_assets("diff", "sample", "--from", old_census_uri, "--json")

    assert (told.exit_code, found.exit_code) == (0, 0), told.stderr + found.stderr
    changes = json.loads(found.stdout)
    assert (changes["n_new"], changes["n_gone"]) == (n_new, n_gone)
    assert f"  cells: {n_both + n_gone:,} → {n_both + n_new:,}; {n_new:,} new, {n_gone:,} gone, " in told.stdout
    first = changes["datasets"][0]
    assert f"  {first['dataset_id']}  {first['n_before']:,} " in told.stdout
    assert not (home / "store" / "sample").exists()


def test_what_is_published_is_the_earlier_release(finished: Finished, finished_home: Path) -> None:
    told = cxg_assets("diff", SUBSET)

    assert told.exit_code == 0, told.stderr
    assert "; 0 new, 0 gone, 0 with other labels or counts\n" in told.stdout


def test_without_a_dataset_the_earlier_release_has_to_be_named(home: Path, defs: Path) -> None:
    declare(defs)

    outcome = cxg_assets("diff", "sample")

    assert outcome.exit_code == 2
    assert "--from: nothing of sample is published at " in outcome.stderr
    assert outcome.stderr.rstrip().endswith("; name the earlier release")
