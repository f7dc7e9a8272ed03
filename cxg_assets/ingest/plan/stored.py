"""Which chunks of a plan are stored, and what else lies in its folder."""

from collections import Counter
from collections.abc import Mapping

from cxg_assets.ingest.formats import ZARR
from cxg_assets.ingest.layout import collection_path, exported_chunk_path, files_beside_chunks, is_mark, plan_folder
from cxg_assets.ingest.plan.chunk_plan import ChunkPlan, PlanHeader
from cxg_assets.ingest.storage.local import Listed
from cxg_assets.ingest.storage.store import Store


def stored_chunks(store: Store, plan: ChunkPlan) -> dict[str, Listed]:
    """Sizes and times of the plan's chunks that are stored, by chunk key; one request for a thousand objects."""
    return listed_chunks(plan, store.objects(plan_folder(plan.header.subset.name, plan.header.plan_id)))


def stored_sizes(store: Store, plan: ChunkPlan) -> dict[str, int]:
    """Sizes in bytes of the plan's chunks that are stored, by chunk key; one request for a thousand objects."""
    return {key: listed.n_bytes for key, listed in stored_chunks(store, plan).items()}


def listed_chunks(plan: ChunkPlan, objects: Mapping[str, Listed]) -> dict[str, Listed]:
    """Which chunks of a plan are among what lies in its folder, by chunk key: size of all of it, time of the last.

    A chunk of many objects is among them when the one that is stored last is.
    """
    header = plan.header
    markers = {header.marker(chunk): chunk.key for chunk in plan.chunks}
    keys = {header.path(chunk): chunk.key for chunk in plan.chunks}
    n_bytes: Counter[str] = Counter()
    for path, listed in objects.items():
        key = keys.get(header.chunk_format.place_of(path))
        if key is not None:
            n_bytes[key] += listed.n_bytes
    return {
        key: Listed(n_bytes[key], objects[marker].modified) for marker, key in markers.items() if marker in objects
    }


def collection_paths(header: PlanHeader) -> dict[str | None, str]:
    """What makes zarr chunks collections, by part of the split (None without one); empty for h5ad."""
    if header.format != ZARR:
        return {}
    parts: tuple[str | None, ...] = tuple(header.subset.parts) or (None,)
    return {part: collection_path(header.subset.name, header.plan_id, part) for part in parts}


def unreferenced_paths(plan: ChunkPlan, sizes: Mapping[str, object]) -> list[str]:
    """Objects in a plan's folder that the plan does not account for, also chunks of another fingerprint.

    Objects of a planned chunk that is not stored are among them: a writer was killed. Marks of runs are not:
    `plan_mark.py` tells which of them count.

    Args:
        plan: The plan.
        sizes: What lies in its folder, by path.
    """
    header = plan.header
    own = files_beside_chunks(header.subset.name, header.plan_id) | {header.obs_path}
    own |= {*collection_paths(header).values()}
    own |= {
        exported_chunk_path(header.subset.name, header.plan_id, chunk.split, chunk.key, chunk.fingerprint)
        for chunk in plan.chunks
    }
    places = {header.path(chunk) for chunk in plan.chunks if header.marker(chunk) in sizes}
    return sorted(
        path
        for path in set(sizes) - own
        if header.chunk_format.place_of(path) not in places and not is_mark(path)
    )


def unfinished_paths(plan: ChunkPlan, sizes: Mapping[str, object]) -> set[str]:
    """Those of them that a killed writer has left of a planned chunk."""
    header = plan.header
    places = {header.path(chunk) for chunk in plan.chunks}
    return {path for path in sizes if header.chunk_format.marker and header.chunk_format.place_of(path) in places}
