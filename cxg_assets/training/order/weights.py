"""How likely each cell is drawn, from a column of its obs."""

from collections.abc import Mapping, Sequence

import numpy as np
import pyarrow as pa

from cxg_assets.ingest.errors import BadInput, shown, shown_names
from cxg_assets.ingest.plan.chunk_plan import Chunk
from cxg_assets.ingest.storage.feather import FeatherFile, FeatherSource

BALANCED = "balanced"

Weights = str | Mapping[str, str | Mapping[str, float]]
"""A column of numbers; or a column of labels with the weight of each, 1 where it is not named, or `balanced`: every
label gets the same share."""


def cell_weights(weights: Weights, obs: FeatherSource, chunks: Sequence[Chunk]) -> np.ndarray:
    """The weight of each cell of some chunks, (n_obs,) float32, in their order.

    Args:
        weights: What was asked for.
        obs: The obs file that the rows of the chunks are of.
        chunks: The chunks.

    Raises:
        BadInput: There is no such column or label, or a weight is no number from 0 on, or all are 0.
    """
    if not isinstance(weights, str) and len(weights) != 1:
        raise BadInput(f"weights: {len(weights)} columns are named; name one")
    column = weights if isinstance(weights, str) else next(iter(weights))
    with FeatherFile(obs) as file:
        if column not in file.schema.names:
            raise BadInput(f"weights: there is no column {shown(column)}; there are {', '.join(file.schema.names)}")
    with FeatherFile(obs, columns=[column]) as file:
        values = file.read()[column].combine_chunks()
    rows = np.concatenate([np.arange(chunk.row_start, chunk.row_stop) for chunk in chunks])
    values = values.take(pa.array(rows))
    found = _numbers(values, column) if isinstance(weights, str) else _of_labels(values, column, weights[column])
    if not np.isfinite(found).all() or (found < 0).any():
        raise BadInput(f"weights: {column} has values that are no numbers from 0 on")
    if not found.any():
        raise BadInput(f"weights: all cells have the weight 0 by {column}")
    return found.astype(np.float32)


def _numbers(values: pa.Array, column: str) -> np.ndarray:
    kind = values.type
    if not (pa.types.is_integer(kind) or pa.types.is_floating(kind) or pa.types.is_boolean(kind)):
        raise BadInput(f"weights: {column} holds no numbers; give the weights of its labels, {{{column!r}: {{…}}}}")
    return np.asarray(values.cast(pa.float64()).to_numpy(zero_copy_only=False))


def _of_labels(values: pa.Array, column: str, asked: str | Mapping[str, float]) -> np.ndarray:
    encoded = values if isinstance(values, pa.DictionaryArray) else values.dictionary_encode()
    labels = [str(label) for label in encoded.dictionary.to_pylist()]
    codes = encoded.indices.fill_null(len(labels)).cast(pa.int64()).to_numpy()
    if isinstance(asked, str):
        if asked != BALANCED:
            raise BadInput(f"weights: {shown(asked)} is unknown; give the weights of labels, or {BALANCED}")
        counts = np.bincount(codes, minlength=len(labels) + 1)
        # Cells without a label are not drawn.
        return np.append(1 / np.maximum(counts[:-1], 1), 0.0)[codes]
    unknown = [label for label in asked if label not in labels]
    if unknown:
        raise BadInput(f"weights: {column} has no {shown_names(unknown)}; it has {shown_names(labels)}")
    try:
        return np.array([float(asked.get(label, 1.0)) for label in [*labels, ""]])[codes]
    except (TypeError, ValueError) as error:
        raise BadInput(f"weights: a weight of {column} is no number ({error})") from error
