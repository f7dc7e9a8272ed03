"""How X is tiled in the Census: what decides the cost of reading it."""

TILE = 2048
"""Rows and columns of an X tile in the Census (its builder's space tiles): the least that a read decodes."""

NNZ_PER_CELL = 2_000
"""Taken for a cell's nnz where obs does not tell it: the upper end of what human releases have."""
