"""A real webserver with its daemon: asked over GraphQL as the UI asks it, and looked at in a real browser.

The tests of this folder run in one process and share two UIs.
"""

import signal
import sys
from collections.abc import Callable, Generator, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import yaml
from playwright.sync_api import Error, Page

from cxg_assets.instance.opening import DAGSTER_YAML
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


@pytest.fixture(scope="module")
def browser(ui: Ui, request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    """A browser on that UI. When a test fails, its page is kept as a picture and as text."""
    with open_browser(ui.server.url) as opened:
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
