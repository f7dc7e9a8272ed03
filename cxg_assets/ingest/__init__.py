"""The engine: everything between a Census and verified h5ad chunks, with no Dagster and no Ray.

Start at `pipeline.py` for the whole path in order, or at `worker.py` for how one span becomes chunk files.
"""
