"""Which genes a subset has: named, filtered, measured, most variable, or those of a vocabulary in its order."""
