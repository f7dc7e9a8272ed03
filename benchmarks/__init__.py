"""Peers, ceiling and ours, measured side by side by one command: `python -m benchmarks`."""
