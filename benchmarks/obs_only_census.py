"""A census with many cells and no counts: for index and filter, which read obs alone.

Its obs are those of a demo census over and over, with new joinids and new `observation_joinid`s, in the demo census's
own array layout; two tables of `census_info` and var are copied; X is empty.
"""

import argparse
import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import tiledbsoma

from benchmarks.measure import run_program
from cxg_assets.demo.layout import obs_storage
from cxg_assets.demo.tables import open_for_writing, write_table

ROWS_PER_WRITE = 1_000_000
ORGANISM = "homo_sapiens"
_LETTERS = np.frombuffer(b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz", dtype="S1")


def build(demo: Path, path: Path, n_obs: int, seed: int = 0) -> None:
    """Builds one.

    Args:
        demo: A demo census.
        path: Where it goes; must not exist.
        n_obs: Rows of obs.
        seed: Of the `observation_joinid`s.
    """
    unfinished = path.with_name(f".{path.name}.unfinished-{os.getpid()}")
    with tiledbsoma.Collection.open(str(demo)) as opened, tiledbsoma.Collection.create(str(unfinished)) as census:
        source: Any = opened
        with census.add_new_collection("census_info") as info:
            for name in ("summary", "datasets"):
                _copy_frame(info, name, source["census_info"][name])
        experiment = source["census_data"][ORGANISM]
        with (
            census.add_new_collection("census_data") as data,
            data.add_new_collection(ORGANISM, tiledbsoma.Experiment) as target,
            target.add_new_collection("ms") as measurements,
            measurements.add_new_collection("RNA", tiledbsoma.Measurement) as rna,
            rna.add_new_collection("X") as x,
        ):
            _copy_frame(rna, "var", experiment.ms["RNA"].var)
            x.add_new_sparse_ndarray("raw", type=pa.float32(), shape=(n_obs, experiment.ms["RNA"].var.count)).close()
            _write_obs(target, experiment.obs, n_obs, np.random.default_rng(seed))
    unfinished.rename(path)


def kept(demo: Path, n_obs: int, say: Callable[[str], None]) -> Path:
    """One that is built once, beside the demo census, in a process of its own.

    Args:
        demo: A demo census.
        n_obs: Rows of obs.
        say: Is told when it has to be built.
    """
    census = demo.parent / f"obs-only-{n_obs}"
    if not census.exists():
        say(f"building a census of {n_obs:,} obs rows")
        result_file = demo.parent / "obs-only.json"
        arguments = ["--demo", demo, "--path", census, "--n-obs", str(n_obs), "--json", result_file]
        run_program(["-m", "benchmarks.obs_only_census", *arguments], result_file)
    return census


def _write_obs(
    target: tiledbsoma.Experiment, source: tiledbsoma.DataFrame, n_obs: int, rng: np.random.Generator
) -> None:
    some = source.read().concat().combine_chunks()
    is_dictionary = pa.types.is_dictionary(some.schema.field("cell_type").type)
    created = target.add_new_dataframe(
        "obs",
        schema=source.schema,
        index_column_names=["soma_joinid"],
        domain=[(0, n_obs - 1)],
        platform_config=obs_storage(text_as_dictionary=is_dictionary),
    )
    with open_for_writing(created) as obs:
        for start in range(0, n_obs, ROWS_PER_WRITE):
            stop = min(start + ROWS_PER_WRITE, n_obs)
            rows = some.take(pa.array(rng.integers(0, some.num_rows, stop - start)))
            for name, values in (
                ("soma_joinid", pa.array(np.arange(start, stop))),
                ("observation_joinid", _random_ids(rng, stop - start)),
            ):
                field = rows.schema.field(name)
                rows = rows.set_column(rows.schema.get_field_index(name), field, values.cast(field.type))
            obs.write(rows.combine_chunks())


def _random_ids(rng: np.random.Generator, n: int) -> pa.Array:
    """Random text of ten characters."""
    letters = _LETTERS[rng.integers(0, len(_LETTERS), (n, 10))]
    return pa.array(np.ascontiguousarray(letters).view("S10").ravel()).cast(pa.string())


def _copy_frame(parent: Any, name: str, source: tiledbsoma.DataFrame) -> None:
    table = source.read().concat()
    # Rebuilt: tiledbsoma 2.3.0 crashes when it writes some of the buffers that it has read.
    rebuilt = pa.Table.from_pylist(table.to_pylist(), schema=table.schema)
    write_table(parent, name, rebuilt)


def main() -> None:
    """Builds one."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--demo", type=Path, required=True)
    parser.add_argument("--path", type=Path, required=True)
    parser.add_argument("--n-obs", type=int, default=10_000_000)
    parser.add_argument("--json", type=Path, required=True)
    options = parser.parse_args()
    build(options.demo, options.path, options.n_obs)
    options.json.write_text(json.dumps({"n_obs": options.n_obs}))


if __name__ == "__main__":
    main()
