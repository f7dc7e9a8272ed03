"""Chunks that are h5ad files: where HDF5 has put their blocks, and how these are fetched and decoded."""
