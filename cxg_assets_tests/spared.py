"""What every run and every instance costs and hardly a test is about: pictures, alembic's scripts, waits for a disk.

Pictures are blank and of the right size: of a whole ingest that is 1.5 s of CPU time. They are drawn where the fixture
`pictures` asks for it, in the `stages` that tests of figures look at, and by commands in processes of their own.
Scripts that migrate a database are read once, and not for each of the three of an instance and for that of each run.
"""

import io
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import pytest
from alembic.config import Config
from alembic.script import ScriptDirectory
from PIL import Image
from sqlalchemy import event
from sqlalchemy.engine import Engine

from cxg_assets.ui import plots

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_draw: Callable[["Figure"], bytes] = plots.as_png


@contextmanager
def spare_drawing() -> Iterator[None]:
    """Pictures are blank inside the block."""
    with pytest.MonkeyPatch.context() as monkeypatch:
        monkeypatch.setattr(plots, "as_png", _blank)
        yield


@contextmanager
def drawing() -> Iterator[None]:
    """Pictures are drawn inside the block, whatever is around it."""
    with pytest.MonkeyPatch.context() as monkeypatch:
        monkeypatch.setattr(plots, "as_png", _draw)
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


def _blank(figure: "Figure") -> bytes:
    width, height = figure.get_size_inches() * figure.dpi
    png = io.BytesIO()
    Image.new("P", (round(width), round(height))).save(png, format="png")
    return png.getvalue()
