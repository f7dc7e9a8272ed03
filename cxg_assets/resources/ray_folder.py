"""The folder of a Ray that a run starts: Ray's sockets lie there, and the path of a socket is short."""

import os
from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path

from cxg_assets.ingest.errors import BadInput
from cxg_assets.ingest.storage.scratch import scratch_folder

PREFIX = "cxg-ray-"
"""Of folders that are made for a Ray, and removed with it."""

_SOCKET = "session_2026-01-01_00-00-00_000000_4194304/sockets/plasma_store"
"""Ray's longest one: date, microseconds and the largest process id of Linux are always as long."""

_NAME = f"{PREFIX}12345678"
"""A folder's name is as long as this."""


def folder_for_ray() -> AbstractContextManager[Path | None]:
    """A short folder where the one that Ray would take is too long for sockets, and None where it is not.

    Raises:
        BadInput: No folder is short enough.
    """
    from ray._common.utils import get_default_ray_temp_dir

    default = Path(get_default_ray_temp_dir())
    if fits(default):
        return nullcontext()
    others = ("/tmp", "/var/tmp", "/dev/shm", os.environ.get("XDG_RUNTIME_DIR", ""))
    return scratch_folder(short_folder(default, [Path(name) for name in others if name]), PREFIX)


def short_folder(default: Path, others: Sequence[Path]) -> Path:
    """The first folder in which Ray can have one of its own.

    Args:
        default: The one that is too long.
        others: Those to look at.

    Raises:
        BadInput: In none of them.
    """
    for folder in others:
        if folder.is_dir() and os.access(folder, os.W_OK | os.X_OK) and fits(folder / _NAME):
            return folder
    variable = "RAY_TMPDIR" if "RAY_TMPDIR" in os.environ else "TMPDIR"
    raise BadInput(
        f"{variable}: {default.parent!s:.200} is too long a path for Ray's sockets, and none of "
        f"{', '.join(map(str, others))} can be used instead; set RAY_TMPDIR to a folder with a shorter path"
    )


def fits(folder: Path) -> bool:
    """Whether Ray can make its sockets in a folder."""
    from ray._private.utils import validate_socket_filepath

    try:
        validate_socket_filepath(str(folder / _SOCKET))
    except OSError:
        return False
    return True
