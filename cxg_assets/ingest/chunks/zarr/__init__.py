"""Chunks as datasets of a sharded zarr v3 collection, which annbatch's loader reads: written, read back, listed."""

INNER = 131_072
"""Elements of a chunk inside a shard: about 80 cells. annbatch's loader by zarr-python takes a time for each that does
not depend on its size: with half as many it is 0.81 times as fast as on annbatch's own, with these within 5 %
(docs/performance.md)."""

SHARD = 256 * INNER
"""Elements of a shard: 128 MiB of float32, some 20,000 cells. A worker holds one of data and one of indices, packed."""
