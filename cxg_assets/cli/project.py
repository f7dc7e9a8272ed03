"""What the command works on: the project's subsets, its Dagster instance, and their definitions."""

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from dagster import DagsterInstance
from dagster_aws.s3 import S3Resource

from cxg_assets import settings
from cxg_assets.cli.terminal.teller import Teller
from cxg_assets.components.defs_folder import defs_folder, subset_folders, subsets_in, yaml_of
from cxg_assets.components.subset_tree import load_component
from cxg_assets.demo import DEMO_SIZE, build_census, build_once
from cxg_assets.ingest.census.cpu import require_cpu
from cxg_assets.ingest.census.release import Release
from cxg_assets.ingest.errors import BadInput, shown
from cxg_assets.ingest.spec import SubsetSpec
from cxg_assets.instance.opening import open_instance
from cxg_assets.resources.census import CensusResource
from cxg_assets.resources.store import StoreResource


@dataclass(frozen=True, kw_only=True)
class Subset:
    """A subset as its YAML says it: what it is, and where it goes (empty for the default store)."""

    spec: SubsetSpec
    destination: str


def subset_names() -> list[str]:
    """Names of the subsets that folders in `defs/` declare, also of those that declare it wrongly.

    Raises:
        BadInput: The folder cannot be read.
    """
    return list(_folders())


def _folders() -> dict[str, Path]:
    """The folder that declares each subset."""
    folders: dict[str, Path] = {}
    for folder in subset_folders(defs_folder()):
        for name in subsets_in(folder):
            folders.setdefault(name, folder)
    return folders


def load_subset(name: str) -> Subset:
    """Reads one subset's YAML; the others may be broken.

    Raises:
        BadInput: There is no such subset, or its YAML is wrong; the message names file and line.
    """
    folders = _folders()
    if name not in folders:
        names = ", ".join(folders)
        raise BadInput(f"there is no subset {shown(name)} in {defs_folder()}; the subsets are: {names}")
    component = load_component(folders[name])
    specs = {spec.name: spec for spec in component.specs()}
    if name not in specs:
        file = yaml_of(folders[name])
        raise BadInput(f"{file}: organisms: write the list itself; a template hides how the subsets are named")
    return Subset(spec=specs[name], destination=component.destination)


def load_subsets() -> tuple[list[Subset], list[str]]:
    """Reads the YAML of every subset: those that are right, and a line for each mistake in the others.

    Raises:
        BadInput: The folder of the subsets cannot be read.
    """
    subsets: list[Subset] = []
    mistakes: list[str] = []
    for name in subset_names():
        try:
            subsets.append(load_subset(name))
        except BadInput as error:
            # Those of a YAML of several organisms are told once.
            mistakes += [line for line in str(error).splitlines() if line not in mistakes]
    return subsets, mistakes


def default_store(given: str | None = None) -> StoreResource:
    """The store resource as the UI's code location has it.

    Args:
        given: The command's `--destination`, which messages repeat in the commands that they name.
    """
    return StoreResource(s3=S3Resource(), given=given or "")


def look_up_release(census: CensusResource, teller: Teller) -> Release:
    """The release of a Census; builds the demo census first, where that is asked for and not there.

    Raises:
        BadInput: There is no such release, or no Census at its URI.
        CxgError: It cannot be looked up or read.
    """
    path = settings.demo_census_path()
    if census.is_demo and not path.exists():
        require_cpu()
        with teller.count("building the demo census, once", None, "cells") as count:
            build_once(path, partial(build_census, **DEMO_SIZE, on_progress=count.to))
    teller.step("looking up the release of the Census")
    return census.release()


@contextlib.contextmanager
def existing_instance() -> Iterator[DagsterInstance | None]:
    """The instance if there is one: to look must not make it."""
    if not (settings.dagster_home() / "dagster.yaml").exists():
        yield None
        return
    with dagster_instance() as instance:
        yield instance


def dagster_instance() -> DagsterInstance:
    """The instance that the command and the UI share; made when it is not there.

    Raises:
        CxgError: It cannot be made or opened; the message says what to do.
    """
    return open_instance(settings.dagster_home())
