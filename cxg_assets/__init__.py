"""Slices of the CELLxGENE Census as verified h5ad chunk files, run as Dagster assets on a Ray pool."""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from cxg_assets.components.census_subset import CensusSubset

__version__ = "0.1.0"
__all__ = ["CensusSubset", "__version__"]


def __getattr__(name: str) -> Any:
    """Finds `cxg_assets.CensusSubset`, as YAML files name it; Ray workers import this package without Dagster."""
    if name == "CensusSubset":
        from cxg_assets.components.census_subset import CensusSubset

        return CensusSubset
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    """With what `__getattr__` finds: `dg` lists a module's components by it."""
    return __all__
