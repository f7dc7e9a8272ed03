"""Ways in which a folder in `defs/` can be wrong, and what is said of each."""

import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

HEAD = "type: cxg_assets.CensusSubset\nattributes:\n  name: {name}\n  organism: homo_sapiens\n"
"""A subset that is right."""

HOW = "a subset has `type: cxg_assets.CensusSubset`, and its attributes below `attributes:`"


@dataclass(frozen=True, kw_only=True)
class Wrong:
    """A way to be wrong.

    Attributes:
        make: Makes the folder of that path so.
        said: What is said of it, in one line; `{folder}` is the folder.
    """

    make: Callable[[Path], None]
    said: str


def declare(folder: Path, more: str = "", *, name: str = "") -> None:
    """Writes a subset that is right, but for what is added to it. It has the folder's name by default."""
    write(folder, HEAD.format(name=name or folder.name) + more)


def write(folder: Path, text: str | bytes) -> None:
    folder.mkdir()
    (folder / "defs.yaml").write_bytes(text if isinstance(text, bytes) else text.encode())


def _link(folder: Path, target: str) -> None:
    folder.mkdir()
    (folder / "defs.yaml").symlink_to(target)


def _pipe(folder: Path) -> None:
    folder.mkdir()
    os.mkfifo(folder / "defs.yaml")


KINDS = {
    "an attribute has a value that it cannot have": Wrong(
        make=lambda folder: declare(folder, "  layer: counts\n"),
        said="{folder}/defs.yaml:5: layer: 'counts' is wrong: input should be 'raw' or 'normalized'",
    ),
    "it is no YAML": Wrong(
        make=lambda folder: declare(folder, "  obs_columns: [assay\n"),
        said="{folder}/defs.yaml:6: this is not YAML: expected ',' or ']', but got '<stream end>'",
    ),
    "it has a character that YAML does not know": Wrong(
        make=lambda folder: declare(folder, "\x00"),
        said="{folder}/defs.yaml:5: this is not YAML: unacceptable character #x0000: special characters are not "
        "allowed",
    ),
    "it is nested without an end": Wrong(
        make=lambda folder: write(folder, "[" * 1_000),
        said="{folder}/defs.yaml:1: this is nested too deeply to be read",
    ),
    "its gene file is gone": Wrong(
        make=lambda folder: declare(folder, "  genes: {file: genes.txt}\n"),
        said="{folder}/defs.yaml:5: genes.file: cannot read {folder}/genes.txt: No such file or directory",
    ),
    "its gene file is a link to itself": Wrong(
        make=lambda folder: (
            declare(folder, "  genes: {file: genes.txt}\n"),
            (folder / "genes.txt").symlink_to("genes.txt"),
        )[0],
        said="{folder}/defs.yaml:5: genes.file: 'genes.txt' is not the name of a file: Symlink loop from "
        "'{folder}/genes.txt'",
    ),
    "it has the name of another": Wrong(
        make=lambda folder: declare(folder, name="good"),
        said="{folder}/defs.yaml:3: name: 'good' is not the name of its folder; rename one of the two",
    ),
    "it is empty": Wrong(
        make=lambda folder: write(folder, "# later\n"), said="{folder}/defs.yaml:1: the file is empty; " + HOW
    ),
    "its type has a slip": Wrong(
        make=lambda folder: write(folder, HEAD.format(name=folder.name).replace("Subset", "Subst", 1)),
        said="{folder}/defs.yaml:1: type: Module `cxg_assets` has no attribute `CensusSubst`; " + HOW,
    ),
    "it is not in UTF-8": Wrong(
        make=lambda folder: write(folder, HEAD.format(name=folder.name).encode() + b"  owners: [M\xfcller]\n"),
        said="{folder}/defs.yaml:5: this is not text in UTF-8; save it as UTF-8",
    ),
    "it is a folder": Wrong(
        make=lambda folder: (folder / "defs.yaml").mkdir(parents=True),
        said="{folder}/defs.yaml: this is not a file; a subset's YAML must be one",
    ),
    "it is a pipe": Wrong(make=_pipe, said="{folder}/defs.yaml: this is not a file; a subset's YAML must be one"),
    "it is a link that leads nowhere": Wrong(
        make=lambda folder: _link(folder, "gone.yaml"),
        said="{folder}/defs.yaml: this is a broken link; give it a target, or remove it",
    ),
    "it is a link to itself": Wrong(
        make=lambda folder: _link(folder, "defs.yaml"),
        said="{folder}/defs.yaml: this is a broken link; give it a target, or remove it",
    ),
    "its folder is a link that leads nowhere": Wrong(
        make=lambda folder: folder.symlink_to("gone"),
        said="{folder}: this is a broken link; give it a target, or remove it",
    ),
    "its folder is a link to itself": Wrong(
        make=lambda folder: folder.symlink_to(folder.name),
        said="{folder}: this is a broken link; give it a target, or remove it",
    ),
}
"""By what is the matter."""
