"""What a file of this project imports, read from its compiled code.

Not by `ast`: before Python 3.11.8 its trees cannot be made in one thread while another makes one
(https://github.com/python/cpython/issues/106905), and a session's processes have threads of Ray, Dagster and servers.
"""

from collections.abc import Iterator
from modulefinder import ModuleFinder
from pathlib import Path
from types import CodeType


def imported(file: Path) -> set[str]:
    """Modules, and names out of modules, that a file imports anywhere in it.

    Raises:
        ValueError: If it imports relatively, which this project does not.
    """
    found: set[str] = set()
    for code in _codes(compile(file.read_bytes(), file, "exec")):
        for kind, what in ModuleFinder().scan_opcodes(code):
            if kind == "relative_import":
                raise ValueError(f"{file} imports relatively")
            if kind == "absolute_import":
                names, module = what
                found |= {f"{module}.{name}" for name in names} if names else {module}
    return found


def _codes(code: CodeType) -> Iterator[CodeType]:
    yield code
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            yield from _codes(constant)
