"""How every Ray of the benchmarks is started: the options with which the platform starts one for a run."""

from cxg_assets.resources.ray_cluster import OWN_RAY_OPTIONS

RAY_OPTIONS = dict(OWN_RAY_OPTIONS)
