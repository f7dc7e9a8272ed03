"""What an anndata reads of h5ad files, as digests: run it with each anndata that is to be compared, also an old one.

    python benchmarks/readers.py FILE …          # needs nothing of this project
    Rscript benchmarks/readers.R FILE …          # the same by rhdf5 and hdf5r

Two readers, or two forms of one file, agree where the lines do. The type of feature_type is told beside it: text there,
categories here.
"""

import hashlib
import sys
import warnings
from collections.abc import Iterable
from typing import Any

import anndata
import h5py
import numpy as np


def digest(values: Iterable[object]) -> str:
    """Of values as text."""
    return hashlib.sha256("\n".join(str(value) for value in values).encode()).hexdigest()[:8]


def read(file: str, how: str) -> Any:
    """The whole of a file, in one of three ways."""
    if how == "lazy":
        from anndata.experimental import read_lazy

        lazily: Any = read_lazy
        with h5py.File(file) as opened:
            return lazily(opened).to_memory()
    adata: Any = anndata.read_h5ad(file, backed="r" if how == "backed" else None)
    return adata.to_memory() if how == "backed" else adata


def main() -> None:
    """Prints a line for each file and each way to read it."""
    warnings.simplefilter("ignore")
    for file in sys.argv[1:]:
        for how in ("memory", "backed", "lazy"):
            try:
                adata = read(file, how)
            except Exception as error:  # noqa: BLE001 - it is the result
                print(anndata.__version__, file, how, type(error).__name__, str(error)[:80])
                continue
            x = adata.X.tocsr()
            parts = {
                "X": digest(np.concatenate([x.indptr, x.indices, x.data])),
                "obs": digest([adata.obs[name].astype(str).tolist() for name in adata.obs]),
                "obs_names": digest(adata.obs_names),
                "var": digest([adata.var[name].astype(str).tolist() for name in adata.var]),
                "var_names": digest(adata.var_names),
                "feature_type": adata.var["feature_type"].dtype if "feature_type" in adata.var else "none",
            }
            print(anndata.__version__, file, how, *(f"{name}={value}" for name, value in parts.items()))


if __name__ == "__main__":
    main()
