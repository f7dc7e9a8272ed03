"""What faults of the network cost, and that they cost nothing else: `python -m benchmarks.reliability`."""
