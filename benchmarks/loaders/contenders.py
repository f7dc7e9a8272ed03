"""One loader, one measurement, in a process of its own: prints JSON.

Each reads batches of 512 cells with the label cell_type. The first cells warm up what is compiled and cached.
"""

import argparse
import glob
import json
import resource
import time
from collections.abc import Callable, Iterable, Iterator
from typing import Any

BATCH_SIZE = 512


def ours(url: str, place: str) -> Iterator[int]:
    """`cxg_assets.training` with its defaults."""
    from cxg_assets.training import batches

    return (batch.n_obs for batch in batches(url, batch_size=BATCH_SIZE, labels=["cell_type"], epochs=None))


def annbatch(url: str, place: str) -> Iterator[int]:
    """The stock loader of annbatch on the zarr collection that it has made, with its defaults and the Rust codecs."""
    import zarr
    import zarrs  # noqa: F401
    from annbatch import DatasetCollection, Loader

    zarr.config.set({"codec_pipeline.path": "zarrs.ZarrsCodecPipeline"})
    collection = DatasetCollection(place, mode="r")
    while True:
        loader = Loader(batch_size=BATCH_SIZE, shuffle=True, preload_to_gpu=False).use_collection(collection)
        yield from (batch["X"].shape[0] for batch in loader)


def scdataset(url: str, place: str) -> Iterator[int]:
    """An scDataset over an AnnCollection of the same files."""
    from scdataset import BlockShuffling, scDataset
    from torch.utils.data import DataLoader

    while True:
        dataset = scDataset(
            _collection(url),
            BlockShuffling(block_size=16),
            batch_size=BATCH_SIZE,
            fetch_factor=16,
            fetch_callback=_fetch,
        )
        yield from (batch.shape[0] for batch in DataLoader(dataset, batch_size=None))


def annloader(url: str, place: str) -> Iterator[int]:
    """AnnLoader over the same collection, as its documentation has it."""
    from anndata.experimental import AnnLoader

    while True:
        yield from (batch.X.shape[0] for batch in AnnLoader(_collection(url), batch_size=BATCH_SIZE, shuffle=True))


def _fetch(collection: Any, rows: Any) -> Any:
    return collection[rows].X


def _collection(url: str) -> Any:
    import anndata
    from anndata.experimental import AnnCollection

    files = sorted(glob.glob(f"{url}/*/*.h5ad"))
    return AnnCollection([anndata.read_h5ad(file, backed="r") for file in files], join_obs="inner", label=None)


CONTENDERS: dict[str, Callable[[str, str], Iterator[int]]] = {
    "ours": ours,
    "annbatch": annbatch,
    "scdataset": scdataset,
    "annloader": annloader,
}


def measure(sizes: Iterable[int], n_warm: int, n_obs: int) -> dict[str, float]:
    """Cells a second, and microseconds of CPU a cell, after some cells."""
    stream = iter(sizes)
    n_seen = 0
    while n_seen < n_warm:
        n_seen += next(stream)
    began, cpu, n_seen = time.perf_counter(), time.process_time(), 0
    while n_seen < n_obs:
        n_seen += next(stream)
    seconds, cpu = time.perf_counter() - began, time.process_time() - cpu
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    return {"cells_per_second": n_seen / seconds, "cpu_us": cpu / n_seen * 1e6, "peak_mib": peak, "n_obs": n_seen}


def main() -> None:
    """Measures one."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("contender", choices=CONTENDERS)
    parser.add_argument("url", help="folder of the subset, or its S3 URL")
    parser.add_argument("--place", default="", help="what the contender reads instead, if it does")
    parser.add_argument("--n-warm", type=int, required=True)
    parser.add_argument("--n-obs", type=int, required=True)
    options = parser.parse_args()
    print(json.dumps(measure(CONTENDERS[options.contender](options.url, options.place), options.n_warm, options.n_obs)))


if __name__ == "__main__":
    main()
