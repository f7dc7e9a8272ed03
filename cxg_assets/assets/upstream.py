"""What an asset was last made as: the data version is the name under which the store holds it."""

import dagster as dg
from dagster import DagsterInstance

DATA_VERSION_TAG = "dagster/data_version"


def latest_data_version(instance: DagsterInstance, key: dg.AssetKey) -> str:
    """Data version of an asset's latest materialization.

    Raises:
        Failure: It was never materialized.
    """
    event = instance.get_latest_materialization_event(key)
    tags = {} if event is None or event.asset_materialization is None else event.asset_materialization.tags or {}
    if DATA_VERSION_TAG not in tags:
        raise dg.Failure(f"{key.to_user_string()} was never materialized; materialize it first", allow_retries=False)
    return tags[DATA_VERSION_TAG]


def provenance_tags(instance: DagsterInstance, spec: dg.AssetSpec) -> dict[str, str]:
    """The tags by which Dagster tells whether a logged materialization is stale.

    Dagster sets them itself for an asset's own output, not for events that a step logs. Valid for upstream assets
    without partitions. Call it once, before the work: it says what the work was based on.

    Args:
        instance: Where the upstream materializations are.
        spec: The asset that is logged; its code_version and deps count.
    """
    tags = {"dagster/data_version_is_user_provided": "true"}
    if spec.code_version is not None:
        tags["dagster/code_version"] = spec.code_version
    for dep in spec.deps:
        records = instance.fetch_materializations(dep.asset_key, limit=1).records
        event = records[0].asset_materialization if records else None
        version = (event.tags or {}).get(DATA_VERSION_TAG, "INITIAL") if event is not None else "INITIAL"
        name = dep.asset_key.to_user_string()
        tags[f"dagster/input_data_version/{name}"] = version
        tags[f"dagster/input_event_pointer/{name}"] = str(records[0].storage_id) if records else "NULL"
    return tags
