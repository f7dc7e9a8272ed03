"""Opens Dagster instances from many processes at the same moment. It is a program too, started by `open_at_once`.

It forks processes that have imported everything already, which a test run with threads of its own could not do safely.
"""

import json
import multiprocessing as mp
import os
import subprocess
import sys
import traceback
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal

Way = Literal["command", "dagster"]
"""How a process opens an instance: as `cxg-assets` does, or as Dagster's daemon and code servers do."""


def open_at_once(rounds: Sequence[tuple[Path, Sequence[Way]]]) -> list[list[str]]:
    """Opens one instance after the other, each from many processes at once.

    Args:
        rounds: For each instance its folder, and how each process opens it.

    Returns:
        For each instance what each process had to say; empty for one that read from it without an error.
    """
    asked = json.dumps([[str(home), list(ways)] for home, ways in rounds])
    command = [sys.executable, "-W", "ignore", "-m", __name__]
    done = subprocess.run(command, input=asked, capture_output=True, text=True, check=True)
    return json.loads(done.stdout)


def _answer() -> None:
    # Everything is imported before the processes part.
    import alembic.command
    from dagster import DagsterInstance

    from cxg_assets.cli.project import dagster_instance

    assert alembic.command is not None
    context = mp.get_context("fork")

    def use(home: str, way: Way, start: Any, said: Any) -> None:
        os.environ["DAGSTER_HOME"] = home
        start.wait()
        try:
            with dagster_instance() if way == "command" else DagsterInstance.from_config(home) as instance:
                instance.get_runs(limit=1)
                instance.all_asset_keys()
                instance.all_instigator_state()
            said.put("")
        except BaseException:  # noqa: BLE001 - whatever it is, the test is to hear of it
            said.put(traceback.format_exc())

    answers = []
    for home, ways in json.load(sys.stdin):
        start, said = context.Barrier(len(ways)), context.Queue()
        processes = [context.Process(target=use, args=(home, way, start, said)) for way in ways]
        for process in processes:
            process.start()
        answers.append([said.get(timeout=60) for _ in processes])
        for process in processes:
            process.join()
    json.dump(answers, sys.stdout)


if __name__ == "__main__":
    _answer()
