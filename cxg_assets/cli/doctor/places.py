"""What `cxg-assets doctor` looks at besides the machine: Dagster's instance, the destination, the Census, the plan."""

from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import dagster as dg
from dagster import DagsterInstance

from cxg_assets import settings
from cxg_assets.cli.project import Subset, load_subsets
from cxg_assets.ingest.census.release import Release
from cxg_assets.ingest.chunks.memory import file_bytes
from cxg_assets.ingest.errors import BadInput, CxgError
from cxg_assets.ingest.finding import Finding
from cxg_assets.ingest.plan.chunk_plan import Chunk, PlanHeader
from cxg_assets.ingest.plan.preflight import preflight
from cxg_assets.ingest.plan.stored import stored_sizes
from cxg_assets.ingest.quantities import counted
from cxg_assets.ingest.storage.probe import SHORT, lacking, probe
from cxg_assets.ingest.storage.store import StoreLocator
from cxg_assets.instance.mixed_builds import refuse_mixed_builds
from cxg_assets.instance.opening import open_instance
from cxg_assets.instance.provenance import current_plan
from cxg_assets.resources.census import DEMO, CensusResource
from cxg_assets.resources.store import StoreResource


@dataclass(frozen=True)
class Planned:
    """A plan, and which of its chunks are not stored."""

    header: PlanHeader
    chunks: tuple[Chunk, ...]
    missing: tuple[Chunk, ...]

    def nnz(self, chunk: Chunk) -> int:
        """Non-zeros of a chunk's file at most: obs counts those of all genes, a cell has one for each gene at most."""
        return min(chunk.nnz, chunk.n_obs * self.header.subset.n_vars)

    @property
    def missing_bytes(self) -> int:
        """About the size of the files that are not stored."""
        header = self.header
        genes = (header.subset.n_vars, header.compression, header.genes_text, header.format)
        n_layers, n_features = 1 + len(header.further_layers), header.n_features
        return sum(
            file_bytes(self.nnz(chunk), *genes, n_layers=n_layers, n_obsm=chunk.n_obs * n_features)
            for chunk in self.missing
        )


def check_yaml() -> list[Finding]:
    """Whether the YAML of every subset can be loaded: a finding for each mistake, and one for those that can."""
    try:
        subsets, mistakes = load_subsets()
    except BadInput as error:
        return [Finding.failed("yaml", str(error))]
    wrong = [Finding.failed("yaml", mistake) for mistake in mistakes]
    names = ", ".join(subset.spec.name for subset in subsets) or "none"
    return [*wrong, Finding(where="yaml", what=f"subsets that can be made: {names}")]


def check_dagster(folder: Path, stack: ExitStack) -> tuple[Finding, DagsterInstance | None]:
    """Whether the Dagster instance's folder can be written and, if there is an instance, opened. Leaves nothing.

    Args:
        folder: The instance's folder.
        stack: Closes the instance.

    Returns:
        The finding, and the instance if there is a sound one: to look must not make one.
    """
    version = f"Dagster {dg.__version__}"
    try:
        probe(StoreLocator(url=folder.as_uri()))
        if not (folder / "dagster.yaml").exists():
            return Finding(where="dagster", what=f"{version}; the first run creates its instance in {folder}"), None
        instance = stack.enter_context(open_instance(folder))
        instance.get_runs(limit=1)
    except Exception as error:  # noqa: BLE001 - a dagster.yaml can name any class, which can raise anything
        reason = str(error).removeprefix("destination: ") or type(error).__name__
        return Finding.failed("dagster", reason), None
    return Finding(where="dagster", what=f"{version}, instance in {folder}"), instance


def check_destination(store: StoreResource, url: str = "") -> tuple[list[Finding], StoreLocator | None]:
    """Whether a store can be listed, written, read and cleaned up.

    Args:
        store: The default store, and how S3 is reached.
        url: The destination; empty for the default store.

    Returns:
        The findings, and the store if it can be used.
    """
    try:
        proven = probe(store.locator(url))
    except CxgError as error:
        return [Finding.failed("destination", error)], None
    shown = f"{proven.url}: written, read and cleaned up"
    return [Finding(where="destination", what=shown), *lacking(proven)], proven


def check_census(census: CensusResource) -> tuple[Finding, Release | None]:
    """Which build of the Census is in use. A demo census that is not there is not built."""
    if census.asked == DEMO and not settings.demo_census_path().exists():
        text = "neither CXG_CENSUS_VERSION nor CXG_CENSUS_URI is set: the next run builds the demo census"
        return Finding.warned("census", text), None
    try:
        release = census.release()
    except CxgError as error:
        return Finding.failed("census", error), None
    cells = f"{release.total_cell_count:,} cells, " if release.total_cell_count else ""
    return Finding(where="census", what=f"{release.name}: build {release.build}, {cells}{release.uri}"), release


def check_selection(
    subset: Subset,
    census: CensusResource,
    release: Release,
    locator: StoreLocator,
    default: StoreLocator | None,
    instance: DagsterInstance | None,
) -> list[Finding]:
    """Whether a subset fits the Census, as a run's preflight sees it, and its build is the one that was in use.

    Args:
        subset: The subset.
        census: Which Census.
        release: The build that it is now.
        locator: The subset's destination.
        default: The default store, if it can be used: an index in it tells how many cells the filter overlooks.
        instance: The Dagster instance, if there is one.
    """
    spec = subset.spec
    try:
        refuse_mixed_builds(release, spec, instance, locator.open(SHORT))
    except CxgError as error:
        return [Finding.failed("subset", error)]
    return preflight(spec, census.locator(release), release, default and default.open(SHORT))


def check_plan(subset: str, locator: StoreLocator, instance: DagsterInstance | None) -> tuple[Finding, Planned | None]:
    """How much of a subset's plan is stored, if it has one.

    Args:
        subset: Name of the subset.
        locator: Its destination.
        instance: The Dagster instance, if there is one.
    """
    store = locator.open(SHORT)
    none = Finding(where="plan", what=f"{subset} is not planned yet; {store.follow_up('ingest', subset)} does that")
    try:
        plan = current_plan(subset, store, instance)
        if plan is None:
            return none, None
        stored = stored_sizes(store, plan)
    except CxgError as error:
        return Finding.failed("plan", error), None
    missing = tuple(chunk for chunk in plan.chunks if chunk.key not in stored)
    text = f"{plan.header.plan_id}: {counted(len(plan.chunks), 'chunk')}, {len(missing):,} not stored"
    return Finding(where="plan", what=text), Planned(plan.header, plan.chunks, missing)
