"""`python -m cxg_assets_tests.ingest.verify.verify_memory STORE SUBSET INDEX PLAN`: tells by how much memory grew.

Verifies a subset and its plan.

A process of its own, so that nothing that a test has freed before is used again. STORE is a URL; SUBSET and INDEX are
what is known of them, as JSON; PLAN is an id. Prints the peak of anonymous memory over what it was before, in bytes:
pages of files that are mapped are the kernel's to drop.
"""

import sys
import threading
import time
from pathlib import Path

import pyarrow as pa

from cxg_assets.ingest.census.row_hashes import hash_rows
from cxg_assets.ingest.plan.chunk_plan import load_plan
from cxg_assets.ingest.records import decode
from cxg_assets.ingest.selection.index import CensusIndex
from cxg_assets.ingest.selection.subset import Subset
from cxg_assets.ingest.storage.store import StoreLocator
from cxg_assets.ingest.verify.plan import verify_plan
from cxg_assets.ingest.verify.selection import verify_subset


def anonymous_bytes() -> int:
    """Memory of this process that is no file's."""
    [line] = [line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith("RssAnon")]
    return int(line.split()[1]) * 1024


class Peak(threading.Thread):
    """Looks at the memory of this process until it is stopped."""

    def __init__(self) -> None:
        super().__init__(daemon=True)
        self.n_bytes = anonymous_bytes()
        self._done = threading.Event()

    def run(self) -> None:
        while not self._done.is_set():
            self.n_bytes = max(self.n_bytes, anonymous_bytes())
            time.sleep(0.002)

    def stop(self) -> None:
        self._done.set()
        self.join()


def main() -> None:
    """Verifies."""
    url, subset, index, plan_id = sys.argv[1:]
    store = StoreLocator(url=url).open()
    plan = load_plan(store, "blood", plan_id)
    hash_rows([pa.array(["compiled now"], pa.large_string())])
    before, peak = anonymous_bytes(), Peak()
    peak.start()
    known = (
        decode(Subset, subset.encode(), path="argument 2", remedy=""),
        decode(CensusIndex, index.encode(), path="argument 3", remedy=""),
    )
    findings = (*verify_subset(known[0], "blood", store, known[1], store), verify_plan(plan, store))
    peak.stop()
    assert all(finding.passed for finding in findings), findings
    print(peak.n_bytes - before)


if __name__ == "__main__":
    main()
