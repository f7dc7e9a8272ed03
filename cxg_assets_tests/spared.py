"""What every run and every instance costs and hardly a test is about: pictures, alembic's scripts, waits for a disk.

Pictures are blank, and matplotlib is not imported for them. They are drawn where the fixture `pictures` asks for it, in
the `stages` that tests of figures look at, and by commands in processes of their own. Scripts that migrate a database
are read once, and not for each of the three of an instance and for that of each run.

What Python would do again and again: compile the project in each of the programs that tests start, where
PYTHONDONTWRITEBYTECODE is set, and look for garbage among all that was imported.
"""

import base64
import gc
import io
import os
import sqlite3
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from alembic.config import Config
from alembic.script import ScriptDirectory
from PIL import Image
from sqlalchemy import event
from sqlalchemy.engine import Engine

from cxg_assets.ui import plots

_DRAW: dict[str, Callable[..., Any]] = {
    name: getattr(plots, name)
    for name in ("as_markdown", "import_ahead", "throughput", "file_sizes", "decoded_cells")
}
"""What draws, and what makes ready for it."""

GARBAGE_AFTER = 10_000
"""New containers after which Python looks for garbage; by default it does after 700."""


def spare_compiling() -> None:
    """Lets this process, and those that it starts, keep what they compile."""
    sys.dont_write_bytecode = False
    os.environ.pop("PYTHONDONTWRITEBYTECODE", None)


def spare_collecting() -> None:
    """What is there by now is no garbage, and is not looked through for it any more."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(GARBAGE_AFTER, *gc.get_threshold()[1:])


@contextmanager
def spare_drawing() -> Iterator[None]:
    """Pictures are blank inside the block."""
    png = io.BytesIO()
    Image.new("P", (1, 1)).save(png, format="png")
    blank = f"![?](data:image/png;base64,{base64.b64encode(png.getvalue()).decode()})"
    with pytest.MonkeyPatch.context() as monkeypatch:
        for name in _DRAW:
            monkeypatch.setattr(plots, name, lambda *_: None)
        monkeypatch.setattr(plots, "as_markdown", lambda _, alt: blank.replace("?", alt))
        yield


@contextmanager
def drawing() -> Iterator[None]:
    """Pictures are drawn inside the block, whatever is around it."""
    with pytest.MonkeyPatch.context() as monkeypatch:
        for name, draw in _DRAW.items():
            monkeypatch.setattr(plots, name, draw)
        yield


@contextmanager
def spare_scripts_and_disk() -> Iterator[None]:
    """Migration scripts are read once inside the block, and SQLite leaves it to the system when a disk has what."""
    read = ScriptDirectory.from_config
    kept: dict[str | None, ScriptDirectory] = {}

    def from_config(config: Config) -> ScriptDirectory:
        # Each of Dagster's storages has an ini file and a folder of scripts of its own.
        where = f"{config.config_file_name} {config.get_main_option('script_location')}"
        if where not in kept:
            kept[where] = read(config)
        return kept[where]

    with pytest.MonkeyPatch.context() as monkeypatch:
        monkeypatch.setattr(ScriptDirectory, "from_config", from_config)
        event.listen(Engine, "connect", _without_waits)
        try:
            yield
        finally:
            event.remove(Engine, "connect", _without_waits)


def _without_waits(connection: Any, _: object) -> None:
    if isinstance(connection, sqlite3.Connection):
        connection.execute("PRAGMA synchronous=OFF")
