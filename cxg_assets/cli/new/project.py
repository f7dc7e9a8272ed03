"""`cxg-assets init`: a project of one's own, where subsets lie outside the package."""

import re
from collections.abc import Iterator
from pathlib import Path
from string import Template

import click

from cxg_assets.cli.new.subset import schema_text
from cxg_assets.components.commented_yaml import subset_yaml
from cxg_assets.ingest.errors import BadInput, shown
from cxg_assets.project_folder import LOCAL_FOLDER

SUBSET = "blood_normal"
"""The subset that a new project has to begin with."""

_VALUE_FILTER = "tissue_general == 'blood' and disease == 'normal' and is_primary_data == True"
_CHUNK_SIZE = 1000
"""Small, so that the demo census has some chunks to show."""

_PACKAGE_NAME = re.compile(r"[a-z][a-z0-9_]*")
_TEMPLATES = Path(__file__).parent / "project_files"


def write_project(folder: Path) -> None:
    """Writes a project: `defs/` with one subset, pyproject.toml, workspace.yaml and README.md.

    Raises:
        BadInput: The folder's name makes no name of a package, or it is there and not empty; nothing was written.
    """
    folder = folder.absolute()
    package = re.sub(r"[^a-z0-9]+", "_", folder.name.lower()).strip("_")
    if not _PACKAGE_NAME.fullmatch(package):
        raise BadInput(f"{shown(folder.name)} makes no name of a Python package; begin the folder's name with a letter")
    if package == "cxg_assets":
        raise BadInput(f"{shown(folder.name)} is the name of this package; choose another")
    if folder.exists() and not (folder.is_dir() and not any(folder.iterdir())):
        raise BadInput(f"{folder} is there and not empty; choose another name, or empty it")
    try:
        for path, text in _files(folder.name, package):
            file = folder / path
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(text, encoding="utf-8")
        (folder / LOCAL_FOLDER).mkdir()  # what makes it a project, also below another one
    except OSError as error:
        raise BadInput(f"{folder}: it cannot be written: {error.strerror or error}") from error
    click.echo(f"{folder}: a project with the subset {SUBSET}, in {package}/defs/{SUBSET}/defs.yaml")
    click.echo(f"Try it: cd {folder}; cxg-assets ingest {SUBSET} --max-obs 1000; cxg-assets ui")


def _files(name: str, package: str) -> Iterator[tuple[str, str]]:
    """Paths in the project and what is in the files."""
    values = {"name": name, "package": package, "subset": SUBSET}
    for template in ("pyproject.toml", "workspace.yaml", "README.md", "gitignore"):
        text = Template((_TEMPLATES / template).read_text(encoding="utf-8")).substitute(values)
        yield template.replace("gitignore", ".gitignore"), text
    yield f"{package}/__init__.py", f'"""Subsets of the CELLxGENE Census: {name}."""\n'
    yield f"{package}/defs/__init__.py", '"""A folder for each subset; Python files beside them are loaded too."""\n'
    yield f"{package}/defs/subset.schema.json", schema_text() + "\n"
    yield f"{package}/defs/{SUBSET}/defs.yaml", subset_yaml(SUBSET, value_filter=_VALUE_FILTER, chunk_size=_CHUNK_SIZE)
