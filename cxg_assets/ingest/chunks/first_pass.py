"""The first of two passes over fully shuffled cells: a piece in census order, kept sorted by pool."""

import time

import numpy as np

from cxg_assets.ingest.census.tiles import cell_nnz
from cxg_assets.ingest.chunks.job import IngestJob, Opened
from cxg_assets.ingest.chunks.report import Costs
from cxg_assets.ingest.chunks.row_feed import RowFeed
from cxg_assets.ingest.layout import subset_obs_path
from cxg_assets.ingest.plan.ordering import parts_of
from cxg_assets.ingest.plan.passes.two_passes import Piece
from cxg_assets.ingest.pools.packed_rows import PackedRows, pack, unpack
from cxg_assets.ingest.pools.piece_file import piece_image
from cxg_assets.ingest.pools.pieces import PieceSet
from cxg_assets.ingest.spec import SPLIT
from cxg_assets.ingest.storage.feather import FeatherFile, feather_source, present_columns
from cxg_assets.ingest.storage.s3_store import n_requests
from cxg_assets.ingest.x.costs import OtherThreads


def make_piece(job: IngestJob, opened: Opened, pieces: PieceSet, piece: Piece) -> tuple[int, Costs]:
    """Reads the cells of a piece that are of the set's pools, and stores them, array by array.

    Returns:
        How often a request was repeated, and what it took.

    Raises:
        CxgError: The Census or the destination did not do what was asked.
    """
    began, others, n_retries = time.thread_time(), OtherThreads(), 0
    joinids, nnz, pools = _cells_of(job, opened, pieces, piece)
    sections = np.searchsorted(pieces.pools, pools)
    costs = Costs()
    for path, reader in opened.readers.items():  # one after the other, so that memory is that of one
        feed = RowFeed(reader, joinids, opened.expected_nnz(path, nnz), opened.reading, others)
        try:
            blocks = [pack(rows) for rows in feed.take(len(joinids))]
        finally:
            feed.close()
        blocks = blocks or [PackedRows(np.empty(0, np.int32), np.zeros(1, np.int64), np.empty(0, np.uint8), 0)]
        if len({block.width for block in blocks}) > 1:
            blocks = [pack(unpack(block, reader.dtype), as_counts=False) for block in blocks]
        image = piece_image(blocks, joinids, sections, len(pieces.pools))
        del blocks
        n_put_again = opened.store.put(pieces.path(piece, path), image)
        n_retries += n_put_again + feed.taken.retries
        of_feed = Costs(
            cpu_seconds=feed.taken.cpu_seconds,
            bytes_read=round(feed.taken.bytes_read),
            read_requests=feed.taken.requests,
            write_requests=n_requests(len(image)) + n_put_again,
        )
        costs = Costs.of((costs, of_feed))
    return n_retries, Costs.of((costs, Costs(cpu_seconds=time.thread_time() - began)))


def _cells_of(
    job: IngestJob, opened: Opened, pieces: PieceSet, piece: Piece
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Joinids, expected non-zeros and pools of the cells of a piece that are of the set's pools, each (n,) int64."""
    subset = job.header.subset
    source = feather_source(opened.store, subset_obs_path(subset.name, subset.fingerprint))
    with FeatherFile(source, columns=present_columns(source, ("soma_joinid", "nnz", SPLIT))) as file:
        obs = file.rows(piece.row_start, piece.row_stop)
    joinids = obs["soma_joinid"].to_numpy()
    parts = np.concatenate([parts_of(batch) for batch in obs.to_batches()])
    pools = pieces.two_passes.pools(joinids, parts)
    is_wanted = np.isin(pools, pieces.pools)
    return joinids[is_wanted], cell_nnz(obs)[is_wanted], pools[is_wanted]
