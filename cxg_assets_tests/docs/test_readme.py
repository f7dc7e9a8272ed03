"""The README's code is run, not believed."""

import contextlib
import io
import re
from pathlib import Path

import pytest

README = (Path(__file__).parents[2] / "README.md").read_text()


def test_the_engine_example_makes_the_chunks_it_prints(
    census_uri: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / ".cxg").mkdir()
    (tmp_path / ".cxg" / "demo-census").symlink_to(census_uri)
    [example] = [code for code in re.findall(r"```python\n(.*?)```", README, re.DOTALL) if "Worker(" in code]
    printed = io.StringIO()
    with contextlib.redirect_stdout(printed):
        exec(compile(example, "README.md", "exec"), {})

    lines = printed.getvalue().splitlines()
    assert lines
    for line in lines:
        _, n_obs, uri = line.split()
        assert int(n_obs) <= 500
        assert Path(uri.removeprefix("file://")).is_file()
