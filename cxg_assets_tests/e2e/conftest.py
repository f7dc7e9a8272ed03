"""A real webserver with its daemon: asked over GraphQL as the UI asks it, and looked at in a real browser."""

import sys
from collections.abc import Callable, Generator, Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Error, Page

from cxg_assets_tests.servers.browser import Browser, open_browser
from cxg_assets_tests.servers.webserver import Ui, free_port, serve

WORKSPACE = Path(__file__).parents[2] / "workspace.yaml"
N_OBS = 6_000
"""Human cells of the census: over 2,000 pass the filter of blood_normal, three chunks."""

_SEEN = pytest.StashKey[tuple[Page, Path]]()
"""The open page, and the folder for pictures of it."""


@pytest.fixture(scope="session")
def ui_census_uri(demo_census: Callable[..., Path]) -> str:
    return str(demo_census(n_obs=N_OBS, seed=3))


@pytest.fixture(scope="module")
def ui(ui_census_uri: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Ui]:
    """The workspace of the project, served on a home of its own."""
    home, port = tmp_path_factory.mktemp("home"), free_port()
    (home / "dagster").mkdir()
    command = [sys.executable, "-m", "dagster", "dev", "-w", str(WORKSPACE), "-h", "127.0.0.1", "-p", str(port)]
    with serve(command, home, ui_census_uri, port) as served:
        yield served


@pytest.fixture(scope="module")
def command_ui(ui_census_uri: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Ui]:
    """What `cxg-assets ui` serves, on a home of its own."""
    home, port = tmp_path_factory.mktemp("home"), free_port()
    with serve([sys.executable, "-m", "cxg_assets", "ui", "-p", str(port)], home, ui_census_uri, port) as served:
        yield served


@pytest.fixture(scope="module")
def browser(
    command_ui: Ui, request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Browser]:
    """A browser on that UI. When a test fails, its page is kept as a picture and as text."""
    with open_browser(command_ui.server.url) as opened:
        request.config.stash[_SEEN] = (opened.page, tmp_path_factory.mktemp("browser"))
        try:
            yield opened
        finally:
            del request.config.stash[_SEEN]


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
