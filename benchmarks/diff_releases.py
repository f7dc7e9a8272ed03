"""Two releases of ten million cells compared: seconds and memory.

    python -m benchmarks.diff_releases --n-obs 10000000

The indexes are made of cells such as the Census has; the later one has every tenth cell no more, as many new ones, and
another cell type for every twentieth. Their making is not counted.
"""

import argparse
import json
import resource
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow as pa

from benchmarks.__main__ import demo_census, say
from cxg_assets.ingest.census.release import Release, read_release
from cxg_assets.ingest.compare.releases import Edition, compare_releases
from cxg_assets.ingest.layout import index_path
from cxg_assets.ingest.selection.index import CensusIndex
from cxg_assets.ingest.spec import SubsetSpec
from cxg_assets.ingest.storage.feather import FeatherFile, write_feather
from cxg_assets.ingest.storage.store import StoreLocator
from cxg_assets_tests.big_obs import write_big_index

HUMAN = "homo_sapiens"


def main() -> None:
    """Prints one line of JSON."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--n-obs", type=int, default=10_000_000)
    parser.add_argument("--value-filter")
    parser.add_argument("--cache", type=Path, default=Path("/tmp/cxg-benchmarks"))
    options = parser.parse_args()
    folder = options.cache / f"releases-{options.n_obs}"
    census = str(demo_census(options.cache, 20_000))
    release = read_release("benchmark", census, None, {})
    # The indexes stay, a Census is looked at anew each time.
    before, after = (replace(release, build=build, fingerprint="0" * 64) for build in ("2025-01-30", "2025-11-08"))
    earlier, later = (folder / index_path(one.version, HUMAN) for one in (before, after))
    for path, write in ((earlier, write_big_index), (later, lambda path, n_obs: _write_later(earlier, path))):
        if not path.exists():
            say(f"{path} is made")
            path.parent.mkdir(parents=True, exist_ok=True)
            write(path, options.n_obs)
    store = StoreLocator(url=str(folder)).open()
    spec = SubsetSpec(name="benchmark", organism=HUMAN, value_filter=options.value_filter)
    cpu, began, memory = time.process_time(), time.perf_counter(), _peak_mb()
    changes = compare_releases(spec, _edition(before, earlier), _edition(after, later), store)
    told = {
        "n_obs": options.n_obs,
        "n_new": changes.n_new,
        "n_gone": changes.n_gone,
        "n_changed": changes.n_changed,
        "seconds": round(time.perf_counter() - began, 1),
        "cpu_seconds": round(time.process_time() - cpu, 1),
        "peak_mb": round(_peak_mb()),
        "peak_mb_before": round(memory),
    }
    print(json.dumps(told))


def _edition(release: Release, path: Path) -> Edition:
    with FeatherFile(path) as file:
        n_obs, columns = file.n_rows, tuple(file.no_rows().schema.names)
    index = CensusIndex(release=release, organism=HUMAN, n_obs=n_obs, n_bytes=path.stat().st_size, columns=columns)
    return Edition(index=index, census=release.locator({}))


def _write_later(earlier: Path, path: Path) -> None:
    with FeatherFile(earlier) as file:
        schema = file.no_rows().schema
        write_feather(path, _later(file), schema)


def _later(file: FeatherFile) -> Iterator[pa.RecordBatch]:
    for batch in file.batches():
        rows = batch["soma_joinid"].to_numpy()
        columns = {name: batch[name] for name in batch.schema.names}
        cell_type = batch["cell_type"]
        codes = cell_type.indices.to_numpy().copy()
        codes[rows % 20 == 7] = (codes[rows % 20 == 7] + 1) % len(cell_type.dictionary)
        columns["cell_type"] = pa.DictionaryArray.from_arrays(pa.array(codes), cell_type.dictionary)
        ids = np.array(batch["observation_joinid"].to_pylist(), object)
        ids[rows % 10 == 3] = [f"later{row}" for row in rows[rows % 10 == 3]]
        columns["observation_joinid"] = pa.array(ids, pa.large_string())
        yield pa.RecordBatch.from_arrays([columns[name] for name in batch.schema.names], schema=batch.schema)


def _peak_mb() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


if __name__ == "__main__":
    main()
