"""The Dagster instance: made once by whoever is first, and recognised when it is broken."""
