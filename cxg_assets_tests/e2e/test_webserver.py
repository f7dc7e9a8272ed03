"""What the UI does, through the webserver's own API and the daemon."""

import subprocess
import sys
from pathlib import Path
from typing import Any

import anndata
import pytest

from cxg_assets_tests.e2e.conftest import WORKSPACE
from cxg_assets_tests.servers.webserver import Ui

CHUNKS = ["blood_normal", "h5ad_chunks"]

PARTITIONS = """
query ($key: AssetKeyInput!) {
  assetNodeOrError(assetKey: $key) { ... on AssetNode {
    partitionStats { numMaterialized numFailed numPartitions }
    assetMaterializations { partition metadataEntries { label
      ... on IntMetadataEntry { intValue }
      ... on FloatMetadataEntry { floatValue }
      ... on TextMetadataEntry { text } } }
  } }
}"""

LINEAGE = "{ assetNodes { assetKey { path } dependencyKeys { path } } }"


def partitions(ui: Ui) -> dict[str, Any]:
    return ui.server.query(PARTITIONS, key={"path": CHUNKS})["assetNodeOrError"]


@pytest.fixture(scope="module")
def backfilled(ui: Ui) -> Ui:
    """The UI after its user materialized the plan and launched a backfill of all chunks."""
    ui.server.stop_sensor("ingest_chain")
    ui.server.run_job("blood_normal_ingest")
    backfill_id = ui.server.launch_backfill(CHUNKS)
    assert ui.server.wait_for_backfill(backfill_id) == "COMPLETED_SUCCESS"
    return ui


def test_the_lineage_leads_from_the_release_to_the_dataset(ui: Ui) -> None:
    edges = {
        ("/".join(node["assetKey"]["path"]), "/".join(key["path"]))
        for node in ui.server.query(LINEAGE)["assetNodes"]
        for key in node["dependencyKeys"]
    }
    assert edges >= {
        ("homo_sapiens/census_index", "census_release"),
        ("blood_normal/filtered_subset", "homo_sapiens/census_index"),
        ("blood_normal/chunk_plan", "blood_normal/filtered_subset"),
        ("blood_normal/h5ad_chunks", "blood_normal/chunk_plan"),
        ("blood_normal/dataset", "blood_normal/h5ad_chunks"),
        ("immune_markers/filtered_subset", "homo_sapiens/census_index"),
    }


def test_a_backfill_ends_with_every_partition_materialized_and_its_figures_on_it(backfilled: Ui) -> None:
    node = partitions(backfilled)
    stats = node["partitionStats"]
    assert stats["numPartitions"] >= 3
    assert (stats["numMaterialized"], stats["numFailed"]) == (stats["numPartitions"], 0)
    events = node["assetMaterializations"]
    assert sorted(event["partition"] for event in events) == [f"{n:05d}" for n in range(stats["numPartitions"])]
    for event in events:
        values = {entry["label"]: entry for entry in event["metadataEntries"]}
        file = Path(values["uri"]["text"].removeprefix("file://"))
        assert values["n_bytes"]["intValue"] == file.stat().st_size
        assert values["n_obs"]["intValue"] == anndata.read_h5ad(file).n_obs
        assert values["cells_per_second"]["floatValue"] > 0


def test_the_dataset_is_published_from_the_ui(backfilled: Ui) -> None:
    backfilled.server.run_job("blood_normal_publish")
    assert (backfilled.home / "store" / "blood_normal" / "dataset.json").is_file()


def test_dagster_validates_the_definitions(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "dagster", "definitions", "validate", "-w", str(WORKSPACE)]
    result = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False, timeout=120)
    assert result.returncode == 0, result.stderr
