"""Which cells go to which chunk: the chunk plan, its fingerprints and spans, and the look before any work."""
