"""What runs over chunks said of themselves, as the Dagster instance has it."""

import dagster as dg
from dagster import DagsterInstance

from cxg_assets.ingest.chunks.report import RunSummary
from cxg_assets.names import h5ad_chunks_key
from cxg_assets.ui.metadata import summary_from

LOOK_BACK = 100
"""Runs that are looked at: those that wrote nothing are passed over."""


def summary_of(instance: DagsterInstance, run_id: str) -> RunSummary | None:
    """What a run over chunks said of itself; None when it ended before it could.

    Looked up by the run: the asset's latest observation may be that of another run, which ended meanwhile.
    """
    records = instance.get_records_for_run(run_id, of_type=dg.DagsterEventType.ASSET_OBSERVATION).records
    observation = records[-1].event_log_entry.asset_observation if records else None
    return None if observation is None else summary_from(observation.metadata)


def last_writing_run(instance: DagsterInstance, subset: str) -> RunSummary | None:
    """What the last run said that wrote a chunk of a subset; None when there is none."""
    records = instance.fetch_observations(h5ad_chunks_key(subset), limit=LOOK_BACK).records
    observations = (record.asset_observation for record in records)
    summaries = (summary_from(observation.metadata) for observation in observations if observation is not None)
    return next((summary for summary in summaries if summary.n_files), None)
