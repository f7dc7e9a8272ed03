"""A new user's path, timed: from the wheel to the first batch of a dataset of one's own.

    python -m benchmarks.new_user [--wheel FILE] [--pool ray|local]

Six commands in a folder of their own: an environment, the package in it, a project, an edit of its subset, the ingest
to a published dataset (which first builds the demo census), a batch of it. Prints each command with its seconds. Exit
code 1 if one fails, if all take more than `MAX_SECONDS`, or if anything that is shown has the word "warning" in it.
Where pip has settings of the machine's that warn, PIP_CONFIG_FILE=/dev/null leaves them out.
"""

import argparse
import os
import re
import resource
import shlex
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[1]

MAX_SECONDS = 300.0
"""What all commands may take."""

LEAVE_OUT = ("CXG_", "DAGSTER_", "RAY_", "PYTHON", "VIRTUAL_ENV")
"""How variables begin that a new user does not have."""

EDITS = (("tissue_general == 'blood'", "tissue_general == 'lung'"), ("max_obs: null", "max_obs: 3000"))
"""What is changed in the subset that a new project has."""

BATCH = """
from cxg_assets.training import batches

batch = next(iter(batches(".cxg/store/blood_normal", batch_size=512, labels=["cell_type"])))
print(f"{len(batch.joinids)} cells, {batch.x.to_scipy().nnz:,} counts")
"""


@dataclass(frozen=True, kw_only=True)
class Step:
    """A command of the path.

    Attributes:
        words: The command.
        folder: Where it is typed, below the folder of the path.
    """

    words: tuple[str, ...]
    folder: str = "."


def steps(wheel: Path) -> tuple[Step, ...]:
    """The path."""
    sed = [word for old, new in EDITS for word in ("-e", f"s/{old}/{new}/")]
    return (
        Step(words=(sys.executable, "-m", "venv", "env")),
        Step(words=("env/bin/pip", "install", "-q", str(wheel), "-c", str(ROOT / "constraints.txt"))),
        Step(words=("env/bin/cxg-assets", "init", "my-slices")),
        Step(words=("sed", "-i", *sed, "my_slices/defs/blood_normal/defs.yaml"), folder="my-slices"),
        Step(words=("../env/bin/cxg-assets", "ingest", "blood_normal"), folder="my-slices"),
        Step(words=("../env/bin/python", "-c", BATCH), folder="my-slices"),
    )


def build_wheel(folder: Path) -> Path:
    """The wheel of this checkout."""
    pip = (sys.executable, "-m", "pip", "wheel", "-q", "--no-deps", "-w", str(folder), str(ROOT))
    subprocess.run(pip, check=True, cwd=folder)
    [wheel] = folder.glob("*.whl")
    return wheel


def shown_warnings(text: str) -> list[str]:
    """Lines of what a command has shown that warn of something."""
    return [line for line in text.splitlines() if re.search("warning", line, re.IGNORECASE)]


def walk(wheel: Path, folder: Path, pool: str) -> list[str]:
    """Goes the path and prints it. Returns what is wrong with it."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith(LEAVE_OUT)}
    environment["CXG_POOL"] = pool
    wrong: list[str] = []
    total = 0.0
    for step in steps(wheel):
        command = shlex.join(step.words) if "\n" not in step.words[-1] else "python: the first batch"
        cpu, began = _cpu_seconds(), time.monotonic()
        done = subprocess.run(
            step.words,
            cwd=folder / step.folder,
            env=environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
        )
        seconds = time.monotonic() - began
        total += seconds
        print(f"{seconds:7.1f} s  {_cpu_seconds() - cpu:7.1f} s of CPU  $ {command}")
        print("".join(f"{' ' * 33}{line}\n" for line in done.stdout.splitlines()), end="", flush=True)
        wrong += [f"{command}: {line}" for line in shown_warnings(done.stdout)]
        if done.returncode:
            return [*wrong, f"{command}: exit code {done.returncode}"]
    print(f"{total:7.1f} s  in all, {len(steps(wheel))} commands")
    if total > MAX_SECONDS:
        wrong.append(f"{total:.0f} s, {MAX_SECONDS:.0f} at most")
    return wrong


def _cpu_seconds() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def main() -> None:
    """Goes the path once."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.new_user", description=__doc__)
    parser.add_argument("--wheel", type=Path, help="default: that of this checkout, built before the clock starts")
    parser.add_argument("--pool", choices=("ray", "local"), default="ray")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="cxg-new-user-") as name:
        folder = Path(name)
        wheel = options.wheel.absolute() if options.wheel else build_wheel(folder)
        wrong = walk(wheel, folder, options.pool)
    for text in wrong:
        print(f"wrong: {text}")
    sys.exit(1 if wrong else 0)


if __name__ == "__main__":
    main()
