"""Samples and splits of many cells: seconds and memory against pandas on the same obs.

    python -m benchmarks.select_cells --n-obs 10000000 --task cap --way ours

Each way of each task runs in a process of its own, so that peaks of memory are its own. Obs is what an index gives:
dictionary codes and joinids, batch by batch; pandas holds it whole, as categoricals. Up to 10 million cells it is made
before the clock starts, pandas' frame included (whose memory counts); of more each batch is made when it is asked for,
and `--way none` tells what one making of all takes.
"""

import argparse
import json
import resource
import time
from collections.abc import Iterator
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa

from cxg_assets.ingest.choice.draws import Batches, hash_cells
from cxg_assets.ingest.choice.sample import sample_cells
from cxg_assets.ingest.choice.split import split_cells
from cxg_assets.ingest.sampling import Sample, Split

ROWS_PER_BATCH = 131_072
MAX_KEPT = 10_000_000
N_LABELS = {"cell_type": 800, "tissue": 350, "donor_id": 15_000}
LABELS = {name: pa.array([f"{name} {i}" for i in range(n)]) for name, n in N_LABELS.items()}

SAMPLES = {
    "fraction": Sample(fraction=0.1),
    "cap": Sample(by=("cell_type", "tissue"), at_most=1_000, at_least=100, min_donors=3),
}
SPLIT = Split(by=("donor_id",), shares={"train": 0.8, "validation": 0.1, "test": 0.1}, stratify="cell_type")


def batches(n_obs: int) -> Iterator[pa.RecordBatch]:
    """Obs of so many cells: cell types of very unequal size, donors and tissues in runs as the Census has them."""
    weights = 1 / np.arange(1, N_LABELS["cell_type"] + 1)
    ends = np.cumsum(weights) / weights.sum()
    for start in range(0, n_obs, ROWS_PER_BATCH):
        joinids = np.arange(start, min(start + ROWS_PER_BATCH, n_obs))
        u = hash_cells(joinids, 7, 9) / 2.0**64
        run = joinids * N_LABELS["donor_id"] // n_obs
        codes = {
            "cell_type": np.minimum(np.searchsorted(ends, u), N_LABELS["cell_type"] - 1),
            "tissue": run % N_LABELS["tissue"],
            "donor_id": run,
        }
        columns = {
            name: pa.DictionaryArray.from_arrays(pa.array(code.astype(np.int16)), LABELS[name])
            for name, code in codes.items()
        }
        yield pa.record_batch({"soma_joinid": pa.array(joinids), **columns})


def by_us(task: str, obs: Batches) -> int:
    """Return how many cells are kept (of a split: in its first part)."""
    if task == "split":
        split = split_cells(SPLIT, obs)
        return sum(int((split.part(batch) == 0).sum()) for batch in obs())
    sampled = sample_cells(SAMPLES[task], obs)
    return sum(int(sampled.mask(batch).sum()) for batch in obs())


def by_pandas(task: str, obs: Any) -> int:
    """The same with a frame in memory; a split without strata, which pandas has no call for."""
    if task == "fraction":
        return len(obs.sample(frac=0.1, random_state=0))
    if task == "split":
        donors = obs.groupby("donor_id", observed=True).size().sample(frac=1, random_state=0)
        train = donors.index[donors.cumsum() <= 0.8 * len(obs)]
        return int(obs.donor_id.isin(train).sum())
    sample = SAMPLES[task]
    groups = obs.groupby(list(sample.by), observed=True)
    table = groups.agg(n_obs=("soma_joinid", "size"), n_donors=("donor_id", "nunique"))
    kept = table.index[(table.n_obs >= sample.at_least) & (table.n_donors >= sample.min_donors)]
    left = obs[pd.MultiIndex.from_frame(obs[list(sample.by)]).isin(kept)]
    left = left.sample(frac=1, random_state=0)
    return len(left.groupby(list(sample.by), observed=True).head(sample.at_most))


def main() -> None:
    """Print one line of JSON."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--n-obs", type=int, default=10_000_000)
    parser.add_argument("--task", choices=[*SAMPLES, "split"], required=True)
    parser.add_argument("--way", choices=["ours", "pandas", "none"], required=True)
    arguments = parser.parse_args()
    obs: Batches = lambda: batches(arguments.n_obs)  # noqa: E731
    if arguments.n_obs <= MAX_KEPT:
        kept = list(obs())
        obs = lambda: kept  # noqa: E731
    sample_cells(Sample(by=("cell_type", "tissue"), at_most=1), lambda: batches(100_000))  # compiles
    before = _peak_mb()
    frame = pa.Table.from_batches(list(obs())).to_pandas() if arguments.way == "pandas" else None
    cpu, start = time.process_time(), time.perf_counter()
    match arguments.way:
        case "ours":
            n_kept = by_us(arguments.task, obs)
        case "pandas":
            n_kept = by_pandas(arguments.task, frame)
        case _:
            n_kept = sum(batch.num_rows for batch in obs())
    print(
        json.dumps(
            {
                **vars(arguments),
                "n_kept": n_kept,
                "seconds": round(time.perf_counter() - start, 2),
                "cpu_seconds": round(time.process_time() - cpu, 2),
                "peak_mb_above_start": round(_peak_mb() - before),
            }
        )
    )


def _peak_mb() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


if __name__ == "__main__":
    main()
