"""How the processes of pytest share the tests: what stays together, and what comes first."""

from collections import Counter

import pytest
from xdist.scheduler import LoadFileScheduling

TOGETHER = ("chaos", "e2e", "faults")
"""Folders whose tests share what takes long to start, and run in one process; elsewhere a file's tests do."""

STACK = (*TOGETHER, "public")
"""Folders all of whose tests are marked `stack`: they need whole systems, or programs and servers beside the tests'
own for every ingest."""

STACK_FIXTURES = ("ray_session", "stages")
"""Fixtures of which the same is true of every test that has one, also by others: a Ray, and runs of a Dagster
instance."""


def together(nodeid: str) -> str:
    """What runs in one process with a test: its folder or its file."""
    file = nodeid.partition("::")[0]
    folder = file.rpartition("/")[0]
    return folder if folder.rpartition("/")[2] in TOGETHER else file


def put_long_ones_first(items: list[pytest.Item]) -> None:
    """Sorts tests so that no process is left alone at the end with what takes minutes, most of which is waiting."""
    sizes = Counter(together(item.nodeid) for item in items)
    stacks = {together(item.nodeid) for item in items if item.get_closest_marker("stack")}

    def turn(item: pytest.Item) -> tuple[bool, bool, int]:
        scope = together(item.nodeid)
        return scope.endswith(".py"), scope not in stacks, -sizes[scope]

    items.sort(key=turn)


class TogetherScheduling(LoadFileScheduling):
    """Gives each process what runs together, in the order of the tests."""

    def _split_scope(self, nodeid: str) -> str:
        return together(nodeid)
