"""References that take seconds to import, each imported when a test compares with it, and not when tests are listed.

scanpy takes 4 s of CPU time, the Census's ranking of genes 9 s, since its loops are compiled (2 cores; both processes
of a test run list all tests).
"""

from typing import Any


def scanpy() -> Any:
    """The package scanpy."""
    import scanpy

    return scanpy


def get_highly_variable_genes(*args: Any, **kwargs: Any) -> Any:
    """What `cellxgene_census.experimental.pp.get_highly_variable_genes` answers."""
    from cellxgene_census.experimental.pp import get_highly_variable_genes

    return get_highly_variable_genes(*args, **kwargs)
