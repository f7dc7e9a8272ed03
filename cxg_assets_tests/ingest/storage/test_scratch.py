"""Temporary folders: gone after the block, and after a kill with the next one."""

import os
import signal
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import pytest

from cxg_assets.ingest.storage.scratch import PREFIX, scratch_folder

HOLDING = """
from cxg_assets.ingest.storage.scratch import scratch_folder
with scratch_folder() as folder:
    (folder / "index.feather").write_bytes(bytes(1000))
    print(folder, flush=True)
    input()
"""


@pytest.fixture
def temporary(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder that processes take for temporary files."""
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    monkeypatch.setattr("tempfile.tempdir", None)
    return tmp_path


def test_a_folder_is_gone_after_its_block_whatever_happened(temporary: Path) -> None:
    def fail() -> None:
        with scratch_folder() as folder:
            (folder / "sub").mkdir()
            (folder / "sub" / "file").write_text("x")
            raise KeyError

    with pytest.raises(KeyError):
        fail()
    assert list(temporary.iterdir()) == []


def test_what_a_killed_process_left_is_removed_and_what_a_living_one_uses_is_not(temporary: Path) -> None:
    with subprocess.Popen([sys.executable, "-c", HOLDING], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as holder:
        assert holder.stdout is not None
        theirs = Path(holder.stdout.readline().decode().strip())
        with scratch_folder():
            assert (theirs / "index.feather").exists()
        os.kill(holder.pid, signal.SIGKILL)
        holder.wait()
        assert (theirs / "index.feather").exists()
        with scratch_folder() as mine:
            assert list(temporary.iterdir()) == [mine]


def test_files_and_folders_of_others_are_left_alone(temporary: Path) -> None:
    others = [temporary / "cxg-data", temporary / f"{PREFIX}file", temporary / f"{PREFIX}link"]
    others[0].mkdir()
    others[1].write_text("not a folder")
    others[2].symlink_to(others[0])
    with scratch_folder():
        assert all(path.exists() for path in others)


def test_folders_are_distinct(temporary: Path) -> None:
    with scratch_folder() as first, scratch_folder() as second:
        assert first != second
        assert {first.parent, second.parent} == {temporary}


def test_a_folder_that_another_process_removes_before_it_is_locked_is_made_again(
    temporary: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made: list[Path] = []
    make = tempfile.mkdtemp

    def make_and_lose_the_first(**where: Any) -> str:
        made.append(Path(make(**where)))
        if len(made) == 1:
            made[0].rmdir()
        return str(made[-1])

    monkeypatch.setattr(tempfile, "mkdtemp", make_and_lose_the_first)
    with scratch_folder() as folder:
        assert folder == made[1]
        assert folder.is_dir()
    assert list(temporary.iterdir()) == []
