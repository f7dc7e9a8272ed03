"""Embeddings of cells: those that the Census hosts beside its releases, and those inside an older release."""
