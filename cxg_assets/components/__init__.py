"""Dagster components: what a YAML file in `defs/` can declare."""
