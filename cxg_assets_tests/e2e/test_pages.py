"""The steps of README, tutorial and how-tos in the UI, as they are written.

What the pages call a button, tab, menu or mark stands in *italics* there. Each is taken from its page here, or in the
story of `conftest.py`; the last test says which nobody has used.
"""

import json
import re
import shutil

import pytest
import yaml
from playwright.sync_api import Page, expect

from cxg_assets_tests.e2e.own_project import ROOT, OwnProject
from cxg_assets_tests.e2e.steps import (
    Launched,
    go_to,
    launch,
    open_tab,
    open_ui,
    press,
    value_of,
)
from cxg_assets_tests.e2e.told import PAGES, TUTORIAL, Told, names_on
from cxg_assets_tests.servers.webserver import Ui

AUTOMATE, CHOOSE, LOAD = (f"docs/how-to/{name}.md" for name in ("automate", "choose", "load"))
COMMAND, METADATA, YAML = (f"docs/reference/{name}.md" for name in ("command", "metadata", "yaml"))

SWITCHES = ("ingest_chain", "keep_up_to_date", "killed_runs", "new_census_release")


def test_the_tutorial_leads_to_the_files_their_plots_and_the_checks(
    published: Launched, page: Page, told: Told
) -> None:
    open_ui(page)
    go_to(page, told(TUTORIAL, "Lineage"))
    boxes = page.locator("foreignObject")
    boxes.get_by_text("blood_normal", exact=True).first.click()
    expect(boxes.filter(has_text="h5ad_chunks").get_by_text("100% filled").first).to_be_visible()
    boxes.get_by_text("h5ad_chunks", exact=True).first.click()
    go_to(page, told(TUTORIAL, "View in Asset Catalog"))
    open_tab(page, told(TUTORIAL, "Partitions"))
    go_to(page, "00001")
    expect(value_of(page, "summary")).to_have_text(re.compile(r"cells, .* MB, .* cells/s"))
    open_tab(page, told(TUTORIAL, "Overview"))
    go_to(page, told(TUTORIAL, "Plots"))
    expect(page.get_by_text("cells_per_second", exact=True)).to_be_visible()
    expect(page.locator("canvas").first).to_be_visible()
    page.goto("/assets/blood_normal/dataset")
    expect(page.get_by_role("img", name="Cells by cell type")).to_be_visible()
    open_tab(page, told(TUTORIAL, "Checks"))
    expect(page.get_by_text("cells_equal_census", exact=True).first).to_be_visible()


def test_the_release_is_observed(published: Launched, ui: Ui, page: Page, told: Told) -> None:
    page.goto("/assets/census_release")
    assert launch(ui.server, page, told(AUTOMATE, "Observe")).status == "Success"


def test_an_estimate_is_executed(published: Launched, ui: Ui, page: Page, told: Told) -> None:
    n_passed = json.loads((ui.home / "store" / "blood_normal" / "dataset.json").read_text())["header"]["subset"][
        "n_obs"
    ]
    page.goto("/assets/blood_normal/filtered_subset")
    open_tab(page, told(CHOOSE, "Checks"))
    go_to(page, "estimate")
    button = re.compile(f"{told(CHOOSE, 'Execute')}$")  # not `Execute all`
    ui.server.wait_for_run(press(page, button))
    page.goto("/assets/blood_normal/filtered_subset?view=checks&checkDetail=estimate")
    expect(value_of(page, "n_obs")).to_have_text(str(n_passed))


def test_switches_limits_and_the_runs_of_a_chain(published: Launched, page: Page, told: Told) -> None:
    open_ui(page)
    go_to(page, told(AUTOMATE, "Automation"))
    for name in SWITCHES:
        expect(page.get_by_text(name, exact=True).first).to_be_visible()
    go_to(page, told(AUTOMATE, "Deployment"), told(AUTOMATE, "Concurrency"))
    expect(page.get_by_role("link", name="census", exact=True)).to_be_visible()
    go_to(page, told(AUTOMATE, "Runs"))


def test_the_runs_of_the_command_are_shown_together(own_project: OwnProject, page: Page, told: Told) -> None:
    open_ui(page, own_project.server.url)
    go_to(page, told(AUTOMATE, "Runs"))
    page.get_by_text(re.compile("^cxg_assets/ingest: ")).first.hover()
    go_to(page, told(AUTOMATE, "Add tag to filter"))
    expect(page).to_have_url(re.compile("cxg_assets%2Fingest|cxg_assets/ingest"))
    for part in ("ingest", "missing_chunks", "publish"):
        expect(page.get_by_text(f"blood_normal_{part}", exact=True)).to_have_count(1)


def test_what_is_new_in_a_project_is_there_after_reload_definitions(
    own_project: OwnProject, page: Page, told: Told
) -> None:
    page.goto(f"{own_project.server.url}/assets/blood_normal/filtered_subset")
    expect(page.get_by_text(told(COMMAND, "Unsynced")).first).to_be_visible()  # the command was told max_obs

    defs = own_project.folder / "my_slices" / "defs"
    shutil.copy(ROOT / "docs" / "examples" / "qc_metrics.py", defs)
    file = defs / "blood_normal" / "defs.yaml"
    declared = yaml.safe_load(file.read_text())
    declared["attributes"]["exports"] = ["parquet"]
    file.write_text(yaml.safe_dump(declared))
    (defs / "lung" / "defs.yaml").write_text("type: cxg_assets.CensusSubset\nattributes: {name: 1}\n")
    [reload] = {told(name, "Reload definitions") for name in (AUTOMATE, LOAD, COMMAND, YAML)}
    go_to(page, told(AUTOMATE, "Lineage"))
    expect(page.get_by_role("button", name=reload)).to_be_visible()
    assert told(AUTOMATE, "Catalog") == told(YAML, "Catalog")
    go_to(page, "Catalog")
    page.get_by_role("button", name=reload).click()
    expect(page.get_by_text("qc_metrics").first).to_be_visible()

    page.locator(".CodeMirror").first.click()
    page.keyboard.type('tag:"cxg_assets/not_loaded"')
    page.keyboard.press("Enter")
    expect(page.get_by_role("link", name="not_loaded")).to_have_count(1)

    page.goto(f"{own_project.server.url}/assets/blood_normal/parquet")
    run_id = press(page, told(LOAD, "Materialize"))
    assert own_project.server.wait_for_run(run_id) == "SUCCESS"
    assert list((own_project.folder / ".cxg" / "store" / "blood_normal").glob("*/parquet/README.md"))


def test_metadata_are_where_the_page_says(published: Launched, page: Page, told: Told) -> None:
    page.goto("/assets/blood_normal/dataset?view=checks")
    open_tab(page, told(METADATA, "Overview"))
    expect(page.get_by_role("button", name=told(METADATA, "Metadata"))).to_be_visible()
    expect(value_of(page, "census_build")).to_be_visible()


@pytest.mark.usefixtures("retried")
@pytest.mark.parametrize("name", PAGES)
def test_every_name_of_the_ui_on_a_page_was_used(name: str, told: Told) -> None:
    assert told.used[name] == names_on(name)
