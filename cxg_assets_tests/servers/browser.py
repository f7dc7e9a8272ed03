"""A real browser for the UI: Debian's Chromium, driven by Playwright, which reaches this machine only."""

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from urllib.parse import urlsplit

from playwright.sync_api import Page, Request, expect, sync_playwright

PATIENCE_MS = 90_000
"""Bound of a wait for something to appear, on a machine that has other things to do."""

_PROGRAMS = ("chromium", "chromium-browser", "google-chrome")

_ARGUMENTS = (
    "--no-sandbox",  # containers run tests as root
    "--disable-gpu",
    "--disable-quic",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--no-first-run",
    "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1",
)

_STILL = """
document.addEventListener("DOMContentLoaded", () => {
  const style = document.createElement("style");
  style.textContent = "*, *::before, *::after { animation: none !important; }";
  document.head.append(style);
});"""
"""Without a GPU, a spinner that turns takes as much of a core as it gets."""


@dataclass(frozen=True)
class Browser:
    """A browser with one page.

    Attributes:
        page: The page; paths are relative to the UI.
        asked_elsewhere: Addresses outside of this machine that pages have asked for, in vain.
    """

    page: Page
    asked_elsewhere: list[str]


def find_chromium() -> str:
    """Path of the browser.

    Raises:
        FileNotFoundError: There is none.
    """
    for program in _PROGRAMS:
        if path := shutil.which(program):
            return path
    raise FileNotFoundError(
        f"none of {', '.join(_PROGRAMS)} is on the PATH, and the UI is tested in a real browser; "
        "install one, on Debian or Ubuntu by: apt-get install chromium"
    )


@contextmanager
def open_browser(url: str, *, width: int = 1440, height: int = 900) -> Iterator[Browser]:
    """A browser of its own, with a new profile, until the block ends.

    Args:
        url: Of the UI.
        width: Of the page, in pixels.
        height: Of the page, in pixels.
    """
    asked_elsewhere: list[str] = []

    def note(request: Request) -> None:
        address = urlsplit(request.url)
        if address.scheme not in ("data", "blob") and address.hostname != "127.0.0.1":
            asked_elsewhere.append(request.url)

    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=find_chromium(), args=_ARGUMENTS)
        try:
            context = chromium.new_context(
                base_url=url,
                viewport={"width": width, "height": height},
                color_scheme="light",
                locale="en-US",
                timezone_id="UTC",
            )
            context.set_default_timeout(PATIENCE_MS)
            expect.set_options(timeout=PATIENCE_MS)
            context.on("request", note)
            context.add_init_script(_STILL)
            yield Browser(context.new_page(), asked_elsewhere)
        finally:
            chromium.close()
