"""Other processes of this machine, as Linux tells of them in /proc. Elsewhere there is nothing to see."""

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

_PROC = Path("/proc")

_SHOWN = 200
"""Characters of a command line that are shown."""

_LISTENING = "0A"


@dataclass(frozen=True, kw_only=True)
class Process:
    """A process.

    Attributes:
        pid: Its id.
        arguments: Its command line.
    """

    pid: int
    arguments: tuple[str, ...]

    def __str__(self) -> str:
        """How a message names it."""
        return f"process {self.pid} ({' '.join(self.arguments)[:_SHOWN]})"


def listening_on(port: int) -> Process | None:
    """Who listens on a TCP port; None where that cannot be told, as of a process of another user."""
    sockets = {f"socket:[{inode}]" for inode in _inodes(port)}
    for process in _processes():
        try:
            if any(os.readlink(file) in sockets for file in (_PROC / str(process.pid) / "fd").iterdir()):
                return process
        except OSError:  # another user's, or it has ended
            continue
    return None


def daemons_of(dagster_home: Path) -> list[Process]:
    """Dagster's daemons that run on the instance in a folder, as far as this user may know."""
    return [process for process in _processes() if _is_daemon(process) and _home_of(process) == dagster_home.resolve()]


def descendants_of(pid: int) -> list[int]:
    """Ids of a process's children, of theirs, and so on; without those that have ended and wait to be reaped."""
    parents: dict[int, int] = {}
    ended: set[int] = set()
    for folder in _folders():
        try:
            state, parent = (folder / "stat").read_text().rpartition(")")[2].split()[:2]
        except OSError:
            continue
        parents[int(folder.name)] = int(parent)
        if state in "ZX":
            ended.add(int(folder.name))
    found, latest = set[int](), {pid}
    while latest:
        latest = {child for child, parent in parents.items() if parent in latest}
        found |= latest
    return sorted(found - ended)


def _folders() -> list[Path]:
    return [folder for folder in _PROC.glob("[0-9]*") if folder.name.isdigit()]


def _processes() -> Iterator[Process]:
    for folder in _folders():
        try:
            words = (folder / "cmdline").read_text(errors="replace").split("\0")
        except OSError:
            continue
        yield Process(pid=int(folder.name), arguments=tuple(words[:-1]))


def _is_daemon(process: Process) -> bool:
    return "dagster._daemon" in process.arguments or any(
        Path(word).name == "dagster-daemon" for word in process.arguments[:2]
    )


def _home_of(process: Process) -> Path | None:
    try:
        variables = (_PROC / str(process.pid) / "environ").read_text(errors="replace").split("\0")
    except OSError:
        return None
    for variable in variables:
        name, _, value = variable.partition("=")
        if name == "DAGSTER_HOME":
            return Path(value).resolve()
    return None


def _inodes(port: int) -> set[str]:
    """Inodes of the sockets that listen on a port, on whichever address."""
    found: set[str] = set()
    for name in ("tcp", "tcp6"):
        try:
            lines = (_PROC / "net" / name).read_text().splitlines()[1:]
        except OSError:
            continue
        for line in lines:
            _, local, _, state, *_, inode = line.split()[:10]
            if state == _LISTENING and int(local.rpartition(":")[2], 16) == port:
                found.add(inode)
    return found
