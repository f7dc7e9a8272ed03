"""The chunks of a dataset as the datasets of a zarr collection."""
