"""Marks the plan that a run writes, at the destination, where every machine sees it: prune leaves a marked plan alone.

A run puts its mark before it reads the plan, and removes it at its end. While it goes on it puts the mark anew at
intervals, so that the mark of a run that was killed ages out. The age is told by the store's own times.

Prune takes a plan's plan.parquet away first, and then looks for marks once more. So of a run that begins and a prune
that removes, at least one sees the other: the run finds no plan, or prune finds the mark and puts the plan back.
"""

import contextlib
import os
import socket
import threading
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Literal

from cxg_assets.ingest.errors import StoreError, WrongRecord
from cxg_assets.ingest.layout import is_mark, mark_path
from cxg_assets.ingest.records import decode, encode
from cxg_assets.ingest.storage.local import Listed
from cxg_assets.ingest.storage.probe import SHORT
from cxg_assets.ingest.storage.store import Store, StoreLocator

REFRESHED_EVERY = timedelta(minutes=5)
"""A run puts its mark anew so often."""

COUNTS_FOR = timedelta(hours=1)
"""A mark that is older is of a run that was killed. Twelve times the interval: room for a destination that does not
answer for a while, and for clocks that differ (S3 itself refuses a client whose clock is 15 minutes off)."""

Work = Literal["writes chunks", "publishes", "exports"]


@dataclass(frozen=True, kw_only=True)
class PlanMark:
    """What a mark says: which run does what, in which process of which machine, since when (UTC, ISO 8601)."""

    run_id: str
    work: Work
    host: str
    pid: int
    since: str

    def in_words(self) -> str:
        """Who does what, for a person."""
        return f"run {self.run_id} on {self.host} (process {self.pid}) {self.work} since {self.since}"


@contextlib.contextmanager
def marked(locator: StoreLocator, subset_name: str, plan_id: str, run_id: str, work: Work) -> Iterator[None]:
    """Marks a plan inside the block. One PUT, another one for each `REFRESHED_EVERY`, and one DELETE.

    Whoever reads the plan does it inside the block: it may have been removed before the mark was put. Runs have marks
    of their own, and may mark one plan together.

    Raises:
        StoreError: The mark could not be put. That it could not be refreshed or removed is no error: it ages out.
    """
    since = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    mark = PlanMark(run_id=run_id, work=work, host=socket.gethostname(), pid=os.getpid(), since=since)
    path, data = mark_path(subset_name, plan_id, run_id), encode(mark)
    locator.open().put(path, data)
    # A refresh comes again, and for the end of a run nobody waits for minutes.
    store, ended = locator.open(SHORT), threading.Event()

    def refresh() -> None:
        while not ended.wait(REFRESHED_EVERY.total_seconds()):
            with contextlib.suppress(StoreError):
                store.put(path, data)

    refreshing = threading.Thread(target=refresh, name=f"mark of {plan_id}", daemon=True)
    refreshing.start()
    try:
        yield
    finally:
        ended.set()
        # A refresh that is under way would come after the removal.
        refreshing.join(SHORT.limit_seconds)
        with contextlib.suppress(StoreError, FileNotFoundError):
            store.delete(path)


def split_marks(objects: Mapping[str, Listed]) -> tuple[list[str], list[str]]:
    """Marks among objects that were listed, by path: of runs that go on, and of runs that were killed."""
    oldest = datetime.now(UTC) - COUNTS_FOR
    marks = sorted(path for path in objects if is_mark(path))
    going_on = [path for path in marks if objects[path].modified > oldest]
    return going_on, [path for path in marks if path not in going_on]


def writers(store: Store, objects: Mapping[str, Listed]) -> str:
    """Who writes in a plan's folder, of which the objects were listed, for a person; empty when nobody does."""
    found = []
    for path in split_marks(objects)[0]:
        try:
            found.append(decode(PlanMark, store.get(path), path=path, remedy="").in_words())
        except FileNotFoundError:
            continue  # that run has ended
        except WrongRecord:
            found.append(f"a run writes here, by its mark {path}")
    return "; ".join(found)
