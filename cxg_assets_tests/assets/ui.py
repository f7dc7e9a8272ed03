"""What the UI shows of a platform: its own GraphQL, answered in this process."""

from collections.abc import Mapping, Sequence
from typing import Any

import dagster as dg
from dagster._core.remote_origin import InProcessCodeLocationOrigin
from dagster._core.types.loadable_target_origin import LoadableTargetOrigin
from dagster._core.workspace.context import WorkspaceProcessContext
from dagster._core.workspace.load_target import InProcessWorkspaceLoadTarget
from dagster_graphql.test.utils import execute_dagster_graphql

from cxg_assets.names import chunk_plan_key, dataset_key, filtered_subset_key, h5ad_chunks_key
from cxg_assets_tests.platforms import Platform

definitions: dg.Definitions
"""Of the platform that is asked about; Dagster loads a code location from a module."""

_STATUS = """
query ($key: AssetKeyInput!) { assetNodeOrError(assetKey: $key) { ... on AssetNode {
  partitionStats { numMaterialized numFailed numMaterializing numPartitions }
  assetPartitionStatuses { ... on DefaultPartitionStatuses {
    materializedPartitions failedPartitions unmaterializedPartitions materializingPartitions } }
  partitionKeyConnection(limit: 1000, ascending: true) { results }
} } }"""

_STALE = """asset%(n)d: assetNodeOrError(assetKey: $key%(n)d) { ... on AssetNode {
  staleStatus(partition: $partition%(n)d)
  staleCauses(partition: $partition%(n)d) { key { path } category reason dependency { path } } } }"""
"""Of the n-th asset of a question."""

Asked = tuple[dg.AssetKey, str | None]
"""An asset, and of one with partitions which."""

_LATEST = """
query ($key: AssetKeyInput!, $partitions: [String!]) { assetNodeOrError(assetKey: $key) { ... on AssetNode {
  latestMaterializationByPartition(partitions: $partitions) { partition tags { key value } } } } }"""


def _asked(platform: Platform, query: str, key: dg.AssetKey, **variables: Any) -> dict[str, Any]:
    return _answer(platform, query, {"key": {"path": key.path}, **variables})["assetNodeOrError"]


def _staleness(platform: Platform, assets: Sequence[Asked]) -> list[dict[str, Any]]:
    """What is shown of some assets, asked at once: each question loads the code location and the records anew."""
    declared = ", ".join(f"$key{n}: AssetKeyInput!, $partition{n}: String" for n in range(len(assets)))
    fields = "\n".join(_STALE % {"n": n} for n in range(len(assets)))
    variables: dict[str, Any] = {}
    for n, (key, partition) in enumerate(assets):
        variables |= {f"key{n}": {"path": key.path}, f"partition{n}": partition}
    answer = _answer(platform, f"query ({declared}) {{ {fields} }}", variables)
    return [answer[f"asset{n}"] for n in range(len(assets))]


def _answer(platform: Platform, query: str, variables: dict[str, Any]) -> Mapping[str, Any]:
    global definitions
    definitions = platform.definitions
    origin = InProcessCodeLocationOrigin(LoadableTargetOrigin(module_name=__name__, attribute="definitions"))
    target = InProcessWorkspaceLoadTarget(origin)
    with WorkspaceProcessContext(platform.instance, target, version="", read_only=True) as process:
        context = process.create_request_context()
        return execute_dagster_graphql(context, query, variables).data


def statuses(platform: Platform) -> dict[str, str]:
    """What the asset page shows of each partition of the chunks, in the order of the launch dialog's ranges."""
    node = _asked(platform, _STATUS, h5ad_chunks_key(platform.spec.name))
    # The page lists a failed partition among those that are not materialized, too, and shows it as failed.
    shown = {
        key: kind.upper()
        for kind in ("materialized", "unmaterialized", "failed", "materializing")
        for key in node["assetPartitionStatuses"][f"{kind}Partitions"]
    }
    keys = node["partitionKeyConnection"]["results"]
    assert sorted(shown) == sorted(keys)
    stats = node["partitionStats"]
    counts = [list(shown.values()).count(kind) for kind in ("MATERIALIZED", "FAILED", "MATERIALIZING")]
    assert [stats["numMaterialized"], stats["numFailed"], stats["numMaterializing"]] == counts
    assert stats["numPartitions"] == len(keys)
    return {key: shown[key] for key in keys}


def causes(platform: Platform, key: dg.AssetKey, partition: str | None = None) -> list[str]:
    """Why the UI shows an asset as stale: categories of causes, or that it is missing. Empty when it is fresh."""
    [node] = _staleness(platform, [(key, partition)])
    return _categories(node)


def _categories(node: dict[str, Any]) -> list[str]:
    found = sorted({cause["category"] for cause in node["staleCauses"]})
    if node["staleStatus"] == "MISSING":
        return ["MISSING"]
    assert node["staleStatus"] == ("STALE" if found else "FRESH")
    return found


def reasons(platform: Platform, key: dg.AssetKey, partition: str | None = None) -> list[str]:
    """What the UI lists when one points at *Unsynced*; `MISSING` for what was never materialized."""
    [node] = _staleness(platform, [(key, partition)])
    told: list[str] = []
    for cause in node["staleCauses"]:
        reason, dependency = cause["reason"], "/".join((cause["dependency"] or {"path": []})["path"])
        if not dependency:
            told.append(f"{'/'.join(cause['key']['path'])} {reason}")
        else:
            told.append(reason if reason.endswith(dependency) else f"{dependency} {reason}")
    return ["MISSING"] if node["staleStatus"] == "MISSING" else told


def stale_assets(platform: Platform, chunks: Sequence[str] = ("00000", "00003")) -> dict[str, list[str]]:
    """Causes by asset or chunk, of those of a subset that the UI does not show as fresh."""
    name = platform.spec.name
    asked: dict[str, Asked] = {key.path[-1]: (key, None) for key in (filtered_subset_key(name), chunk_plan_key(name))}
    asked |= {chunk: (h5ad_chunks_key(name), chunk) for chunk in chunks}
    asked["dataset"] = (dataset_key(name), None)
    nodes = _staleness(platform, list(asked.values()))
    found = {shown: _categories(node) for shown, node in zip(asked, nodes, strict=True)}
    return {key: value for key, value in found.items() if value}


def data_versions(platform: Platform) -> dict[str, str]:
    """Data version that the UI shows of each chunk."""
    keys = [chunk.key for chunk in platform.plan.chunks]
    node = _asked(platform, _LATEST, h5ad_chunks_key(platform.spec.name), partitions=keys)
    tags = {
        event["partition"]: {tag["key"]: tag["value"] for tag in event["tags"]}
        for event in node["latestMaterializationByPartition"]
        if event is not None
    }
    return {partition: of_event["dagster/data_version"] for partition, of_event in tags.items()}
