"""Dagster's records in PostgreSQL, with connections that stay open."""
