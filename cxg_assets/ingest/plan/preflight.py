"""Looks before any work whether a subset fits a Census; `storage/probe.py` looks at its destination."""

from cxg_assets.ingest.census.census import Census, CensusLocator, layer_uri
from cxg_assets.ingest.census.release import Release
from cxg_assets.ingest.embeddings.obsm import find_obsm
from cxg_assets.ingest.errors import CxgError
from cxg_assets.ingest.filters.value_filter import ValueFilter
from cxg_assets.ingest.filters.watch import FilterWatch
from cxg_assets.ingest.finding import Finding
from cxg_assets.ingest.genes.of_cells import require_obs_of
from cxg_assets.ingest.genes.select import select_genes
from cxg_assets.ingest.plan.making import MAX_CHUNKS, check_n_chunks
from cxg_assets.ingest.quality.checked import check_quality
from cxg_assets.ingest.selection.label_check import overlooked_labels
from cxg_assets.ingest.selection.obs_rows import nothing_selected, parse_obs_filter
from cxg_assets.ingest.spec import SubsetSpec
from cxg_assets.ingest.storage.store import Store


def preflight(spec: SubsetSpec, census: CensusLocator, release: Release, index_store: Store | None) -> list[Finding]:
    """Whether a subset fits a Census, and what its filters overlook. Raises nothing for what it looks at.

    With an index of the release in `index_store`, where that is a folder, overlooked cells are counted.
    """
    try:
        check_subset(spec, census)
        warnings = overlooked_labels(spec, census, release, index_store)
    except CxgError as error:
        return [Finding.failed("subset", error)]
    fits = Finding(where="subset", what=f"{spec.name}: its filter, columns and genes fit this Census")
    return [fits, *(Finding.warned("subset", warning) for warning in warnings)]


def check_subset(spec: SubsetSpec, census: CensusLocator) -> None:
    """Checks everything about a subset that can be known without making its index.

    Raises:
        BadInput: There is no Census; it has no such organism, layer or embedding; the filter, the obs columns or the
            genes do not fit it or select nothing; there would be too many chunks.
    """
    with census.open() as opened:
        for layer in (spec.layer, *spec.further_layers.values()):
            layer_uri(opened.uri, spec.experiment, layer, opened.layers(spec.experiment))
        value_filter = parse_obs_filter(
            spec.value_filter, spec.obs_columns, opened.obs(spec.experiment).schema, lists=spec.lists
        )
        select_genes(opened.var(spec.experiment), spec.genes)
        require_obs_of(spec.genes, opened.obs(spec.experiment).schema.names)
        find_obsm(census, spec.experiment, spec.obs_embeddings, spec.obsm_layers)
        if spec.quality is not None:
            check_quality(spec.quality, opened.obs(spec.experiment).schema, opened.var(spec.experiment))
        _check_counts(spec, opened, value_filter)


def _check_counts(spec: SubsetSpec, census: Census, value_filter: ValueFilter | None) -> None:
    """Reads only as many cells as it takes to know that there is one and that they are not too many.

    The filter is applied here and not by the Census: tiledbsoma 2.3.0 ends the process on some filters with `not` and,
    now and then, on comparisons with None.
    """
    obs = census.obs(spec.experiment)
    n_obs = obs.count if spec.max_obs is None else min(obs.count, spec.max_obs)
    # How many quality and sample leave is known when they are made.
    is_final = spec.quality is None and spec.sample is None
    if value_filter is None:
        if is_final:
            check_n_chunks(spec, n_obs)
        return
    enough = n_obs if n_obs > MAX_CHUNKS * spec.chunk_size and is_final else 1
    n_selected = 0
    watch = FilterWatch(value_filter)
    for table in obs.read(column_names=list(value_filter.columns)):
        for batch in table.to_batches():
            n_passed = int(value_filter.mask(batch).sum())
            watch.see(batch, n_passed)
            n_selected += n_passed
        if n_selected >= enough:
            break
    if n_selected == 0:
        raise nothing_selected(value_filter, watch, spec.experiment)
    if enough > 1:
        check_n_chunks(spec, min(n_selected, n_obs))
