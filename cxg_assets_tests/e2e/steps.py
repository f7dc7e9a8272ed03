"""What a person does in the UI, step by step, and where they look."""

import re
from dataclasses import dataclass
from pathlib import Path

from playwright.sync_api import Locator, Page, Response, expect

from cxg_assets_tests.servers.webserver import Ui, Webserver

RUN_MS = 180_000
"""Bound of a wait for a run or a backfill: the daemon looks every 30 seconds."""

CHUNKS = "blood_normal/h5ad_chunks"
BLOCKED = ("00000", "00002")
"""Chunks that are made to fail, with one between them that is not."""


@dataclass(frozen=True)
class Launched:
    """A run that was launched in the browser: its id, and the status that its page came to show."""

    run_id: str
    status: str


def press(page: Page, button: str | re.Pattern[str]) -> str:
    """Clicks what launches a run. Returns the run's id."""
    with page.expect_response(is_launch) as answer:
        page.get_by_role("button", name=button).first.click()
    launched = answer.value.json()["data"]["launchPipelineExecution"]
    assert launched["__typename"] == "LaunchRunSuccess", launched
    return launched["run"]["id"]


def is_launch(response: Response) -> bool:
    """Whether it is the answer to the launch of a run."""
    return "op=LaunchPipelineExecution" in response.url


def launch(server: Webserver, page: Page, button: str, *, watch: bool = False) -> Launched:
    """Clicks what launches a run, and looks at the run's page when it has ended or, which takes CPU, until then."""
    run_id = press(page, button)
    if not watch:
        page.goto("about:blank")
        server.wait_for_run(run_id)
    page.goto(f"{server.url}/runs/{run_id}")
    status = page.get_by_text(re.compile("^(Success|Failure|Canceled)$")).first
    status.wait_for(timeout=RUN_MS)
    return Launched(run_id, status.inner_text())


def open_ui(page: Page, url: str = "") -> None:
    """Opens the UI where it opens by itself: at its timeline."""
    page.goto(f"{url}/")
    expect(page).to_have_url(re.compile("/timeline"))
    expect(page.get_by_role("tab", name="Timeline")).to_be_visible()


def go_to(page: Page, *names: str) -> None:
    """Clicks what is called so, one after the other: menus, links, entries."""
    for name in names:
        page.get_by_text(name, exact=True).first.click()


def open_tab(page: Page, name: str) -> None:
    """Clicks a tab of an asset or a job."""
    page.get_by_role("tab", name=name).first.click()


def value_of(page: Page, label: str) -> Locator:
    """The value of a row of the metadata table."""
    return page.locator("tr").filter(has=page.get_by_text(label, exact=True)).locator("td").nth(1)


def open_partition(page: Page, chunk: str) -> Locator:
    """Opens the page of a partition. Returns the tag of its status."""
    page.goto(f"/assets/{CHUNKS}?view=partitions&partition={chunk}")
    return page.get_by_text(re.compile("^(Materialized|Failed|Missing)$"))


def chunk_file(ui: Ui, chunk: str) -> Path:
    """Where a chunk lies."""
    [path] = (ui.home / "store" / "blood_normal").glob(f"*/{chunk}-*.h5ad")
    return path
