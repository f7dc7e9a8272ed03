"""Checks a subset against a Census before any work; `probe.py` does it for a destination."""

from cxg_assets.ingest.census.census import Census, CensusLocator, layer_uri
from cxg_assets.ingest.plan.making import MAX_CHUNKS, check_n_chunks
from cxg_assets.ingest.selection.filter_watch import FilterWatch
from cxg_assets.ingest.selection.filters import ValueFilter
from cxg_assets.ingest.selection.genes import select_genes
from cxg_assets.ingest.selection.subset import nothing_selected, parse_obs_filter
from cxg_assets.ingest.spec import SubsetSpec


def check_subset(spec: SubsetSpec, census: CensusLocator) -> None:
    """Checks everything about a subset that can be known without making its index.

    Args:
        spec: The subset.
        census: Where the Census is.

    Raises:
        BadInput: There is no Census; it has no such organism or layer; the filter, the obs columns or the genes do
            not fit it or select nothing; there would be too many chunks.
    """
    with census.open() as opened:
        layer_uri(opened.uri, spec.organism, spec.layer, opened.layers(spec.organism))
        value_filter = parse_obs_filter(spec.value_filter, spec.obs_columns, opened.obs(spec.organism).schema)
        select_genes(opened.var(spec.organism), spec.genes)
        _check_counts(spec, opened, value_filter)


def _check_counts(spec: SubsetSpec, census: Census, value_filter: ValueFilter | None) -> None:
    """Reads only as many cells as it takes to know that there is one and that they are not too many.

    The filter is applied here and not by the Census: tiledbsoma 2.3.0 ends the process on some filters with `not` and,
    now and then, on comparisons with None.
    """
    obs = census.obs(spec.organism)
    n_obs = obs.count if spec.max_obs is None else min(obs.count, spec.max_obs)
    if value_filter is None:
        check_n_chunks(spec, n_obs)
        return
    enough = n_obs if n_obs > MAX_CHUNKS * spec.chunk_size else 1
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
        raise nothing_selected(value_filter, watch, spec.organism)
    if enough > 1:
        check_n_chunks(spec, min(n_selected, n_obs))
