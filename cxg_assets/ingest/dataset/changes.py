"""What changed from the dataset of a subset that was published before to the one that is published now."""

from collections.abc import Iterator

from cxg_assets.ingest.compare.changes import ReleaseChanges
from cxg_assets.ingest.errors import shown_text
from cxg_assets.ingest.plan.published import Dataset
from cxg_assets.ingest.quantities import size


def changes(before: Dataset | None, after: Dataset, since: ReleaseChanges | None = None) -> tuple[str, ...]:
    """The differences, one a line, for a person; `since` is what was found to be other in the two releases.

    Of a plan that is published once more they are those from the plan before it. The first dataset of a subset has
    none, nor has one that follows a dataset of a version whose `dataset.json` did not tell its settings.
    """
    if before is None:
        return ()
    if before.header.plan_id == after.header.plan_id:
        return before.changes
    if not before.header.subset.selection.is_complete:
        return ()
    of_release = () if since is None else (since.in_words,)
    return (f"since {before.published_at}, plan {before.header.plan_id}", *of_release, *_differences(before, after))


def _differences(before: Dataset, after: Dataset) -> Iterator[str]:
    counts = {"cells": "n_obs", "genes": "n_vars", "files": "n_chunks", "non-zeros": "nnz"}
    for name, key in counts.items():
        old, new = before.sums[key], after.sums[key]
        if old != new:
            yield f"{name}: {old:,} → {new:,} ({new - old:+,})"
    if before.n_bytes != after.n_bytes:
        yield f"size: {size(before.n_bytes)} → {size(after.n_bytes)}"
    old_settings, new_settings = _settings(before), _settings(after)
    for name, new in new_settings.items():
        if (old := old_settings[name]) != new:
            yield f"{name}: {shown_text(old)} → {shown_text(new)}"


def _settings(dataset: Dataset) -> dict[str, str]:
    """What the YAML and the release decide, by name."""
    header, selection = dataset.header, dataset.header.subset.selection
    return {
        "Census build": header.subset.release.build,
        "value_filter": selection.value_filter or "none",
        "genes": header.subset.genes_in_words,
        "obs_columns": ", ".join(selection.obs_columns),
        "max_obs": "no limit" if selection.max_obs is None else f"{selection.max_obs:,}",
        "quality": "none" if selection.quality is None else selection.quality.in_words,
        "sample": "none" if selection.sample is None else selection.sample.in_words,
        "split": "none" if selection.split is None else selection.split.in_words,
        "layer": header.layers_in_words,
        "obs_embeddings": header.provenance.get("obs_embeddings", "none"),
        "obsm_layers": header.provenance.get("obsm_layers", "none"),
        "chunk_size": f"{header.chunk_size:,}",
        "format": header.format,
        "compression": header.compression,
        "order": header.order_in_words,
    }
