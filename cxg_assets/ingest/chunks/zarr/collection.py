"""What makes a folder of zarr chunks one zarr group, which annbatch takes for a collection of its own."""

import json
from collections.abc import Mapping

from cxg_assets.ingest.chunks.zarr.encoder import TOLD
from cxg_assets.ingest.chunks.zarr.nodes import Json, group_node, node_bytes, with_consolidated

COLLECTION = {"encoding-type": "annbatch-preshuffled", "encoding-version": "0.1.0"}
"""By these attributes annbatch knows its collections."""

MAX_CONSOLIDATED = 200
"""Chunks of which the group tells all nodes, so that a reader gets them by one request: 40 KB each. Of more, each tells
of its own."""


def collection_node(markers: Mapping[str, bytes]) -> bytes:
    """The group of some chunks: their markers, by the names of their folders."""
    group = group_node(COLLECTION)
    if len(markers) > MAX_CONSOLIDATED:
        return node_bytes(group)
    nodes: dict[str, Json] = {}
    for name, marker in markers.items():
        root = json.loads(marker)
        below = root.pop("consolidated_metadata")["metadata"]
        root["attributes"].pop(TOLD)
        nodes[name] = root
        nodes |= {f"{name}/{path}": node for path, node in below.items()}
    return json.dumps(with_consolidated(group, nodes)).encode()
