"""Dagster's checks of release, indexes, subsets, plans and what is published; the table is `ui/checks.py`."""
