"""What the command works on: the project's subsets, its Dagster instance, and their definitions."""

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass
from types import ModuleType

import dagster as dg
from dagster import DagsterInstance
from dagster_aws.s3 import S3Resource

import cxg_assets.defs
from cxg_assets import settings
from cxg_assets.assets.keys import chunk_plan_key
from cxg_assets.assets.upstream import latest_data_version
from cxg_assets.cli.yaml_mistakes import describe_mistakes
from cxg_assets.components.census_subset import CensusSubset
from cxg_assets.components.subset_tree import DEFS_FOLDER
from cxg_assets.ingest.dataset import read_dataset
from cxg_assets.ingest.errors import BadInput
from cxg_assets.ingest.pipeline import load_plan
from cxg_assets.ingest.plan import ChunkPlan
from cxg_assets.ingest.spec import SubsetSpec
from cxg_assets.ingest.store import Store
from cxg_assets.resources.store import StoreResource

_DAGSTER_YAML = """\
# Written by cxg-assets when this Dagster instance was made; yours to change.
telemetry:
  enabled: false
nux:
  enabled: false
# The default SQLite files in the default place, kept open: recording a chunk takes a third of the time.
event_log_storage:
  module: cxg_assets.event_log
  class: ReusingSqliteEventLogStorage
"""


@dataclass(frozen=True, kw_only=True)
class Subset:
    """A subset as its YAML says it: what it is, and where it goes (empty for the default store)."""

    spec: SubsetSpec
    destination: str


def subset_names() -> list[str]:
    """Names of the folders in `defs/` that declare something."""
    return sorted(path.parent.name for path in DEFS_FOLDER.glob("*/defs.yaml"))


def load_subset(name: str) -> Subset:
    """Reads one subset's YAML; the others may be broken.

    Raises:
        BadInput: There is no such subset, or its YAML is wrong; the message names file and line.
    """
    if name not in subset_names():
        raise BadInput(f"there is no subset {name!r} in {DEFS_FOLDER}; there are: {', '.join(subset_names())}")
    folder = DEFS_FOLDER / name
    # A tree of this folder alone: Dagster reads every YAML of a tree before it loads one.
    module = ModuleType(f"{cxg_assets.defs.__name__}.{name}")
    module.__file__ = str(folder / "__init__.py")  # Dagster asks for its folder only; it need not exist
    tree = dg.ComponentTree.from_module(module, project_root=folder)
    try:
        component = tree.load_component(folder, CensusSubset)
    except Exception as error:
        raise BadInput(describe_mistakes(folder / "defs.yaml", error)) from error
    if component.name != name:
        raise BadInput(
            f"{folder / 'defs.yaml'}: name: {component.name!r} is not the name of its folder; rename one of the two"
        )
    return Subset(spec=component.spec(), destination=component.destination)


def default_store() -> StoreResource:
    """The store resource as the UI's code location has it."""
    return StoreResource(s3=S3Resource())


@contextlib.contextmanager
def existing_instance() -> Iterator[DagsterInstance | None]:
    """The instance if there is one: to look must not make it."""
    if not (settings.dagster_home() / "dagster.yaml").exists():
        yield None
        return
    with dagster_instance() as instance:
        yield instance


def dagster_instance() -> DagsterInstance:
    """The instance that the command and the UI share; made when it is not there."""
    folder = settings.dagster_home()
    config = folder / "dagster.yaml"
    if not config.exists():
        folder.mkdir(parents=True, exist_ok=True)
        config.write_text(_DAGSTER_YAML)
    return DagsterInstance.from_config(str(folder))


def current_plan(subset: str, store: Store, instance: DagsterInstance | None) -> ChunkPlan | None:
    """The plan of a subset that is on record; on a machine that knows of none, the one that is published.

    Args:
        subset: Name of the subset.
        store: Its destination.
        instance: The Dagster instance, if there is one.

    Raises:
        CxgError: The plan or dataset.json cannot be read.
    """
    plan_id = ""
    if instance is not None:
        with contextlib.suppress(dg.Failure):
            plan_id = latest_data_version(instance, chunk_plan_key(subset))
    try:
        return load_plan(store, subset, plan_id or read_dataset(store, subset).plan_id)
    except FileNotFoundError:
        return None
