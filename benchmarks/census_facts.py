"""The selections that the rows use, read from the census itself."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.contenders import Selection

MARKERS = (
    "ENSG00000167286", "ENSG00000198851", "ENSG00000010610", "ENSG00000153563", "ENSG00000168685", "ENSG00000126353",
    "ENSG00000105374", "ENSG00000115523", "ENSG00000134539", "ENSG00000156738", "ENSG00000105369", "ENSG00000007312",
    "ENSG00000090382", "ENSG00000143546", "ENSG00000163220", "ENSG00000170458", "ENSG00000203747", "ENSG00000179639",
    "ENSG00000163736", "ENSG00000163737",
)  # fmt: skip
"""Twenty markers by which blood cells are told apart (CD3D, CD4, NKG7, MS4A1, LYZ …)."""


@dataclass(frozen=True, eq=False)
class CensusFacts:
    """What the rows need to know of a census."""

    n_obs: int
    observation_joinids: list[str]
    marker_joinids: np.ndarray

    def first(self, n_obs: int | None = None) -> Selection:
        """The first so many cells, or all."""
        n_obs = self.n_obs if n_obs is None else min(n_obs, self.n_obs)
        return Selection(joinids=np.arange(n_obs), max_obs=n_obs)

    def markers(self) -> Selection:
        """Twenty genes of all cells."""
        return Selection(
            joinids=np.arange(self.n_obs),
            feature_ids=MARKERS,
            gene_joinids=self.marker_joinids,
        )

    def random(self, share: float) -> Selection:
        """A random share of the cells, evenly over the whole census.

        `observation_joinid` is a digest of the cell, so a filter on its first characters is a random draw that a
        `value_filter` can say.
        """
        ranked = sorted(self.observation_joinids)
        threshold = ranked[int(share * len(ranked))]
        joinids = np.flatnonzero(np.array(self.observation_joinids) < threshold)
        return Selection(joinids=joinids, value_filter=f"observation_joinid < {threshold!r}")


def read_facts(census: Path) -> CensusFacts:
    """Reads a demo census."""
    import tiledbsoma

    with tiledbsoma.Collection.open(str(census)) as opened:
        root: Any = opened
        experiment = root["census_data"]["homo_sapiens"]
        obs = experiment.obs.read(column_names=["soma_joinid", "observation_joinid"]).concat().sort_by("soma_joinid")
        var = experiment.ms["RNA"].var.read(column_names=["soma_joinid", "feature_id"]).concat()
    is_marker = np.isin(var["feature_id"].to_pylist(), MARKERS)
    return CensusFacts(
        n_obs=obs.num_rows,
        observation_joinids=obs["observation_joinid"].to_pylist(),
        marker_joinids=np.sort(var["soma_joinid"].to_numpy()[is_marker]),
    )
