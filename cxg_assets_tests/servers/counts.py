"""Requests counted by bucket and method, in a file that the benchmark reads between runs."""

import asyncio
import json
import os
from collections import Counter
from pathlib import Path
from urllib.parse import urlsplit

WRITE_SECONDS = 0.1


class RequestCounts:
    """Counts requests; `write` replaces the file, so that a reader never sees half of it."""

    def __init__(self, file: Path) -> None:
        self._file = file
        self._counts: Counter[str] = Counter()
        self._n_written = -1

    def add(self, method: str, target: str) -> None:
        """Counts one request; the bucket is the first part of its path."""
        bucket = urlsplit(target).path.strip("/").partition("/")[0]
        self._counts[f"{bucket} {method}"] += 1

    def write(self) -> None:
        """Writes the counts, if there are new ones."""
        if self._counts.total() == self._n_written:
            return
        self._n_written = self._counts.total()
        aside = self._file.with_suffix(".new")
        aside.write_text(json.dumps(self._counts))
        os.replace(aside, self._file)

    async def write_for_ever(self) -> None:
        """What a server does once it listens."""
        while True:
            self.write()
            await asyncio.sleep(WRITE_SECONDS)
