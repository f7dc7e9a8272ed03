"""A world in which the whole platform runs, the faults that happen to it, and what must hold afterwards."""
