"""How the properties are tried: the same examples every time, and nothing kept on disk."""

from hypothesis import settings

PROPERTY = settings(max_examples=60, deadline=None, derandomize=True, database=None)
"""A test that is slow takes fewer: `@settings(PROPERTY, max_examples=20)`. The whole folder takes about a minute."""
