"""The subsets of this project, a folder with a defs.yaml each."""
