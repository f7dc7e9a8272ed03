"""The tutorial's blocks are run one after the other, as a reader runs them."""

import contextlib
import importlib.util
import io
import re
import shlex
from pathlib import Path

import pytest

from cxg_assets_tests.cli.command import cxg_assets

TUTORIAL = (Path(__file__).parents[2] / "docs" / "tutorial.md").read_text()


@pytest.mark.usefixtures("workers")
def test_the_tutorial_ends_with_a_model_that_knows_cells_of_other_donors(home: Path, defs: Path) -> None:
    for language, block in re.findall(r"```(bash|yaml)\n(.*?)```", TUTORIAL, re.DOTALL):
        if language == "yaml":
            with (defs / "blood_cells" / "defs.yaml").open("a") as file:
                file.write(block)
            continue
        for line in block.splitlines():
            program, *arguments = shlex.split(line)
            if program == "pip":
                continue
            assert program == "cxg-assets"
            outcome = cxg_assets(*arguments)
            assert outcome.exit_code == 0, outcome.stderr

    by_sklearn, by_torch = re.findall(r"```python\n(.*?)```", TUTORIAL, re.DOTALL)
    scope: dict[str, object] = {}
    said = printed(by_sklearn, home, scope)
    [(n_types, share, n_obs)] = re.findall(r"(\d+) cell types: ([\d.]+)% right of ([\d,]+) cells", said)
    assert int(n_types) > 5
    assert int(n_obs.replace(",", "")) > 100
    assert float(share) > 90  # learnt of an eighth of the reader's cells; the most frequent type has 27 %
    if importlib.util.find_spec("torch") is not None:
        [loss] = re.findall(r"loss ([\d.]+)", printed(by_torch, home, scope))
        assert float(loss) < 2  # log(10) before it learns


def printed(example: str, home: Path, scope: dict[str, object]) -> str:
    """What a block of Python prints, in a project whose `.cxg` is `home`; it knows what earlier blocks defined."""
    said = io.StringIO()
    with contextlib.redirect_stdout(said):
        exec(compile(example.replace(".cxg/store", f"{home}/store"), "tutorial.md", "exec"), scope)
    return said.getvalue()
