"""What assets are given: the Census, the store, and the pool of Ray workers."""

POOLS = ("ray", "local")
"""Kinds of pools: Ray actors, here or on a cluster; processes of this machine.

Here, where nothing heavy is imported: the help of commands names them.
"""
