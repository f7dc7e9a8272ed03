"""Rows of every type that obs can have, and what filters select from them here and in TileDB-SOMA."""

import functools
import json
import subprocess
import sys

import numpy as np
import pyarrow as pa
import tiledbsoma

from cxg_assets.ingest.filters.value_filter import parse_filter

N_ROWS = 240
TISSUES = ["blood", "brain", "", "œsophage", "Blood", "it's", "眼"]
STAGES = ["young", "adult", "old"]  # ordered, and not by the alphabet
INTEGERS = ["int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64"]
FLOATS = ["float32", "float64"]
NUMBERS = [0.0, -0.0, 0.1, 1.0, 2.5, -3.0, 1e9, float("nan"), float("inf"), float("-inf")]


def with_missing(values: list, missing_every: int) -> list:
    return [None if row % missing_every == 3 else value for row, value in enumerate(values)]


def dictionary(values: list, categories: list[str], *, ordered: bool = False) -> pa.DictionaryArray:
    codes = pa.array([None if value is None else categories.index(value) for value in values], pa.int8())
    return pa.DictionaryArray.from_arrays(codes, pa.array(categories, pa.large_string()), ordered=ordered)


def make_rows() -> pa.Table:
    rng = np.random.default_rng(7)
    tissues = [str(value) for value in rng.choice(TISSUES, N_ROWS)]
    stages = [str(value) for value in rng.choice(STAGES, N_ROWS)]
    flags = [bool(value) for value in rng.integers(0, 2, N_ROWS)]
    columns: dict[str, pa.Array] = {
        "soma_joinid": pa.array(range(N_ROWS), pa.int64()),
        "tissue": dictionary(tissues, [*TISSUES, "unused"]),
        "disease": dictionary(with_missing(tissues[::-1], 5), [*TISSUES, "unused"]),
        "stage": dictionary(with_missing(stages, 7), STAGES, ordered=True),
        "donor_id": pa.array(tissues, pa.large_string()),
        "cell_type": pa.array(with_missing(tissues[::-1], 4), pa.large_string()),
        "is_primary_data": pa.array(flags),
        "maybe": pa.array(with_missing(flags[::-1], 6)),
        "orig.ident": pa.array(rng.integers(0, 4, N_ROWS), pa.int32()),
    }
    for name in INTEGERS:
        low = 0 if name.startswith("u") else -5
        columns[name] = pa.array(with_missing(rng.integers(low, 6, N_ROWS).tolist(), 9), getattr(pa, name)())
    for name in FLOATS:
        columns[name] = pa.array(with_missing(rng.choice(NUMBERS, N_ROWS).tolist(), 9), getattr(pa, name)())
    fields = [pa.field(name, array.type, nullable=array.null_count > 0) for name, array in columns.items()]
    return pa.table(columns, schema=pa.schema(fields))


ROWS = make_rows()
SCHEMA = ROWS.schema


def batch_of(table: pa.Table) -> pa.RecordBatch:
    return table.combine_chunks().to_batches()[0]


def selected_by_soma(obs: tiledbsoma.DataFrame, text: str) -> list[int]:
    """The rows that SOMA selects, asked in a process of its own: tiledbsoma 2.3.0 now and then ends it."""
    for _ in range(3):
        soma = _soma(obs.uri)
        try:
            print(text.encode().hex(), file=soma.stdin, flush=True)
            answer = soma.stdout.readline() if soma.stdout is not None else ""
        except OSError:
            answer = ""
        if answer:
            rows = json.loads(answer)
            assert not isinstance(rows, str), rows
            return rows
        soma.wait()
        _soma.cache_clear()
    raise AssertionError(f"SOMA has ended three processes over {text!r}")


_ASK_SOMA = """
import json, sys
import tiledbsoma

with tiledbsoma.open(sys.argv[1]) as obs:
    for line in sys.stdin:
        try:
            read = obs.read(value_filter=bytes.fromhex(line).decode(), column_names=["soma_joinid"])
            answer = sorted(read.concat()["soma_joinid"].to_pylist())
        except Exception as error:
            answer = f"{type(error).__name__}: {error}"
        print(json.dumps(answer), flush=True)
"""


@functools.cache
def _soma(uri: str) -> subprocess.Popen[str]:
    """A process that answers which rows of an obs a filter selects, a line each; it ends with this one."""
    return subprocess.Popen(
        [sys.executable, "-W", "ignore", "-c", _ASK_SOMA, uri], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )


def selected_here(text: str, table: pa.Table = ROWS) -> list[int]:
    batch = batch_of(table)
    mask = parse_filter(text, batch.schema).mask(batch)
    assert mask.dtype == np.bool_
    assert mask.shape == (batch.num_rows,)
    return np.flatnonzero(mask).tolist()
