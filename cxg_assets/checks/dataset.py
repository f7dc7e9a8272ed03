"""The checks of a dataset: those that it must pass to be published, and one of what is published."""

from collections.abc import Iterator

import dagster as dg
from dagster import DagsterInstance

from cxg_assets.checks.check import Check, Found, results
from cxg_assets.checks.index import ROW_COUNT
from cxg_assets.checks.on_record import require_passed
from cxg_assets.checks.plan import COVERS_SUBSET
from cxg_assets.checks.release import NOT_RETRACTED
from cxg_assets.checks.subset import NOT_EMPTY, PRIMARY_ONLY
from cxg_assets.ingest.dataset.manifest import read_manifest, total
from cxg_assets.ingest.plan.chunk_plan import PlanHeader, landed_sizes, load_plan
from cxg_assets.ingest.plan.published import read_dataset
from cxg_assets.ingest.storage.follow_up import follow_up
from cxg_assets.ingest.verify.audit import Audit, Fact
from cxg_assets.ingest.verify.chunks import N_CELLS, N_COMPARED, N_SAMPLED, SAMPLED_BYTES, ChunkAudits
from cxg_assets.instance.step_failures import as_failure
from cxg_assets.names import (
    CENSUS_RELEASE,
    census_index_key,
    chunk_plan_key,
    dataset_key,
    filtered_subset_key,
    ingest_job_name,
)
from cxg_assets.resources.store import StoreResource

_SAMPLE = (
    f"Looks at up to {N_SAMPLED} chunks and {SAMPLED_BYTES // 2**20} MiB, drawn by the plan's id; the result names "
    "them. cxg-assets verify looks at all."
)

ALL_LANDED = Check(
    name="all_chunks_landed",
    description="Every chunk of the plan is at the destination, with the fingerprint and the size that were reported. "
    "One listing.",
)
MANIFEST_SUMS = Check(
    name="manifest_sums_to_subset",
    description="The chunks' cells, as reported, add up to the subset's, and all have its number of genes.",
)
CHECKSUMS = Check(name="checksums", description=f"Files have the SHA-256 that was reported. {_SAMPLE}")
GENE_ORDER = Check(
    name="gene_order_equal", description=f"Files have the genes of the subset, in its order, in their var. {_SAMPLE}"
)
EQUALS_CENSUS = Check(
    name="cells_equal_census",
    description=f"{N_CELLS} cells in a row of each of {N_COMPARED} chunks are in obs, var and X what "
    "cellxgene_census.get_anndata returns for them. The chunks are drawn by the plan's id; the result names them. "
    "cxg-assets verify --deep compares all cells.",
)
GATE = (ALL_LANDED, MANIFEST_SUMS, CHECKSUMS, GENE_ORDER, EQUALS_CENSUS)
"""Run inside the step that publishes, before it does; so they hold however it is launched."""

FILES_ARE_THERE = Check(
    name="published_files_are_there",
    description="What dataset.json points to is there: each file of the manifest with its size, and their sums are "
    "those of dataset.json. Can be executed at any time.",
    blocking=False,
)


def gate_found(audits: ChunkAudits) -> Found:
    """The checks that a dataset must pass, and what each has found."""
    found = (audits.landed, audits.manifest, audits.checksums, audits.gene_order, audits.cells)
    return list(zip(GATE, found, strict=True))


def require_upstream_passed(instance: DagsterInstance, header: PlanHeader) -> None:
    """Makes sure that the blocking checks of what a plan was made from have passed.

    Args:
        instance: Where their evaluations are.
        header: The plan's.

    Raises:
        Failure: One has failed, or has not looked at this release, subset or plan.
    """
    index, subset = census_index_key(header.selection.organism), filtered_subset_key(header.subset)
    advice = f"run the job {ingest_job_name(header.subset)}, or execute the check"
    made_from = {
        ROW_COUNT.key(index): header.release.version,
        NOT_EMPTY.key(subset): header.subset_fingerprint,
        PRIMARY_ONLY.key(subset): header.subset_fingerprint,
        COVERS_SUBSET.key(chunk_plan_key(header.subset)): header.plan_id,
    }
    require_passed(instance, made_from, advice)
    # Whoever makes an index without observing the release has just looked it up; that refuses retracted ones.
    require_passed(instance, {NOT_RETRACTED.key(CENSUS_RELEASE): header.release.version}, advice, evaluated=False)


def build_published_check(subset: str, destination: str) -> dg.AssetChecksDefinition:
    """The check of what is published.

    Args:
        subset: Name of the subset.
        destination: URL of its store; empty for the default store.
    """
    key = dataset_key(subset)

    @dg.multi_asset_check(name=f"{subset}_published_checks", specs=[FILES_ARE_THERE.spec(key)])
    def published_checks(store: StoreResource) -> Iterator[dg.AssetCheckResult]:
        with as_failure():
            opened = store.locator(destination).open()
            published = read_dataset(opened, subset)
            sizes = landed_sizes(opened, load_plan(opened, subset, published.plan_id))
            manifest = read_manifest(opened.get(published.manifest_path))
        rows = manifest.to_pylist()
        wrong = [
            f"{row['uri']} is not there with {row['n_bytes']:,} bytes"
            for row in rows
            if sizes.get(row["chunk"]) != row["n_bytes"]
        ]
        sums = {"n_obs": total(manifest, "n_obs"), "n_bytes": total(manifest, "n_bytes"), "n_chunks": len(rows)}
        other = [
            f"the manifest has {name} {number:,}, dataset.json says {getattr(published, name):,}"
            for name, number in sums.items()
            if getattr(published, name) != number
        ]
        facts: dict[str, Fact] = {**sums, "n_wrong": len(wrong)}
        advice = f". {follow_up(opened, 'verify', subset, '--repair')} makes the chunks again"
        found = "; ".join([*wrong[:5], *other])
        audit = Audit(wrong=found + advice if found else "", facts=facts)
        yield from results(key, [(FILES_ARE_THERE, audit)], published.plan_id)

    return published_checks
