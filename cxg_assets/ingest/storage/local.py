"""Files of a folder destination, where obstore's local store is not enough.

obstore writes aside (`name#1`) and renames. A process that is killed meanwhile leaves what it wrote, and obstore's
listing does not show that.
"""

import contextlib
import os
import re
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from obstore.exceptions import AlreadyExistsError, BaseError

_STAGED = re.compile(r"#\d+$")


@dataclass(frozen=True)
class Listed:
    """What a listing says of an object: its size, and when it was stored (UTC)."""

    n_bytes: int
    modified: datetime


def create_file(folder: Path, path: str, data: bytes, store: Any) -> bool:
    """Creates a file of a folder with its whole content, unless there is one; returns whether there was none.

    Until it is whole the file has no name at all, so that nothing is left of it when the process is killed. obstore's
    store of the folder does it on file systems and systems that know no files without names.
    """
    file = folder / path.lstrip("/")
    if file.is_dir():
        raise IsADirectoryError(f"Is a directory: {file}")
    file.parent.mkdir(parents=True, exist_ok=True)
    with contextlib.ExitStack() as stack:
        parent = os.open(file.parent, os.O_RDONLY)
        stack.callback(os.close, parent)
        try:
            # EOPNOTSUPP, EISDIR and ENOENT are how file systems and kernels say that they do not know O_TMPFILE.
            nameless = os.open(file.parent, os.O_TMPFILE | os.O_WRONLY, 0o666)
        except (AttributeError, OSError):
            return _create_aside(path, data, store)
        opened = stack.enter_context(os.fdopen(nameless, "wb"))
        opened.write(data)
        opened.flush()
        try:
            # With dst_dir_fd Python follows the link to the file itself, which it does not without.
            os.link(f"/proc/self/fd/{nameless}", file.name, dst_dir_fd=parent)
        except FileExistsError:
            return False
        except OSError:
            return _create_aside(path, data, store)
    return True


def _create_aside(path: str, data: bytes, store: Any) -> bool:
    try:
        store.put(path, data, mode="create", use_multipart=False)
    except AlreadyExistsError:
        return False
    except BaseError:
        # A file system without hard links can still rename. What is wrong otherwise is told by this second put.
        store.put(path, data, use_multipart=False)
    return True


def staged_files(folder: Path, prefix: str) -> dict[str, Listed]:
    """What writers that were killed, or still write, have put aside below a prefix, by path relative to `folder`."""
    found: dict[str, Listed] = {}
    for file in sorted((folder / prefix).rglob("*#*")):
        if is_staged(file.name):
            with contextlib.suppress(FileNotFoundError):  # it has got its name meanwhile
                facts = file.stat()
                modified = datetime.fromtimestamp(facts.st_mtime, UTC)
                found[file.relative_to(folder).as_posix()] = Listed(facts.st_size, modified)
    return found


def is_staged(path: str) -> bool:
    """Whether a path is that of a file which obstore has put aside."""
    return _STAGED.search(path) is not None


def remove_staged(file: Path) -> None:
    """Removes a file that was put aside, and its folder if that is empty then."""
    file.unlink()
    with contextlib.suppress(OSError):
        file.parent.rmdir()
