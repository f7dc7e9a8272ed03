"""A project of one's own that was made by an installed wheel, without a checkout, and its UI."""

from playwright.sync_api import Page, expect

from cxg_assets_tests.e2e.own_project import OwnProject


def test_a_project_works_with_an_installed_wheel(own_project: OwnProject) -> None:
    found = own_project.run("dg", "list", "defs", "--json")
    assert "blood_normal/h5ad_chunks" in found
    assert "lung/dataset" in found
    nodes = own_project.server.query("{ assetNodes { groupName } }")["assetNodes"]
    assert {node["groupName"] for node in nodes} >= {"blood_normal", "lung"}


def test_the_runs_of_the_command_are_on_its_timeline_under_its_name(own_project: OwnProject, page: Page) -> None:
    page.goto(f"{own_project.server.url}/overview/activity/timeline")
    for part in ("ingest", "missing_chunks", "publish"):
        expect(page.get_by_text(f"blood_normal_{part}").first).to_be_visible()
    expect(page.get_by_text("my_slices", exact=True).first).to_be_visible()
    expect(page.get_by_text("cxg_assets", exact=True)).to_have_count(0)
