"""The command that a message says to run next."""

import shlex

from cxg_assets.ingest.storage.store import Store


def follow_up(store: Store, command: str, subset_name: str, *options: str) -> str:
    """A command line about a subset, as a shell takes it, for the store that the message is about.

    Where a `--destination` overrode the YAML's, the next command has to be given it too.
    """
    destination = ["--destination", store.given] if store.given else []
    return shlex.join(["cxg-assets", command, subset_name, *options, *destination])
