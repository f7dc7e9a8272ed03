"""Telling keys, and the search for them in whatever a run leaves behind."""

import io
import sqlite3
import zlib
from collections.abc import Mapping
from contextlib import closing
from pathlib import Path
from typing import Any

import anndata
import pyarrow.parquet as pq
from dagster import DagsterInstance
from dagster._serdes import serialize_value

from cxg_assets_tests.servers.strict_s3 import Key

OWN = Key(id="AKIAzqOWNKEYzq000001", secret="zqOWNSECRETzq/+00000001", token="zqOWNTOKENzq/+0001==")
CENSUS = Key(id="AKIAzqCENSUSKEYzq001", secret="zqCENSUSSECRETzq/+00001")
PROGRAM = Key(id="ASIAzqPROGRAMKEYzq01", secret="zqPROGRAMSECRETzq/+0001", token="zqPROGRAMTOKENzq/+==")
WRONG = Key(id="ASIAzqWRONGKEYzq0001", secret="zqWRONGSECRETzq/+000001", token="zqWRONGTOKENzq/+01==")
SECRETS = [
    text.split("/")[0] for key in (OWN, CENSUS, PROGRAM, WRONG) for text in (key.id, key.secret, key.token or "")
]
SECRETS = [text for text in SECRETS if text]

read_h5ad: Any = anndata.read_h5ad  # declared for paths alone


def leaks(places: Mapping[str, bytes]) -> list[str]:
    """Every secret with the place that it is in."""
    return [f"{secret} in {name}" for name, data in places.items() for secret in SECRETS if secret.encode() in data]


def files(folder: Path) -> dict[str, bytes]:
    """All files below a folder (Ray's sockets are none)."""
    return {str(path): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}


def rows(database: Path) -> dict[str, bytes]:
    """All values of an SQLite database by table; Dagster compresses some."""
    found: dict[str, bytes] = {}
    with closing(sqlite3.connect(database)) as connection:
        tables = [name for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
        for table in tables:
            values = [value for row in connection.execute(f'SELECT * FROM "{table}"') for value in row]
            found[f"{database}: {table}"] = b"\n".join(map(as_bytes, values))
    return found


def as_bytes(value: object) -> bytes:
    if not isinstance(value, bytes):
        return str(value).encode()
    try:
        return zlib.decompress(value)
    except zlib.error:
        return value


def told(home: Path) -> dict[str, bytes]:
    """Config, tags and events of all runs, as the UI gets them."""
    found: dict[str, bytes] = {}
    with DagsterInstance.from_config(str(home / "dagster")) as instance:
        for run in instance.get_runs():
            found[f"config of {run.job_name}"] = f"{run.run_config} {run.tags}".encode()
            found[f"events of {run.job_name}"] = "\n".join(
                serialize_value(event) for event in instance.all_logs(run.run_id)
            ).encode()
    return found


def decoded(objects: Mapping[str, bytes]) -> dict[str, bytes]:
    """What readers of the objects are told beside their bytes."""
    found = {}
    for key, data in objects.items():
        if key.endswith(".h5ad"):
            found[f"uns of {key}"] = str(read_h5ad(io.BytesIO(data)).uns).encode()
        if key.endswith(".parquet"):
            table = pq.read_table(io.BytesIO(data))
            found[f"table {key}"] = f"{table.schema.metadata} {table.to_pylist()}".encode()
    return found
