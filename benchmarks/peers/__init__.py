"""What this project replaces and competes with, written from the facts of their published code, as runnable programs.

Each is a program of its own (`python -m benchmarks.peers.reopening_pool --help`) and does what its model does for each
file; only where the Census is comes in by URI, and files may go to a folder instead of S3.
"""
