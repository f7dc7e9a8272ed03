"""What is read from a chunk, by anndata or by plain h5py, is what went into it, to the bit."""

import io
from collections.abc import Callable, Sequence
from typing import Any

import anndata
import h5py
import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from cxg_assets.ingest.chunks.gene_table import is_text
from cxg_assets.ingest.errors import CxgError
from cxg_assets.ingest.spec import COMPRESSIONS, GENES_TEXTS
from cxg_assets.ingest.x.csr import CsrRows
from cxg_assets_tests.properties.profile import PROPERTY
from cxg_assets_tests.properties.synthetic import encode_rows

UNUSUAL = [0.0, -0.0, float("nan"), float("inf"), float("-inf"), 1e-45, -1e-45, 1.1754942e-38, 3.4028235e38]
VALUES = st.sampled_from(UNUSUAL) | st.floats(width=32)
TEXTS = st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=8) | st.sampled_from(
    ["", "é", "e\u0301", "眼", "\U0001d4b3\U0001f9ec", "\u202eright", "a\nb", "\ufeff", "nan", "None", "-1"]
)
WHOLE = ["int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64"]


@st.composite
def matrices(draw: st.DrawFn) -> tuple[CsrRows, int]:
    """Rows of X, some of them empty, and the number of genes."""
    n_obs, n_vars = draw(st.integers(1, 8)), draw(st.integers(1, 10))
    stored = draw(hnp.arrays(bool, (n_obs, n_vars)) | st.just(np.zeros((n_obs, n_vars), bool)))
    stored[: draw(st.integers(0, 3))] = False
    stored[n_obs - draw(st.integers(0, min(3, n_obs))) :] = False
    data = draw(hnp.arrays(np.float32, int(stored.sum()), elements=VALUES))
    indptr = np.concatenate([[0], np.cumsum(stored.sum(axis=1))]).astype(np.int64)
    return CsrRows(indptr, np.nonzero(stored)[1].astype(np.int32), data), n_vars


def values_of(draw: st.DrawFn, n: int, elements: st.SearchStrategy[Any]) -> list[Any]:
    return draw(st.lists(elements, min_size=n, max_size=n))


@st.composite
def dictionaries(draw: st.DrawFn, n: int, *, repeated: bool = True) -> pa.DictionaryArray:
    """A column of any codes whose dictionary may hold a value twice, a missing one, and some that nobody uses."""
    entries = TEXTS | st.none() if repeated else TEXTS
    values = draw(st.lists(entries, min_size=1, max_size=6, unique=not repeated))
    codes = values_of(draw, n, st.none() | st.integers(0, len(values) - 1))
    indices = pa.array(codes, getattr(pa, draw(st.sampled_from(WHOLE)))())
    text = draw(st.sampled_from([pa.string(), pa.large_string()]))
    return pa.DictionaryArray.from_arrays(indices, pa.array(values, text), ordered=draw(st.booleans()))


@st.composite
def columns(draw: st.DrawFn, n: int, *, repeated: bool = True) -> pa.Array:
    """A column of a type that obs or var can have; values are missing where h5ad can say so."""
    kind = draw(st.sampled_from(["dictionary", "dictionary", "text", "bool", "float32", "float64", *WHOLE]))
    if kind == "dictionary":
        return draw(dictionaries(n, repeated=repeated))
    if kind == "text":
        return pa.array(values_of(draw, n, TEXTS), draw(st.sampled_from([pa.string(), pa.large_string()])))
    if kind == "bool":
        return pa.array(values_of(draw, n, st.booleans()), pa.bool_())
    if kind.startswith("float"):
        width = 32 if kind == "float32" else 64
        return pa.array(values_of(draw, n, st.none() | st.floats(width=width)), getattr(pa, kind)())
    limits = np.iinfo(kind)
    return pa.array(values_of(draw, n, st.integers(int(limits.min), int(limits.max))), getattr(pa, kind)())


def table_of(draw: st.DrawFn, n: int, names: Sequence[str], *, repeated: bool = True) -> pa.Table:
    drawn = [draw(columns(n, repeated=repeated)) for _ in range(draw(st.integers(0, 3)))]
    joinids = pa.array(sorted(draw(st.sets(st.integers(0, 2**63 - 1), min_size=n, max_size=n))), pa.int64())
    names = draw(st.permutations([*names, "a b", "眼", "x.y", "index"]))
    return pa.table({"soma_joinid": joinids, **dict(zip(names, drawn, strict=False))})


@st.composite
def tables(draw: st.DrawFn, names: Sequence[str] = ("tissue",), *, repeated: bool = True) -> pa.Table:
    """obs or var of a few rows, with some columns of any names and of these."""
    return table_of(draw, draw(st.integers(1, 6)), names, repeated=repeated)


def plain(n: int) -> pa.Table:
    return pa.table({"soma_joinid": pa.array(range(n), pa.int64())})


def empty_rows(n_obs: int) -> CsrRows:
    return CsrRows(np.zeros(n_obs + 1, np.int64), np.empty(0, np.int32), np.empty(0, np.float32))


def decode(image: bytes) -> Any:
    file: Any = io.BytesIO(image)
    return anndata.read_h5ad(file)


def encode_obs(obs: pa.Table, compression: str = "gzip") -> bytes:
    return encode_rows(
        empty_rows(obs.num_rows), obs, plain(2), obs_columns=obs.schema.names[1:], compression=compression
    )


@settings(PROPERTY, max_examples=50)
@given(matrix=matrices(), compression=st.sampled_from(COMPRESSIONS), parts=st.lists(st.floats(0, 1), max_size=3))
@example(matrix=(empty_rows(1), 1), compression="gzip", parts=[])
def test_any_csr_comes_back_to_the_bit(matrix: tuple[CsrRows, int], compression: str, parts: list[float]) -> None:
    x, n_vars = matrix
    cuts = sorted(int(part * x.n_rows) for part in parts)

    image = encode_rows(x, plain(x.n_rows), plain(n_vars), obs_columns=(), compression=compression, cuts=cuts)

    read = decode(image).X
    assert read.shape == (x.n_rows, n_vars)
    with h5py.File(io.BytesIO(image)) as file:
        raw: Any = file["X"]
        for found in ((read.data, read.indices, read.indptr), (raw["data"][:], raw["indices"][:], raw["indptr"][:])):
            np.testing.assert_array_equal(found[0].view(np.uint32), x.data.view(np.uint32))
            np.testing.assert_array_equal(found[1], x.indices)
            np.testing.assert_array_equal(found[2], x.indptr)


@settings(PROPERTY)
@given(obs=tables(), compression=st.sampled_from(COMPRESSIONS))
def test_any_obs_comes_back_value_by_value(obs: pa.Table, compression: str) -> None:
    read = decode(encode_obs(obs, compression)).obs

    assert read.columns.tolist() == obs.schema.names
    assert read.index.tolist() == [str(joinid) for joinid in obs["soma_joinid"].to_pylist()]
    for name in obs.schema.names:
        assert_same_values(read[name], obs[name].combine_chunks())


@settings(PROPERTY, max_examples=30)
@given(
    var=tables(("feature_id", "feature_type")),
    compression=st.sampled_from(COMPRESSIONS),
    genes_text=st.sampled_from(GENES_TEXTS),
)
def test_any_var_comes_back_value_by_value(var: pa.Table, compression: str, genes_text: str) -> None:
    image = encode_rows(empty_rows(1), plain(1), var, obs_columns=(), compression=compression, genes_text=genes_text)

    read = decode(image).var
    assert read.columns.tolist() == var.schema.names
    for name in var.schema.names:
        column = var[name].combine_chunks()
        if name == "feature_type" and is_text(column.type):
            assert read[name].cat.categories.tolist() == sorted(set(column.to_pylist()))
            column = column.dictionary_encode()
            read[name] = read[name].cat.set_categories(column.dictionary.to_pylist())
        assert_same_values(read[name], column)
    named = "feature_id" in var.schema.names and is_text(var.schema.field("feature_id").type)
    assert read.index.tolist() == (
        var["feature_id"].to_pylist() if named else [str(row) for row in range(var.num_rows)]
    )
    assert read.index.name is None


def assert_same_values(read: pd.Series, column: pa.Array) -> None:
    expected = column.to_pylist()
    if isinstance(column, pa.DictionaryArray):
        categories = list(dict.fromkeys(value for value in column.dictionary.to_pylist() if value is not None))
        assert read.cat.categories.tolist() == categories
        assert read.cat.ordered == column.type.ordered
    elif not pa.types.is_large_string(column.type) and not pa.types.is_string(column.type):
        assert read.dtype == column.type.to_pandas_dtype()
    if pa.types.is_floating(column.type):
        np.testing.assert_array_equal(read.to_numpy(), column.to_numpy(zero_copy_only=False))
    else:
        assert read.astype(object).where(read.notna(), None).tolist() == expected


@settings(PROPERTY, max_examples=25)
@given(obs=tables(repeated=False))
def test_obs_is_what_pandas_and_anndata_make_of_the_same_table(
    obs: pa.Table, tmp_path_factory: pytest.TempPathFactory
) -> None:
    frame = obs.to_pandas()
    frame.index = frame["soma_joinid"].astype(str).rename(None)
    file = tmp_path_factory.getbasetemp() / "reference.h5ad"
    # The Census keeps plain text plain, and so do we.
    anndata.AnnData(obs=frame).write_h5ad(file, convert_strings_to_categoricals=False)

    pd.testing.assert_frame_equal(decode(encode_obs(obs)).obs, anndata.read_h5ad(file).obs)


@pytest.mark.parametrize(
    ("column", "message"),
    [
        (lambda: pa.array([True, None]), r"obs\.bad: 1 cell without a value; leave the column out"),
        (lambda: pa.array([None, 5], pa.int32()), r"obs\.bad: 1 cell without a value; leave the column out"),
        (lambda: pa.array([None, "a"]), r"obs\.bad: 1 cell without a value; leave the column out"),
        (lambda: pa.array(["a\0b", "c"]), r"obs\.bad: a value has the character NUL in it"),
        (lambda: pa.array(["a\0b", "c"], pa.large_string()).dictionary_encode(), r"obs\.bad: a value has the .* NUL"),
        (lambda: pa.array([1, 2], pa.timestamp("s")), r"obs\.bad: h5ad has no encoding for timestamp"),
        (lambda: pa.array([[1], [2]]), r"obs\.bad: h5ad has no encoding for list"),
    ],
)
def test_what_h5ad_cannot_hold_is_refused_with_its_column(column: Callable[[], pa.Array], message: str) -> None:
    with pytest.raises(CxgError, match=message):
        encode_obs(plain(2).append_column("bad", column()))


def test_text_of_var_with_a_nul_is_refused_with_its_column() -> None:
    var = plain(2).append_column("feature_name", pa.array(["a\0b", "c"]))

    with pytest.raises(CxgError, match=r"var\.feature_name: a value has the character NUL in it"):
        encode_rows(empty_rows(1), plain(1), var, obs_columns=(), compression="gzip")


def test_text_of_var_with_a_missing_value_is_refused_with_its_column() -> None:
    var = plain(2).append_column("feature_name", pa.array(["a", None]))

    with pytest.raises(CxgError, match=r"var\.feature_name: 1 gene without a value"):
        encode_rows(empty_rows(1), plain(1), var, obs_columns=(), compression="gzip")
