"""The loader for PyTorch: a dataset that shares an epoch among ranks and workers, and a DataLoader that resumes."""

from collections.abc import Iterator, Mapping
from typing import Any

import torch
import torch.distributed
from torch.utils.data import DataLoader, IterableDataset, get_worker_info

from cxg_assets.ingest.errors import BadInput, shown
from cxg_assets.training.batch import Batch
from cxg_assets.training.loader import Batches, batches

N_WORKERS = "n_workers"
"""Of a state: workers that share the batches of a rank, 1 without. The batches of a state are those of all of them."""


class CellDataset(IterableDataset):
    """Batches as tensors, by name: `X` (sparse CSR or dense, float32), `soma_joinid` and each label column (int64).

    It makes whole batches: a DataLoader takes it with `batch_size=None`, or use `CellLoader`. Ranks are those of
    `torch.distributed`, if that is initialised when it is made. Workers of a DataLoader may be forked or spawned; each
    has buffers and threads of its own, so that one or two are enough.

    With workers of a plain DataLoader call `set_epoch` before each epoch: they begin anew each time and do not know how
    many there were. `CellLoader` does it.

    Attributes:
        batches: What it hands out, with labels, genes, n_obs and n_vars.
    """

    def __init__(self, url: Any, subset_name: str | None = None, *, dense: bool = False, **options: Any) -> None:
        """Looks up what is published; arguments and errors are those of `batches`.

        Args:
            url: Where the dataset is.
            subset_name: Its name, where the URL is that of its destination.
            dense: X as a dense tensor: n_vars times 4 bytes a cell, so with `genes` rather than with all.
            options: Those of `batches`, but for `epochs`: an iteration is one.
        """
        super().__init__()
        if "epochs" in options:
            raise BadInput("epochs: an iteration of a CellDataset is one epoch; leave it out")
        if "rank" not in options and torch.distributed.is_available() and torch.distributed.is_initialized():
            options |= {"rank": torch.distributed.get_rank(), "world_size": torch.distributed.get_world_size()}
        self.batches: Batches = batches(url, subset_name, **options)
        self._dense = dense
        # Where the next iteration begins: the epoch, the batches of it that are done, and the workers that did them.
        # Shared, so that workers that are kept from epoch to epoch see it too.
        self._start = torch.tensor([0, 0, 1]).share_memory_()

    def __iter__(self) -> Iterator[dict[str, torch.Tensor]]:
        """Hands out an epoch, in a worker its share."""
        info = get_worker_info()
        number, n_workers = (0, 1) if info is None else (info.id, info.num_workers)
        epoch, done, of_workers = self._start.tolist()
        if done:
            _require_workers(of_workers, n_workers)
        # Workers hand out by turns, and the first one of a DataLoader begins: it goes on where the next turn was.
        worker = (number + done) % n_workers
        self.batches.load_state_dict(self.batches.state_at(epoch, (done - worker + n_workers - 1) // n_workers))
        for batch in self.batches.iterate(worker, n_workers):
            yield self._tensors(batch)
        if info is None:
            self._begin_at(epoch + 1, 0, 1)

    def set_epoch(self, epoch: int) -> None:
        """The next iteration begins with this epoch, or goes on in it if a state of it was loaded."""
        self.batches.set_epoch(epoch)
        if epoch != int(self._start[0]):
            self._begin_at(epoch, 0, 1)

    def state_dict(self) -> dict[str, Any]:
        """Where this process is, without workers: what was handed out counts as done."""
        return {**self.batches.state_dict(), N_WORKERS: 1}

    def state_at(self, epoch: int, n_batches: int, num_workers: int = 0) -> dict[str, Any]:
        """The state after so many batches of an epoch, that a DataLoader with so many workers has handed out.

        Workers read ahead, so that only who counts the batches of the DataLoader knows where it is.
        """
        return {**self.batches.state_at(epoch, n_batches), N_WORKERS: max(num_workers, 1)}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """The next iteration goes on from a state, with as many workers as it is of.

        Raises:
            BadInput: It is of another dataset, or of other settings.
        """
        self.batches.load_state_dict(state)
        self._begin_at(state["epoch"], state["batch"], state.get(N_WORKERS, 1))

    def _begin_at(self, epoch: int, n_batches: int, n_workers: int) -> None:
        self._start.copy_(torch.tensor([epoch, n_batches, n_workers]))

    def _tensors(self, batch: Batch) -> dict[str, torch.Tensor]:
        if self._dense:
            x = torch.from_numpy(batch.x.dense())
        else:
            parts = (torch.from_numpy(part) for part in (batch.x.indptr, batch.x.indices, batch.x.data))
            x = torch.sparse_csr_tensor(*parts, size=batch.x.shape, check_invariants=False)
        labels = {name: torch.from_numpy(codes) for name, codes in batch.labels.items()}
        return {"X": x, "soma_joinid": torch.from_numpy(batch.joinids), **labels}


class CellLoader(DataLoader):
    """A DataLoader over a `CellDataset` that counts epochs and batches: it goes on with the next epoch, and resumes.

    Attributes:
        cells: The dataset.
    """

    def __init__(self, dataset: CellDataset, **options: Any) -> None:
        """Takes the options of a DataLoader, but for those that make batches."""
        for name in ("batch_size", "shuffle", "sampler", "batch_sampler", "drop_last"):
            if name in options:
                raise BadInput(
                    f"{name}: {shown(options[name])} was given to the CellLoader; give it to the CellDataset"
                )
        super().__init__(dataset, batch_size=None, **options)
        self.cells = dataset
        self._epoch = self._n_batches = 0
        self._resumes = False

    def __len__(self) -> int:
        """Batches of an epoch, of this rank."""
        return self.cells.batches.n_batches(max(self.num_workers, 1))

    def __iter__(self) -> Iterator[Any]:
        """Hands out an epoch of this rank; what is left of it after `load_state_dict`."""
        if not self._resumes:
            self._n_batches = 0
        self._resumes = False
        epoch, done = self._epoch, self._n_batches
        self.cells.load_state_dict(self.cells.state_at(epoch, done, self.num_workers))
        for n_batches, batch in enumerate(super().__iter__(), done + 1):
            self._n_batches = n_batches
            yield batch
        self._epoch, self._n_batches = epoch + 1, 0

    def set_epoch(self, epoch: int) -> None:
        """The next iteration begins with this epoch, or goes on in it if a state of it was loaded."""
        if epoch != self._epoch:
            self._epoch, self._n_batches, self._resumes = epoch, 0, False

    def state_dict(self) -> dict[str, Any]:
        """Where this rank is, as JSON has it: what was handed out counts as done."""
        return self.cells.state_at(self._epoch, self._n_batches, self.num_workers)

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """The next iteration goes on from a state.

        Raises:
            BadInput: It is of another dataset, of other settings, or of another number of workers.
        """
        _require_workers(state.get(N_WORKERS, 1), max(self.num_workers, 1))
        self.cells.load_state_dict(state)
        self._epoch, self._n_batches, self._resumes = state["epoch"], state["batch"], True


def _require_workers(of_state: object, n_workers: int) -> None:
    if of_state != n_workers:
        raise BadInput(f"state: it is of num_workers {shown(of_state)}, this is {n_workers}; take that of the state")
