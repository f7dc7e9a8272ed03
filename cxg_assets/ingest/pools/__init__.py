"""Shuffled cells: how a worker holds those that wait for their place, and how the first of two passes keeps them."""
