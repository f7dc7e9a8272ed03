"""Batches of the cells of a published dataset, for training: from its files to arrays or tensors.

    from cxg_assets.training import batches

Neither Dagster nor Ray is needed, and torch only for `CellDataset` and `CellLoader`. Each name is loaded when it is
first asked for.
"""

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from cxg_assets.training.batch import Batch as Batch
    from cxg_assets.training.batch import CsrBatch as CsrBatch
    from cxg_assets.training.loader import Batches as Batches
    from cxg_assets.training.loader import batches as batches
    from cxg_assets.training.torch_dataset import CellDataset as CellDataset
    from cxg_assets.training.torch_dataset import CellLoader as CellLoader

_MODULES = {
    "batches": "loader",
    "Batches": "loader",
    "Batch": "batch",
    "CsrBatch": "batch",
    "CellDataset": "torch_dataset",
    "CellLoader": "torch_dataset",
}

__all__ = list(_MODULES)  # pyright: ignore[reportUnsupportedDunderAll] the imports above are for type checkers


def __getattr__(name: str) -> Any:
    """Finds a public name in its module."""
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f"{__name__}.{_MODULES[name]}"), name)


def __dir__() -> list[str]:
    """With what `__getattr__` finds."""
    return sorted({*globals(), *_MODULES})
