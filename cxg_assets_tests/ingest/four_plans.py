"""Four plans of one subset at one destination, and what prune says of them."""

import os
import time
from collections.abc import Callable
from pathlib import Path

from cxg_assets.ingest.dataset.inventory import Entry, Inventory
from cxg_assets.ingest.spec import SubsetSpec
from cxg_assets.ingest.storage.store import StoreLocator
from cxg_assets_tests.conftest import BLOOD_NORMAL, Ingest
from cxg_assets_tests.ingested import Ingested

MakeSpec = Callable[..., SubsetSpec]
NAME = "blood_normal"
DAY = 24 * 3600.0

CHUNK_SIZES = (20, 25, 30, 40)
"""Of the plans, in the order in which they are made. Each is of a subset of its own."""


def make_plans(ingest: Ingest, spec: MakeSpec, store: str | StoreLocator) -> list[Ingested]:
    """The plans with their chunks, oldest first; nothing is published."""
    return [
        ingest(spec(value_filter=BLOOD_NORMAL, max_obs=60 - number, chunk_size=chunk_size), store)
        for number, chunk_size in enumerate(CHUNK_SIZES)
    ]


def plan_id(made: Ingested) -> str:
    return made.plan.header.plan_id


def folder(made: Ingested) -> Path:
    """The plan's folder, of a `file://` destination."""
    return made.file(made.plan.chunks[0]).parent


def make_old(path: Path, seconds: float) -> None:
    """Makes a file, or all files below a folder, as old as that."""
    for file in [path, *path.rglob("*")]:
        os.utime(file, (time.time() - seconds, time.time() - seconds))


def by_place(inventory: Inventory) -> dict[str, Entry]:
    return {entry.place.removeprefix(f"{NAME}/"): entry for entry in inventory.entries}


def going(inventory: Inventory) -> set[str]:
    return {entry.place.removeprefix(f"{NAME}/") for entry in inventory.going}


def of_plan(made: Ingested) -> set[str]:
    """The plan's folder and its subset's."""
    return {plan_id(made), f"subset/{made.subset.fingerprint[:16]}"}
