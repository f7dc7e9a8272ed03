"""Checks a new subset's organism, columns and labels before its YAML is written, with what is on this machine."""

from collections.abc import Sequence

from cxg_assets import settings
from cxg_assets.ingest.census.census import CensusLocator
from cxg_assets.ingest.census.release import Release
from cxg_assets.ingest.errors import BadInput, CxgError
from cxg_assets.ingest.filters.watch import FilterWatch
from cxg_assets.ingest.layout import index_path
from cxg_assets.ingest.selection.index import CensusIndex
from cxg_assets.ingest.selection.label_check import look_at_census, look_at_index, newest_index
from cxg_assets.ingest.selection.obs_rows import parse_obs_filter
from cxg_assets.ingest.storage.feather import FeatherFile, FeatherSource, feather_source
from cxg_assets.ingest.storage.probe import SHORT
from cxg_assets.resources.census import DEMO, CensusResource
from cxg_assets.resources.store import StoreResource


def check_selection(
    organism: str, value_filter: str | None, obs_columns: Sequence[str], store: StoreResource
) -> list[str]:
    """Checks against the newest census index in the default store; without one, against a Census on this machine.

    Args:
        organism: As the Census spells it.
        value_filter: SOMA filter over obs; None keeps every cell.
        obs_columns: Columns of the chunks.
        store: The default store.

    Raises:
        BadInput: The Census has no such organism; obs has not one of the columns, or no cell with one of the labels.

    Returns:
        What the filter overlooks, or that nothing could be checked and why; a line for each.
    """
    unchecked = f"{organism}, columns and labels were not checked"
    try:
        opened = store.locator().open(SHORT)
        index = newest_index(opened, organism)
        source = None if index is None else feather_source(opened, index_path(index.release.version, organism))
        census = CensusResource()
        release = census.release() if index is None and _is_on_this_machine(census) else None
    except (CxgError, FileNotFoundError) as error:
        return [f"{unchecked}: {error}"]
    if index is not None and source is not None:
        return _check_index(index, source, value_filter, obs_columns)
    if release is not None:
        return _check_census(release, census.locator(release), organism, value_filter, obs_columns)
    return [
        f"{unchecked}: there is no census index of {organism} in {opened.url}. cxg-assets doctor with the name of the "
        "subset checks them against the Census"
    ]


def _check_index(
    index: CensusIndex, source: FeatherSource, value_filter: str | None, obs_columns: Sequence[str]
) -> list[str]:
    with FeatherFile(source) as file:
        schema = file.schema
    parsed = parse_obs_filter(value_filter, obs_columns, schema)
    watch = None if parsed is None else look_at_index(source, parsed)
    return _require_labels(watch, f"the census index of build {index.release.build}")


def _check_census(
    release: Release, census: CensusLocator, organism: str, value_filter: str | None, obs_columns: Sequence[str]
) -> list[str]:
    with census.open() as opened:
        parsed = parse_obs_filter(value_filter, obs_columns, opened.obs(organism).schema)
        watch = None if parsed is None else look_at_census(opened, organism, parsed)
    return _require_labels(watch, f"the Census of build {release.build}")


def _require_labels(watch: FilterWatch | None, place: str) -> list[str]:
    if watch is None:
        return []
    unknown = watch.unknown_labels()
    if unknown:
        raise BadInput(f"value_filter: {'; '.join(unknown)}; according to {place}")
    unchecked = [f"labels of {column} were not checked: it is plain text" for column in watch.columns_of_plain_text]
    return [*watch.warnings(), *unchecked]


def _is_on_this_machine(census: CensusResource) -> bool:
    """Whether a Census can be looked at without a network, and without building the demo census."""
    if census.asked == DEMO:
        return settings.demo_census_path().exists()
    return not census.asked_version and not census.asked.startswith("s3://")
