"""Whether the parts of a subset are as its split says: counted again from its obs file."""

import numpy as np

from cxg_assets.ingest.finding import Finding
from cxg_assets.ingest.selection.subset import Subset
from cxg_assets.ingest.spec import SPLIT
from cxg_assets.ingest.storage.feather import FeatherFile, FeatherSource


def verify_split(subset: Subset, obs: FeatherSource) -> Finding:
    """Looks for groups that are in two parts, and compares the cells of each part with what the subset says.

    Memory: a batch, and a few numbers for each group. Without a split nothing is read.

    Args:
        subset: The subset.
        obs: Its obs file.
    """
    split = subset.selection.split
    if split is None:
        return Finding(facts={"split": "none"})
    from cxg_assets.ingest.choice.groups import Groups

    groups = Groups(split.by, "split.by")
    n_of_parts = np.zeros(len(subset.parts), np.int64)
    is_in_part = np.zeros((0, len(subset.parts)), np.bool_)
    with FeatherFile(obs, columns=[*split.by, SPLIT]) as file:
        for batch in file.batches():
            parts, of_cells = batch[SPLIT].indices.to_numpy(), groups.of(batch)
            n_of_parts += np.bincount(parts, minlength=len(n_of_parts))
            is_in_part = np.pad(is_in_part, ((0, groups.n - len(is_in_part)), (0, 0)))
            is_in_part[of_cells, parts] = True
    torn = np.flatnonzero(is_in_part.sum(axis=1) > 1) if split.by else np.empty(0, np.int64)
    labels = groups.labels() if len(torn) else []
    wrong = [f"{' and '.join(map(str, labels[group]))} is in several parts" for group in torn.tolist()]
    counted = dict(zip(subset.parts, n_of_parts.tolist(), strict=True))
    wrong += [
        f"{part} has {n_obs:,} cells, the subset says {subset.parts[part]:,}"
        for part, n_obs in counted.items()
        if n_obs != subset.parts[part]
    ]
    shares = {f"share_of_{part}": round(n_obs / max(subset.n_obs, 1), 4) for part, n_obs in counted.items()}
    facts = {"n_groups": groups.n, "n_groups_in_several_parts": len(torn), **shares}
    return Finding.of(wrong, "materialize filtered_subset again", facts)
