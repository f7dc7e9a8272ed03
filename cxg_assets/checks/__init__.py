"""The asset checks, one file for each asset. They are thin: what they look at is the engine's `audit` modules.

A blocking check that fails ends its run before anything is made of what it looked at. `dataset` runs its own before it
publishes, and asks what those of index, subset and plan have found of the very data that it is made from: so it does
not matter in which runs all that was made.
"""
