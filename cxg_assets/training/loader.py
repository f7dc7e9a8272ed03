"""The loader: batches of the cells of a published dataset, epoch after epoch."""

import contextlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np

from cxg_assets.ingest.errors import BadInput, shown
from cxg_assets.ingest.storage.feather import feather_source
from cxg_assets.ingest.storage.placing import checksum
from cxg_assets.ingest.storage.store import StoreLocator
from cxg_assets.training.batch import Batch
from cxg_assets.training.opened import OpenedDataset, gene_columns, open_dataset
from cxg_assets.training.order.draws import drawn_counts
from cxg_assets.training.order.epoch import Epoch, Share
from cxg_assets.training.order.weights import Weights, cell_weights
from cxg_assets.training.reading import Reading, n_cores
from cxg_assets.training.row_source import ChunkIndex
from cxg_assets.training.settings import Settings, require_number
from cxg_assets.training.spare_memory import SLACK
from cxg_assets.training.transform import Transform

BUFFER_NNZ = 27_000_000
"""Non-zeros of a buffer by default: 16,000 cells of all genes, 216 MB."""

RUN_NNZ = 8 * 65_536
"""Non-zeros of a run by default, eight blocks of the files or some 300 cells: a run decodes one block more than it has,
and 50 of them are mixed."""

STATE_VERSION = 1


class Batches:
    """An iterable of `Batch`, made by `batches`. An iteration is one epoch or more; the next begins where it ended.

    Picklable while it is not iterated.

    Attributes:
        labels: Labels of each label column: the place of one in the list is its code.
        genes: feature_id of each column of X.
        n_obs: Cells of the dataset or its split; without `drop_last` every one is in each epoch (of all ranks).
    """

    def __init__(
        self,
        opened: OpenedDataset,
        settings: Settings,
        transform: Transform,
        *,
        genes: Sequence[str],
        epochs: int | None,
        rank: int,
        n_threads: int | None,
        weights: np.ndarray | None,
    ) -> None:
        """Use `batches`."""
        self.labels = opened.labels
        self.genes = tuple(genes)
        self.n_obs = opened.n_obs
        self._opened, self._settings, self._transform = opened, settings, transform
        self._epochs, self._rank, self._n_threads, self._weights = epochs, rank, n_threads, weights
        self._indexes: dict[int, ChunkIndex] = {}
        self._position = (0, 0)
        self._resumes = False

    @property
    def n_vars(self) -> int:
        """Columns of X."""
        return self._transform.n_kept

    @property
    def epoch(self) -> int:
        """Number of the epoch that is handed out, or comes next."""
        return self._position[0]

    @property
    def memory_bytes(self) -> int:
        """About what one iteration holds: three buffers, of two the packed bytes, and what is known of each cell."""
        cells = min(self._settings.buffer_size, self.n_obs)
        nnz = int(cells * self._opened.nnz_per_cell)
        return int(3 * 8 * nnz * SLACK) + 2 * 3 * nnz + self.n_obs * (12 + 4 * len(self.labels))

    def __len__(self) -> int:
        """Batches of an epoch, of this rank."""
        return self.n_batches(1)

    def __iter__(self) -> Iterator[Batch]:
        """Hands out batches; after `load_state_dict` from there on, else from the beginning of the current epoch."""
        return self.iterate(0, 1)

    def n_batches(self, n_workers: int) -> int:
        """Batches of an epoch that so many workers of this rank hand out together."""
        return n_workers * self._share(0, n_workers).n_batches

    def set_epoch(self, epoch: int) -> None:
        """The next iteration begins with this epoch. Without a call each iteration goes on with the next epoch."""
        require_number("epoch", epoch, 0)
        if not (self._resumes and epoch == self.epoch):
            self._position, self._resumes = (epoch, 0), False

    def state_dict(self) -> dict[str, Any]:
        """Where the loader is, as JSON has it: what was handed out counts as done."""
        return self.state_at(*self._position)

    def state_at(self, epoch: int, batch: int) -> dict[str, Any]:
        """The state after so many batches of an epoch."""
        return {
            "version": STATE_VERSION,
            "dataset": f"{self._opened.header.subset.name}/{self._opened.header.plan_id}",
            "settings": asdict(self._settings),
            "epoch": epoch,
            "batch": batch,
        }

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """The next iteration goes on from a state; the rest of its epoch counts as one.

        Raises:
            BadInput: It is of another dataset, or of other settings.
        """
        own = self.state_dict()
        missing = [name for name in own if name not in state]
        if missing or state["version"] != STATE_VERSION or not isinstance(state["settings"], Mapping):
            raise BadInput("state: it is none of this version of cxg_assets; begin the epoch anew")
        if state["dataset"] != own["dataset"]:
            raise BadInput(
                f"state: it is of {shown(state['dataset'])}, this dataset is {own['dataset']}; "
                "its cells are others: begin anew, or load the dataset that the state is of"
            )
        for name, value in own["settings"].items():
            if state["settings"].get(name) != value:
                given = shown(state["settings"].get(name), 40)
                raise BadInput(f"state: {name} was {given} and is {shown(value, 40)} now; give the one of the state")
        for name in ("epoch", "batch"):
            require_number(f"state: {name}", state[name], 0)
        self._position, self._resumes = (state["epoch"], state["batch"]), True

    def iterate(self, worker: int, n_workers: int) -> Iterator[Batch]:
        """What one of several workers of this rank hands out; together they hand out the rank's share."""
        epoch, batch = self._position
        batch, self._resumes = (batch if self._resumes else 0), False
        share = self._share(worker, n_workers)
        last = None if self._epochs is None else epoch + self._epochs
        n_threads = self._n_threads or max(n_cores() // n_workers, 1)
        opened = self._opened
        reading = Reading(opened.source, opened.chunks, tuple(self.labels), self._transform, self._indexes, n_threads)
        with contextlib.closing(reading):
            while last is None or epoch < last:
                for done, handed_out in enumerate(self._epoch(reading, share, epoch, batch), batch + 1):
                    self._position = (epoch, done)
                    yield handed_out
                epoch, batch = epoch + 1, 0
                self._position = (epoch, 0)

    def _epoch(self, reading: Reading, share: Share, number: int, first: int) -> Iterator[Batch]:
        """The batches of an epoch from one on."""
        settings = self._settings
        counts = None if self._weights is None else drawn_counts(self._weights, settings.seed, number)
        n_obs = [chunk.n_obs for chunk in self._opened.chunks]
        epoch = Epoch(n_obs, settings.run_size, settings.seed, number, shuffle=settings.shuffle, counts=counts)
        n_in_buffer = max(settings.buffer_size // settings.batch_size, 1)
        starts = range(first - first % n_in_buffer, share.n_batches, n_in_buffer)
        batches_of = [range(start, min(start + n_in_buffer, share.n_batches)) for start in starts]
        edges = [(share.edge(some.start), share.edge(some.stop)) for some in batches_of]
        buffers = reading.buffers(epoch, edges, settings.seed, number, shuffle=settings.shuffle)
        for buffer, some, (begin, _) in zip(buffers, batches_of, edges, strict=True):
            for batch in some:
                if batch >= first:
                    yield buffer.batch(share.edge(batch) - begin, share.edge(batch + 1) - begin)
            del buffer

    def _share(self, worker: int, n_workers: int) -> Share:
        settings = self._settings
        n_readers = settings.world_size * n_workers
        least = n_readers * settings.batch_size if settings.drop_last else n_readers
        if self.n_obs < least:
            raise BadInput(
                f"{self.n_obs:,} cells are too few for {n_readers} readers (world_size times workers)"
                f"{' with a full batch each' if settings.drop_last else ''}; take fewer"
            )
        return Share(
            n_cells=self.n_obs,
            batch_size=settings.batch_size,
            number=self._rank * n_workers + worker,
            n_readers=n_readers,
            drop_last=settings.drop_last,
        )


def batches(
    url: str | Path | StoreLocator,
    subset_name: str | None = None,
    *,
    split: str | None = None,
    batch_size: int = 512,
    labels: Sequence[str] = ("cell_type",),
    seed: int = 0,
    shuffle: bool = True,
    epochs: int | None = 1,
    drop_last: bool = False,
    genes: Sequence[str] | None = None,
    normalize: float | None = None,
    log1p: bool = False,
    weights: Weights | None = None,
    rank: int = 0,
    world_size: int = 1,
    buffer_size: int | None = None,
    run_size: int | None = None,
    n_threads: int | None = None,
) -> Batches:
    """Batches of the cells of a published dataset: X as CSR, labels as integers. What is published is looked up now.

    An epoch has every cell once, in an order that follows from seed and epoch; with `weights` as many cells as there
    are, drawn with replacement. Ranks share it: no cell comes to two of them, all get the same number of batches, and
    the last batch of each may be shorter (with `drop_last` it is left out instead).

    Args:
        url: Where the dataset is: the folder of the subset or its dataset.json, as URL or path; with a name the
            destination. S3 is reached as the `AWS_*` variables and profiles say, or as a `StoreLocator` says.
        subset_name: Name of the subset, where the URL is that of its destination.
        split: Only the cells of this part of the split.
        batch_size: Cells of a batch.
        labels: Columns of obs whose labels are handed out as integers.
        seed: Of order and draws.
        shuffle: Mix cells; else they come in the order of the files.
        epochs: So many in one iteration; None goes on for ever.
        drop_last: Full batches only.
        genes: feature_ids of the columns of X, in this order; None takes all.
        normalize: Scale each cell to this sum of its counts, of all genes of the dataset.
        log1p: Take log(1 + x), after that.
        weights: A column of obs with the weight of each cell; or the weights of the labels of a column, like
            `{"cell_type": {"T cell": 2.0}}` (others weigh 1) or `{"cell_type": "balanced"}`.
        rank: Number of this process among those that share an epoch.
        world_size: How many they are.
        buffer_size: Cells that are mixed at a time and held in memory; None takes as many as have 27M non-zeros.
        run_size: Cells that are read side by side; None takes as many as have 524,288 non-zeros. Fewer mix better
            and decode more.
        n_threads: That decode; None is one for each core. The cells do not depend on it.

    Raises:
        BadInput: Nothing is published there, or it has no such part, labels or genes; a number is out of range.
    """
    labels = (labels,) if isinstance(labels, str) else tuple(dict.fromkeys(labels))
    if not isinstance(rank, int) or not 0 <= rank < max(world_size, 1):
        raise BadInput(f"rank: {shown(rank)} is none of {world_size} (world_size), counted from 0")
    for name, value in (("epochs", epochs), ("n_threads", n_threads), ("buffer_size", buffer_size)):
        if value is not None:
            require_number(name, value, 1)
    if normalize is not None and not (isinstance(normalize, int | float) and 0 < normalize < np.inf):
        raise BadInput(f"normalize: {shown(normalize)} is no sum above 0, like 10000")
    settings = Settings(
        split=split,
        batch_size=batch_size,
        seed=seed,
        shuffle=shuffle,
        drop_last=drop_last,
        buffer_size=buffer_size or 1,
        run_size=1 if run_size is None else run_size,
        world_size=world_size,
    )
    opened = open_dataset(url, subset_name, split, labels)
    per_cell = max(opened.nnz_per_cell, 1.0)
    cells = max(int(BUFFER_NNZ / per_cell) if buffer_size is None else buffer_size, batch_size)
    settings = replace(
        settings,
        buffer_size=cells - cells % batch_size,
        run_size=max(int(RUN_NNZ / per_cell), 1) if run_size is None else run_size,
    )
    of_cells = None
    if weights is not None:
        obs = feather_source(opened.locator.open(), opened.header.obs_path)
        of_cells = cell_weights(weights, obs, opened.chunks)
        settings = replace(settings, weights=checksum(of_cells.tobytes())[:16])
    columns = gene_columns(opened.genes, genes, opened.header.subset.name)
    transform = Transform(n_vars=len(opened.genes), columns=columns, target_sum=normalize, log1p=log1p)
    made = Batches(
        opened,
        settings,
        transform,
        genes=opened.genes if genes is None else genes,
        epochs=epochs,
        rank=rank,
        n_threads=n_threads,
        weights=of_cells,
    )
    len(made)  # there are enough cells
    return made
