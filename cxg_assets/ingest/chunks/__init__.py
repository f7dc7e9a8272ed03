"""Making chunks: reading X, encoding h5ad, storing each chunk and telling what was measured."""
