"""The checks of Dagster: a table of them, and what they found as Dagster's results.

A blocking check that fails ends its run before anything is made of what it looked at. `dataset` runs its own before it
publishes, and asks what those of index, subset and plan have found of the very data that it is made from: so it does
not matter in which runs all that was made. What they look at is in `ingest/verify`; `checks` says when.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

import dagster as dg

from cxg_assets.ingest.finding import Finding
from cxg_assets.ingest.verify.chunks import N_CELLS, N_COMPARED, N_SAMPLED, SAMPLED_BYTES

CHECKED_VERSION = "checked_version"
"""Metadata of every result: data version of what was looked at."""

WRONG = "wrong"
"""Metadata of a result that did not pass: what is wrong, and what to do."""

_SAMPLE = (
    f"Checks up to {N_SAMPLED} chunks and {SAMPLED_BYTES // 2**20} MiB, drawn by the plan's id; the result names "
    "them. cxg-assets verify checks all."
)


@dataclass(frozen=True, kw_only=True)
class Check:
    """A check of one asset.

    Attributes:
        name: Its name in the UI.
        description: What it looks at, and how much of it.
        blocking: Nothing is made of what does not pass, and it is not published: an error. Else it is a warning.
    """

    name: str
    description: str
    blocking: bool = True

    def key(self, asset: dg.AssetKey) -> dg.AssetCheckKey:
        """Its key for one asset."""
        return dg.AssetCheckKey(asset, self.name)

    def spec(self, asset: dg.AssetKey) -> dg.AssetCheckSpec:
        """Its definition for one asset."""
        effect = "Severity error: nothing is published until it passes." if self.blocking else "Severity warning."
        description = f"{self.description} {effect}"
        return dg.AssetCheckSpec(self.name, asset=asset, description=description, blocking=self.blocking)

    def result(self, asset: dg.AssetKey, finding: Finding, version: str) -> dg.AssetCheckResult:
        """What was found of one asset.

        Args:
            asset: The asset.
            finding: What was found.
            version: Data version of what was looked at.
        """
        wrong = {} if finding.passed else {WRONG: finding.message}
        return dg.AssetCheckResult(
            asset_key=asset,
            check_name=self.name,
            passed=finding.passed,
            severity=dg.AssetCheckSeverity.ERROR if self.blocking else dg.AssetCheckSeverity.WARN,
            description=wrong.get(WRONG),
            metadata={**wrong, **finding.facts, CHECKED_VERSION: version},
        )

    def evaluation(self, asset: dg.AssetKey, finding: Finding, version: str) -> dg.AssetCheckEvaluation:
        """The same, to be logged by the step of another asset."""
        result = self.result(asset, finding, version)
        return dg.AssetCheckEvaluation(
            asset_key=asset,
            check_name=self.name,
            passed=result.passed,
            severity=result.severity,
            description=result.description,
            metadata=result.metadata,
        )


NOT_RETRACTED = Check(
    name="release_not_retracted",
    description="The release directory of the public Census does not list the observed build as retracted. One GET "
    "request, or none in the run that observes the release: it has just checked. Only builds of the public Census "
    "can be retracted.",
)
ROW_COUNT = Check(
    name="row_count_equals_census",
    description="The index has as many rows as the Census itself counts cells of the organism, and its file has the "
    "size that was written. Reads counts only, no rows.",
)
NOT_EMPTY = Check(
    name="subset_not_empty",
    description="The subset has cells and genes: as many cells as were selected, each of them in the census index.",
)
PRIMARY_ONLY = Check(
    name="primary_cells_only",
    description="If value_filter selects primary cells, every cell of the subset is primary according to the census "
    "index. Otherwise it passes, and reports how many are not.",
)
NO_DUPLICATES = Check(
    name="no_duplicate_cells",
    description="No soma_joinid is in the subset twice, and no observation_joinid within a dataset, according to the "
    "census index. The same cell in two datasets is not a duplicate: is_primary_data distinguishes them.",
    blocking=False,
)
SPLIT_KEEPS_GROUPS = Check(
    name="split_keeps_groups",
    description="If there is a split, no group (no donor, no dataset: what split.by names) is in two parts, and each "
    "part has the cells that were counted. Reads these columns of the subset. Otherwise it passes.",
)
ESTIMATE = Check(
    name="estimate",
    description="What the YAML would make by now, before anything is made of it: cells, donors, datasets, cell types, "
    "parts, genes, and about how many files, bytes and minutes; as cxg-assets count tells it. Passes if the YAML fits "
    "the Census. Execute it at any time; it makes the census index where there is none, and a quality is left out, for "
    "which X would be read.",
    blocking=False,
)
COVERS_SUBSET = Check(
    name="plan_covers_subset",
    description="Every soma_joinid of the subset is in exactly one chunk, each chunk starts and ends with the cells "
    "of its rows, and no two chunks have the same fingerprint. Reads the plan and the subset's soma_joinids.",
)
ALL_STORED = Check(
    name="all_chunks_stored",
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
FILES_ARE_THERE = Check(
    name="published_files_are_there",
    description="Each file of the published manifest exists with its size, and their sums are those of dataset.json. "
    "Can be executed at any time.",
    blocking=False,
)

RELEASE_CHECKS = (NOT_RETRACTED,)
INDEX_CHECKS = (ROW_COUNT,)
SUBSET_CHECKS = (NOT_EMPTY, PRIMARY_ONLY, NO_DUPLICATES, SPLIT_KEEPS_GROUPS)
ESTIMATE_CHECKS = (ESTIMATE,)
"""Not of what was made, but of what would be: an ingest does not run them."""
PLAN_CHECKS = (COVERS_SUBSET,)
GATE = (ALL_STORED, MANIFEST_SUMS, CHECKSUMS, GENE_ORDER, EQUALS_CENSUS)
"""Run inside the step that publishes, before it does; so they hold however it is launched."""
PUBLISHED_CHECKS = (FILES_ARE_THERE,)


def results(
    asset: dg.AssetKey,
    checks: Sequence[Check],
    findings: Sequence[Finding],
    version: str,
    selected: Iterable[dg.AssetCheckKey] | None = None,
) -> Iterator[dg.AssetCheckResult]:
    """Yields the result of each check, then ends the step if one that blocks has not passed.

    Args:
        asset: The asset.
        checks: The checks.
        findings: What each has found.
        version: Data version of what was looked at.
        selected: The checks that this run is to do; None is all.

    Raises:
        Failure: One that blocks has not passed; the message names it and says what to do.
    """
    wanted = {check.key(asset) for check in checks} if selected is None else set(selected)
    done = [pair for pair in zip(checks, findings, strict=True) if pair[0].key(asset) in wanted]
    for check, finding in done:
        yield check.result(asset, finding, version)
    blocked = [
        f"check {check.name} failed: {finding.message}"
        for check, finding in done
        if check.blocking and not finding.passed
    ]
    if blocked:
        raise dg.Failure(f"{asset.to_user_string()}: {'; '.join(blocked)}", allow_retries=False)
