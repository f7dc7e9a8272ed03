"""A real webserver with its daemon: asked over GraphQL as the UI asks it, and looked at in a real browser.

The tests of this folder run in one process and share their UIs, one browser, and what was done in it: the story of a
subset, each fixture a step that builds on the one before. Steps are those of the pages, in the words of the pages.
"""

import signal
import sys
from collections.abc import Callable, Generator, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import yaml
from playwright.sync_api import Error, Page, expect

from cxg_assets.instance.opening import DAGSTER_YAML
from cxg_assets_tests.e2e.own_project import OwnProject, serve_project
from cxg_assets_tests.e2e.steps import (
    BLOCKED,
    CHUNKS,
    RUN_MS,
    Launched,
    chunk_file,
    go_to,
    launch,
    open_partition,
    open_tab,
    open_ui,
)
from cxg_assets_tests.e2e.told import RETRY, TUTORIAL, Told
from cxg_assets_tests.servers.browser import Browser, open_browser
from cxg_assets_tests.servers.webserver import Ui, free_port, serve

N_OBS = 6_000
"""Human cells of the census: over 2,000 pass the filter of blood_normal, three chunks."""

_SEEN = pytest.StashKey[tuple[Page, Path]]()
"""The open page, and the folder for pictures of it."""


@pytest.fixture(scope="session")
def ui_census_uri(demo_census: Callable[..., Path]) -> str:
    return str(demo_census(n_obs=N_OBS, seed=3))


@contextmanager
def serve_ui(home: Path, census_uri: str) -> Iterator[Ui]:
    """What `cxg-assets ui` serves on a home, in the background of a shell."""
    port = free_port()
    command = [sys.executable, "-m", "cxg_assets", "ui", "-p", str(port)]
    with serve(command, home, census_uri, port, sigint=signal.SIG_IGN) as served:
        yield served


@pytest.fixture(scope="session")
def ui(ui_census_uri: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Ui]:
    """The UI on a home of its own. The tests of its processes, which come last, end it."""
    with serve_ui(tmp_path_factory.mktemp("home"), ui_census_uri) as served:
        yield served


@pytest.fixture(scope="session")
def narrow_ui(ui_census_uri: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Ui]:
    """The UI on an instance as the command makes it, but that only one run may read the Census at once."""
    home = tmp_path_factory.mktemp("narrow")
    config = yaml.safe_load(DAGSTER_YAML)
    config["concurrency"]["pools"]["default_limit"] = 1
    (home / "dagster").mkdir()
    (home / "dagster" / "dagster.yaml").write_text(yaml.safe_dump(config))
    with serve_ui(home, ui_census_uri) as served:
        yield served


@pytest.fixture(scope="package")
def own_project(ui_census_uri: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[OwnProject]:
    with serve_project(tmp_path_factory.mktemp("own"), ui_census_uri) as served:
        yield served


@pytest.fixture(scope="package")
def told() -> Told:
    """Which names of the pages were used."""
    return Told()


@pytest.fixture(scope="package")
def browser(ui: Ui, request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    """A browser on that UI. When a test fails, its page is kept as a picture and as text."""
    with open_browser(ui.server.url) as opened:
        request.config.stash[_SEEN] = (opened.page, tmp_path_factory.mktemp("browser"))
        try:
            yield opened
        finally:
            del request.config.stash[_SEEN]


@pytest.fixture
def page(browser: Browser) -> Iterator[Page]:
    yield browser.page
    browser.page.goto("about:blank")  # a page of the UI goes on asking


@pytest.fixture(scope="package")
def prepared(ui: Ui, browser: Browser, told: Told) -> Launched:
    """Release, index, subset and plan, by the button of the job's page. With the chain off, that is all of the job."""
    ui.server.stop_sensor("ingest_chain")
    open_ui(browser.page)
    go_to(browser.page, told(TUTORIAL, "Jobs"), "blood_normal_ingest")
    return launch(ui.server, browser.page, told(TUTORIAL, "Materialize all"), watch=True)


@pytest.fixture(scope="package")
def backfill_id(prepared: Launched, browser: Browser, told: Told) -> str:
    """A backfill of all chunks, by the dialog of the asset's page. Its page is open."""
    page = browser.page
    page.goto(f"/assets/{CHUNKS}")
    page.get_by_role("button", name=told(RETRY, "Materialize")).first.click()
    dialog = page.get_by_role("dialog")
    dialog.get_by_role("button", name=told(RETRY, "Failed and missing"), exact=True).click()
    with page.expect_response(lambda response: "op=LaunchPartitionBackfill" in response.url) as answer:
        dialog.get_by_role("button", name="Launch backfill").click()
    backfill_id = answer.value.json()["data"]["launchPartitionBackfill"]["backfillId"]
    page.goto(f"/runs/b/{backfill_id}")
    expect(page.get_by_text("100% completed")).to_be_visible(timeout=RUN_MS)
    return backfill_id


@pytest.fixture(scope="package")
def published(backfill_id: str, ui: Ui, browser: Browser, told: Told) -> Launched:
    browser.page.goto("/assets/blood_normal/dataset")
    return launch(ui.server, browser.page, told(RETRY, "Materialize"))


@pytest.fixture(scope="package")
def failed(published: Launched, ui: Ui, browser: Browser, told: Told) -> Launched:
    """A run over two chunks that were lost, and whose place is taken by folders."""
    for chunk in BLOCKED:
        file = chunk_file(ui, chunk)
        file.unlink()
        file.mkdir()
    made = make_missing(ui, browser.page, told)
    browser.page.goto(f"/assets/{CHUNKS}")
    open_tab(browser.page, told(RETRY, "Partitions"))
    expect(browser.page.get_by_text(f"Failed ({len(BLOCKED)})")).to_be_visible()
    expect(open_partition(browser.page, BLOCKED[0])).to_have_text(told(RETRY, "Materialized"))
    return made


@pytest.fixture(scope="package")
def retried(failed: Launched, ui: Ui, browser: Browser, told: Told) -> Launched:
    """The same job, when nothing is in the way any more."""
    for chunk in BLOCKED:
        chunk_file(ui, chunk).rmdir()
    return make_missing(ui, browser.page, told)


def make_missing(ui: Ui, page: Page, told: Told) -> Launched:
    """Runs the job for what is missing, as its Launchpad comes."""
    open_ui(page)
    go_to(page, told(RETRY, "Jobs"), "blood_normal_missing_chunks")
    open_tab(page, told(RETRY, "Launchpad"))
    return launch(ui.server, page, told(RETRY, "Launch Run"))


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Says of a failed test what the browser showed."""
    report = yield
    if report.failed and (seen := item.config.stash.get(_SEEN, None)) is not None:
        page, folder = seen
        picture = folder / f"{item.name}-{report.when}.png"
        try:
            page.screenshot(path=picture)
            text = page.inner_text("body")
        except Error as error:
            text = f"the browser shows nothing any more: {error}"
        picture.with_suffix(".txt").write_text(text)
        report.sections.append(("browser", f"at {page.url}, kept as {picture} and .txt:\n{text}"))
    return report
