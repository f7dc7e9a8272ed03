"""What became of the choices of a subset's YAML, as Dagster metadata: padded genes, quality, sample, split."""

from typing import Any

from cxg_assets.ingest.selection.subset import Subset
from cxg_assets.ui.markdown import names_and_values


def padded_of(subset: Subset) -> dict[str, Any]:
    """The genes of a vocabulary that the Census does not have; nothing without one."""
    if subset.selection.genes is None or subset.selection.genes.vocabulary is None:
        return {}
    more = f" and {subset.n_padded - len(subset.padded):,} more" if subset.n_padded > len(subset.padded) else ""
    return {"n_padded": subset.n_padded, "padded": (", ".join(subset.padded) or "none") + more}


def quality_of(subset: Subset) -> dict[str, Any]:
    """What the quality computed and kept; nothing without one."""
    if subset.selection.quality is None or subset.quality is None:
        return {}
    return {
        "quality": subset.selection.quality.in_words,
        "n_obs_before_quality": subset.quality.n_obs,
        "n_not_kept": subset.quality.n_failed,
        "n_outliers": subset.quality.n_outliers,
    }


def sample_of(subset: Subset) -> dict[str, Any]:
    """What the sample kept; nothing without one."""
    if subset.selection.sample is None or subset.sampled is None:
        return {}
    return {
        "sample": subset.selection.sample.in_words,
        "n_obs_before_sample": subset.sampled.n_obs,
        "groups": f"{subset.sampled.n_groups_kept:,} of {subset.sampled.n_groups:,} kept",
    }


def split_of(subset: Subset) -> dict[str, Any]:
    """The parts of the split with their shares; nothing without one."""
    if subset.selection.split is None:
        return {}
    rows = {part: f"{n_obs:,} cells, {100 * n_obs / subset.n_obs:.1f} %" for part, n_obs in subset.parts.items()}
    return {"split": subset.selection.split.in_words, "parts": names_and_values(rows)}
