"""What somebody sees and clicks in the UI, from the lineage to a failed chunk that is made again.

The story is told by the fixtures of `conftest.py`, which build on one another.
"""

import re
from pathlib import Path
from typing import Any

import anndata
import cellxgene_census
from playwright.sync_api import Page, expect

from cxg_assets.ui.checks import ESTIMATE
from cxg_assets_tests.conftest import BLOOD_NORMAL
from cxg_assets_tests.e2e.steps import (
    BLOCKED,
    CHUNKS,
    RUN_MS,
    Launched,
    chunk_file,
    open_partition,
    value_of,
)
from cxg_assets_tests.servers.browser import Browser
from cxg_assets_tests.servers.webserver import Ui

NODES = """
{ assetNodes {
  assetKey { path } dependencyKeys { path } assetChecksOrError { ... on AssetChecks { checks { name } } }
} }"""

PARTITIONS = """
query ($key: AssetKeyInput!) {
  assetNodeOrError(assetKey: $key) { ... on AssetNode {
    partitionStats { numMaterialized numFailed numPartitions }
    assetMaterializations { partition metadataEntries { label
      ... on IntMetadataEntry { intValue }
      ... on FloatMetadataEntry { floatValue }
      ... on PathMetadataEntry { path } } }
  } }
}"""

RUNS = "query ($job: String!) { runsOrError(filter: {pipelineName: $job}) { ... on Runs { results { status } } } }"

# A node is a box with its name in the first line; an arrow goes from the edge of one box to the edge of another.
ARROWS = """names => {
  const boxes = [...document.querySelectorAll('foreignObject')]
    .map(box => [box.firstElementChild.innerText.trim().split('\\n')[0], box.getBoundingClientRect()])
    .filter(([name]) => names.includes(name));
  const at = (path, length) => path.getPointAtLength(length).matrixTransform(path.getScreenCTM());
  const near = point => boxes.filter(([, box]) =>
    point.x > box.left - 12 && point.x < box.right + 12 && point.y > box.top && point.y < box.bottom)[0]?.[0];
  return [...document.querySelectorAll('path[marker-end]')]
    .map(path => [near(at(path, 0)), near(at(path, path.getTotalLength()))]);
}"""


def asset_nodes(ui: Ui) -> list[dict[str, Any]]:
    """The assets of blood_normal and what they come from, as the webserver knows them."""
    nodes = ui.server.query(NODES)["assetNodes"]
    return [node for node in nodes if node["assetKey"]["path"][0] in ("census_release", "homo_sapiens", "blood_normal")]


def test_the_lineage_shows_every_asset_and_the_arrows_between_them(page: Page, ui: Ui) -> None:
    nodes = asset_nodes(ui)
    names = [node["assetKey"]["path"][-1] for node in nodes]
    assert len(names) >= 6
    page.goto("/assets/blood_normal/dataset?view=lineage&lineageScope=upstream&lineageDepth=9")
    for name in names:
        expect(page.locator("foreignObject").get_by_text(name, exact=True)).to_be_visible()
    expected = {(key["path"][-1], node["assetKey"]["path"][-1]) for node in nodes for key in node["dependencyKeys"]}
    # The page sets the boxes first and the arrows after them.
    page.wait_for_function(f"document.querySelectorAll('path[marker-end]').length >= {len(expected)}")
    assert {tuple(arrow) for arrow in page.evaluate(ARROWS, names)} == expected


def test_the_lineage_leads_from_the_release_to_the_dataset(ui: Ui) -> None:
    edges = {
        ("/".join(node["assetKey"]["path"]), "/".join(key["path"]))
        for node in ui.server.query(NODES)["assetNodes"]
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


def test_index_and_subset_are_materialized_from_the_page_of_the_job(
    prepared: Launched, page: Page, ui_census_uri: str
) -> None:
    assert prepared.status == "Success"
    filters = {"homo_sapiens/census_index": None, "blood_normal/filtered_subset": BLOOD_NORMAL}
    with cellxgene_census.open_soma(uri=ui_census_uri) as census:
        for asset, value_filter in filters.items():
            obs = cellxgene_census.get_obs(
                census, "homo_sapiens", value_filter=value_filter, column_names=["soma_joinid"]
            )
            page.goto(f"/assets/{asset}")
            expect(page.get_by_text(f"{len(obs):,}", exact=True).first).to_be_visible()


def test_a_backfill_of_all_chunks_is_watched_to_its_end(backfill_id: str, page: Page) -> None:
    page.goto(f"/runs/b/{backfill_id}")
    expect(page.get_by_text("Succeeded", exact=True).first).to_be_visible(timeout=RUN_MS)
    page.goto(f"/assets/{CHUNKS}?view=partitions")
    expect(page.get_by_text("Materialized (3)")).to_be_visible()
    expect(page.get_by_text("Missing (0)")).to_be_visible()


def test_every_partition_that_a_backfill_made_has_its_figures_on_it(backfill_id: str, ui: Ui) -> None:
    node = ui.server.query(PARTITIONS, key={"path": CHUNKS.split("/")})["assetNodeOrError"]
    assert node["partitionStats"] == {"numMaterialized": 3, "numFailed": 0, "numPartitions": 3}
    events = node["assetMaterializations"]
    assert sorted(event["partition"] for event in events) == ["00000", "00001", "00002"]
    for event in events:
        values = {entry["label"]: entry for entry in event["metadataEntries"]}
        file = Path(values["uri"]["path"].removeprefix("file://"))
        assert values["n_bytes"]["intValue"] == file.stat().st_size
        assert values["n_obs"]["intValue"] == anndata.read_h5ad(file).n_obs
        assert values["cells_per_second"]["floatValue"] > 0


def test_the_page_of_a_partition_shows_its_file_size_and_throughput(backfill_id: str, page: Page, ui: Ui) -> None:
    expect(open_partition(page, "00001")).to_have_text("Materialized")
    file = chunk_file(ui, "00001")
    expect(value_of(page, "n_bytes")).to_have_text(str(file.stat().st_size))
    expect(value_of(page, "n_obs")).to_have_text(str(anndata.read_h5ad(file).n_obs))
    expect(value_of(page, "uri")).to_have_text(file.as_uri())
    assert float(value_of(page, "cells_per_second").inner_text()) > 0


def test_every_check_is_green(published: Launched, page: Page, ui: Ui) -> None:
    assert published.status == "Success"
    assert (ui.home / "store" / "blood_normal" / "dataset.json").is_file()
    n_checks = 0
    for node in asset_nodes(ui):
        names = [check["name"] for check in (node["assetChecksOrError"] or {}).get("checks", [])]
        if names:
            page.goto(f"/assets/{'/'.join(node['assetKey']['path'])}?view=checks")
            expect(page.get_by_text(f"Checks ({len(names)})")).to_be_visible()
            for name in names:
                expect(page.get_by_text(name, exact=True).first).to_be_visible()
            n_executed = len(names) - (ESTIMATE.name in names)
            expect(page.get_by_text("Succeeded", exact=True)).to_have_count(n_executed)
        n_checks += len(names)
    assert n_checks >= 2


def test_the_page_of_a_dataset_shows_its_cells_and_how_to_load_it_without_a_click(
    published: Launched, page: Page, ui: Ui
) -> None:
    page.goto("/assets/blood_normal/dataset")
    for what in ("cell type", "tissue", "donor", "dataset"):
        picture = page.get_by_role("img", name=f"Cells by {what}", exact=True)
        expect(picture).to_be_visible()
        assert picture.evaluate("image => image.complete && image.naturalWidth > 0")
    n_obs = sum(anndata.read_h5ad(chunk_file(ui, chunk)).n_obs for chunk in ("00000", "00001", "00002"))
    expect(page.get_by_text(f"{n_obs:,} cells of homo sapiens", exact=True)).to_be_visible()
    expect(page.get_by_text(f'loader = batches("{ui.home}/store/blood_normal")')).to_be_visible()


def test_the_first_line_of_an_asset_leads_to_the_button_that_makes_all(page: Page, ui: Ui) -> None:
    page.goto(f"/assets/{CHUNKS}")
    expect(page.get_by_text("open it and press Materialize all")).to_be_visible()
    page.get_by_role("link", name="Open blood_normal_ingest").click()
    expect(page.get_by_role("button", name="Materialize all")).to_be_visible()
    assert page.url.endswith(ui.server.path_of_job("blood_normal_ingest"))


def test_the_launchpad_shows_what_people_set(page: Page, ui: Ui) -> None:
    page.goto(ui.server.path_of_job("blood_normal_missing_chunks"))
    page.get_by_text("Launchpad", exact=True).click()
    editor = page.locator(".CodeMirror-code").first
    expect(editor).to_contain_text("replace")
    assert "''" not in editor.inner_text()
    assert re.findall(r"\w+(?=:\n)", editor.inner_text()).count("census") == 0


def test_a_failed_chunk_shows_as_failed(failed: Launched, page: Page) -> None:
    assert failed.status == "Failure"
    page.goto(f"/runs/{failed.run_id}")
    expect(page.get_by_text("2 of 3 chunks failed: 00000, 00002").first).to_be_visible()
    open_partition(page, BLOCKED[0])
    expect(page.get_by_text("Failed (2)")).to_be_visible()
    expect(page.get_by_text("Materialized (1)")).to_be_visible()
    # The chunk was stored before: Dagster goes on showing what is known of that, below this line.
    expect(page.get_by_text("failed, and did not materialize this asset")).to_be_visible()


def test_scattered_failures_are_made_again_in_one_run(retried: Launched, page: Page, ui: Ui) -> None:
    assert retried.status == "Success"
    for chunk in BLOCKED:
        expect(open_partition(page, chunk)).to_have_text("Materialized")
        expect(page.get_by_role("link", name=retried.run_id[:8])).to_be_visible()
        assert anndata.read_h5ad(chunk_file(ui, chunk)).n_obs > 0
    expect(page.get_by_text("Failed (0)")).to_be_visible()
    runs = ui.server.query(RUNS, job="blood_normal_missing_chunks")["runsOrError"]["results"]
    assert [run["status"] for run in runs] == ["SUCCESS", "FAILURE"]


def test_the_ui_asks_nobody_but_this_machine(published: Launched, browser: Browser) -> None:
    assert browser.asked_elsewhere == []
