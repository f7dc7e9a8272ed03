"""The tutorial's blocks are run one after the other, as a reader runs them."""

import contextlib
import io
import re
import shlex
from pathlib import Path

import pytest

from cxg_assets.cli.project import load_subset
from cxg_assets.code_location import complete
from cxg_assets.components.census_subset import subset_definitions
from cxg_assets_tests.cli.command import cxg_assets

TUTORIAL = (Path(__file__).parents[2] / "docs" / "tutorial.md").read_text()


@pytest.mark.usefixtures("workers")
def test_the_tutorial_ends_with_training_batches(home: Path, defs: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for line in "".join(re.findall(r"```bash\n(.*?)```", TUTORIAL, re.DOTALL)).splitlines():
        program, *arguments = shlex.split(line)
        assert program == "cxg-assets"
        outcome = cxg_assets(*arguments)
        assert outcome.exit_code == 0, outcome.stderr
    # Definitions are loaded once a process; a reader's Python starts after the YAML was written.
    subset = load_subset("blood_cells")
    monkeypatch.setattr("cxg_assets.definitions.defs", complete(subset_definitions(subset.spec, subset.destination)))
    [example] = re.findall(r"```python\n(.*?)```", TUTORIAL, re.DOTALL)
    printed = io.StringIO()
    with contextlib.redirect_stdout(printed):
        exec(compile(example, "tutorial.md", "exec"), {})

    head, *batches = printed.getvalue().splitlines()
    n_obs, n_vars = re.findall(r"\d+", head)
    assert int(n_obs) > 500
    assert len(batches) == 4
    assert {batch.partition(" float32 ")[0] for batch in batches} == {f"(128, {n_vars})"}
