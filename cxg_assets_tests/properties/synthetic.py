"""Chunks without a Census: X, obs and var follow from joinids and a seed, as a release decides those of a real one."""

from collections.abc import Mapping, Sequence
from itertools import pairwise

import numpy as np
import pyarrow as pa

from cxg_assets.ingest.chunks.encoder import ChunkEncoder
from cxg_assets.ingest.chunks.h5ad_template import make_template
from cxg_assets.ingest.spec import VARIABLE
from cxg_assets.ingest.x.csr import CsrRows


def encode_rows(
    x: CsrRows,
    obs: pa.Table,
    var: pa.Table,
    *,
    obs_columns: Sequence[str],
    compression: str,
    provenance: Mapping[str, str] | None = None,
    chunk: str = "00000",
    fingerprint: str = "",
    chunk_size: int = 0,
    cuts: Sequence[int] = (),
    genes_text: str = VARIABLE,
) -> bytes:
    """The bytes of one chunk, its rows appended in pieces.

    Args:
        x: Its rows.
        obs: Its cells.
        var: Its genes.
        obs_columns: obs columns after soma_joinid.
        compression: One of `spec.COMPRESSIONS`.
        provenance: What `uns` tells.
        chunk: Its key.
        fingerprint: Its fingerprint.
        chunk_size: Cells of the largest chunk of the plan; 0 if that is this one.
        cuts: Rows that the pieces end at, ascending.
        genes_text: One of `spec.GENES_TEXTS`.
    """
    template = make_template(
        var,
        obs.slice(0, 1),
        x.data.dtype,
        obs_columns=obs_columns,
        provenance=provenance or {},
        compression=compression,
        chunk_size=chunk_size or obs.num_rows,
        genes_text=genes_text,
    )
    encoder = ChunkEncoder(template)
    for start, stop in pairwise([0, *cuts, x.n_rows]):
        encoder.append(x.rows(start, stop))
    return encoder.finish(obs, chunk, fingerprint)


def tissues_of(release: str, others: Sequence[str] = ()) -> list[str]:
    """Categories of a subset: those of the cells below, and those of other cells."""
    return ["blood", "眼", release, *others]


def obs_of(joinids: np.ndarray, release: str, others: Sequence[str] = ()) -> pa.Table:
    """Cells of a release: three columns that depend on cell and release; `others` as for `tissues_of`."""
    numbers = joinids % 1009 + len(release)
    categories = pa.array(tissues_of(release, others))
    tissues = pa.DictionaryArray.from_arrays(pa.array(numbers % 3, pa.int8()), categories)
    donors = [f"donor {number} of {release}" for number in numbers]
    return pa.table({"soma_joinid": joinids, "tissue": tissues, "donor_id": donors, "raw_sum": numbers / 7})


def var_of(gene_joinids: np.ndarray, padded: Sequence[str] = ()) -> pa.Table:
    """Genes with these joinids; -1 are those that are padded, with these names in order."""
    names = iter(padded)
    feature_ids = [f"ENSG{joinid}" if joinid >= 0 else next(names) for joinid in gene_joinids]
    return pa.table({"soma_joinid": gene_joinids, "feature_id": feature_ids})


def x_of(joinids: np.ndarray, gene_joinids: np.ndarray, release: str) -> CsrRows:
    """X of these cells and genes: half of the values are stored, among them those of a cell's first gene.

    Nothing is stored for a gene of joinid -1.
    """
    cells, genes = np.meshgrid(np.arange(len(joinids)), np.arange(len(gene_joinids)), indexing="ij")
    stored = ((cells + genes) % 2 * genes == 0) & (gene_joinids >= 0)[None, :]
    values = (joinids % 997)[:, None] * 31 + (gene_joinids % 991)[None, :] * 7 + len(release) + 1
    indptr = np.concatenate([[0], np.cumsum(stored.sum(axis=1))]).astype(np.int64)
    return CsrRows(indptr, genes[stored].astype(np.int32), values[stored].astype(np.float32))
