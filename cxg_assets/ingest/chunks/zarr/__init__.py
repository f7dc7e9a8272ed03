"""Chunks as datasets of a sharded zarr v3 collection, which annbatch's loader reads: written, read back, listed."""

INNER = 65_536
"""Elements of a chunk inside a shard: about 40 cells. By zarrs, annbatch's loader reads twice as many at once only two
thirds as fast (measured on a busy machine)."""

SHARD = 512 * INNER
"""Elements of a shard: 128 MiB of float32, some 20,000 cells. A worker holds one of data and one of indices, packed."""
