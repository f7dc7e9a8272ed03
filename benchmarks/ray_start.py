"""What Ray itself costs at the start of a run: `ray.init`, an empty actor, an actor with a worker's imports."""

import argparse
import json
import time
from pathlib import Path

from cxg_assets.resources.ray_cluster import start_own_ray


class EmptyActor:
    """Does nothing."""

    def ready(self) -> bool:
        """Answers."""
        return True


class ImportingActor:
    """Imports what a worker uses."""

    def ready(self) -> bool:
        """Answers when everything is imported."""
        import tiledbsoma  # noqa: F401

        import cxg_assets.ingest.chunks.worker

        return cxg_assets.ingest.chunks.worker.Worker is not None


def main() -> None:
    """Measures once."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", type=Path, required=True)
    options = parser.parse_args()
    import ray

    began = time.monotonic()
    start_own_ray({})
    started = time.monotonic()
    ray.get(ray.remote(EmptyActor).remote().ready.remote())
    empty = time.monotonic()
    ray.get(ray.remote(ImportingActor).remote().ready.remote())
    result = {
        "init_seconds": started - began,
        "empty_actor_seconds": empty - started,
        "worker_imports_seconds": time.monotonic() - empty,
    }
    options.json.write_text(json.dumps(result))
    ray.shutdown()


if __name__ == "__main__":
    main()
