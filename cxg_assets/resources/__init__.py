"""What assets are given: the Census, the store, and the pool of Ray workers."""
