"""Which chunks of a plan are stored, and what else lies in its folder."""

from collections.abc import Mapping

from cxg_assets.ingest.layout import files_beside_chunks, is_mark, plan_folder
from cxg_assets.ingest.plan.chunk_plan import ChunkPlan
from cxg_assets.ingest.storage.local import Listed
from cxg_assets.ingest.storage.store import Store


def stored_chunks(store: Store, plan: ChunkPlan) -> dict[str, Listed]:
    """Sizes and times of the plan's chunks that are stored, by chunk key; one request for a thousand objects."""
    objects = store.objects(plan_folder(plan.header.subset.name, plan.header.plan_id))
    paths = {plan.path(chunk): chunk.key for chunk in plan.chunks}
    return {paths[path]: listed for path, listed in objects.items() if path in paths}


def stored_sizes(store: Store, plan: ChunkPlan) -> dict[str, int]:
    """Sizes in bytes of the plan's chunks that are stored, by chunk key; one request for a thousand objects."""
    return {key: listed.n_bytes for key, listed in stored_chunks(store, plan).items()}


def unreferenced_paths(plan: ChunkPlan, sizes: Mapping[str, object]) -> list[str]:
    """Objects in a plan's folder that the plan does not account for, also chunks of another fingerprint.

    Marks of runs are not among them: `plan_mark.py` tells which of them count.

    Args:
        plan: The plan.
        sizes: What lies in its folder, by path.
    """
    subset, plan_id = plan.header.subset.name, plan.header.plan_id
    own = files_beside_chunks(subset, plan_id) | {plan.path(chunk) for chunk in plan.chunks} | {plan.header.obs_path}
    return sorted(path for path in set(sizes) - own if not is_mark(path))
