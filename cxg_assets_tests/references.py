"""References that take seconds to import or to compile, each made ready when a test compares with it.

Their loops are compiled for every type they may meet, or for many threads, which in a new environment takes 44 s of CPU
time for scanpy's and 9 s in every process for the Census's. Of the few cells of a test they need none of that.
"""

import inspect
from functools import cache
from typing import Any

import numba
import pytest


@cache
def scanpy() -> Any:
    """The package scanpy; what counts the share of the first genes is not compiled."""
    import scanpy
    from scanpy.preprocessing import _qc

    compiled = _qc.top_segment_proportions_sparse_csr
    _qc.top_segment_proportions_sparse_csr = inspect.unwrap(compiled)
    return scanpy


def get_highly_variable_genes(*args: Any, **kwargs: Any) -> Any:
    """What `cellxgene_census.experimental.pp.get_highly_variable_genes` answers."""
    return ranking_of_genes().get_highly_variable_genes(*args, **kwargs)


@cache
def ranking_of_genes() -> Any:
    """`cellxgene_census.experimental.pp`, whose loops are compiled when they are called, for what they are called with.

    To be asked for before the engine imports it.
    """
    compile_now = numba.jit

    def compile_when_called(_: Any, **options: Any) -> Any:
        return compile_now(cache=True, **options)

    with pytest.MonkeyPatch.context() as monkeypatch:
        monkeypatch.setattr(numba, "jit", compile_when_called)
        import cellxgene_census.experimental.pp as ranking
    return ranking
