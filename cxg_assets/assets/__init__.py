"""The assets of a census and of its subsets, one file each. Bodies are thin: they call the engine and record."""
