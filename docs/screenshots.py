"""Pictures of the UI for README and docs, taken anew from a real browser: `python -m docs.screenshots`.

Makes the demo in a folder of its own, which is removed again, and writes `docs/images/*.png`. Takes three minutes on
two cores. Needs the extra `test`, and Chromium (Debian: `apt-get install chromium`).

| picture | what it shows |
| --- | --- |
| lineage.png | the assets of a subset, and the Census that they come from |
| chunk.png | a chunk's page: file, size, throughput |
| plots.png | figures of all chunks, plotted by partition |
| checks.png | the checks of a dataset |
| dataset.png | what the page of a dataset tells of its cells |
| dataset_<name>.png, run_<name>.png | the pictures that [Show Markdown] opens, of a dataset and of a run over chunks |
| failed.png | two chunks that have failed among those that are stored |
| retry.png | the dialog that makes what has failed again |
"""

import argparse
import os
import re
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from PIL import Image
from playwright.sync_api import Locator, Page, expect

from cxg_assets.demo import build_census
from cxg_assets_tests.servers.browser import open_browser
from cxg_assets_tests.servers.webserver import free_port, serve

IMAGES = Path(__file__).parent / "images"
SUBSET = "blood_normal"
CHUNKS = f"/assets/{SUBSET}/h5ad_chunks"
DATASET = f"/assets/{SUBSET}/dataset"

N_OBS = 80_000
"""Human cells of the census: about thirty chunks of the example subset."""

FAILING = ("00007", "00019")
"""Chunks that are made to fail for a picture."""

COLOURS = 192
"""Of a PNG: a screen of the UI has few, and takes a third of the bytes so."""


def main() -> int:
    """Takes all pictures."""
    parser = argparse.ArgumentParser(prog="python -m docs.screenshots", description="Pictures of the UI for the docs.")
    parser.add_argument("--images", type=Path, default=IMAGES, help="folder to write to (default docs/images)")
    parser.add_argument("--n-obs", type=int, default=N_OBS, help=f"cells of the demo census (default {N_OBS:,})")
    arguments = parser.parse_args()
    arguments.images.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="cxg-demo-") as folder:
        home = Path(folder)
        census_uri = str(home / "demo-census")
        build_census(Path(census_uri), n_obs=arguments.n_obs, seed=3)
        ingest(home, census_uri, expected=0)
        with ui_page(home, census_uri) as page:
            camera = Camera(page, arguments.images)
            of_a_dataset(camera)
            fail_two_chunks(home)
            ingest(home, census_uri, expected=1)
            of_failed_chunks(camera)
    return 0


class Camera:
    """Takes pictures of a page when it has all that it will show.

    Args:
        page: The page.
        folder: Where pictures go.
    """

    def __init__(self, page: Page, folder: Path) -> None:
        self.page = page
        self._folder = folder

    def go(self, path: str, *seen: str | re.Pattern[str]) -> None:
        """Opens a page of the UI, and waits for texts in it."""
        self.page.goto(path)
        for text in seen:
            expect(self.page.get_by_text(text).first).to_be_visible()

    def take(self, name: str, part: Locator | None = None) -> None:
        """Writes `<name>.png`: the screen, or a part of it."""
        expect(self.page.get_by_role("progressbar")).to_have_count(0)
        expect(self.page.get_by_text("Loading", exact=False)).to_have_count(0)
        self.page.mouse.move(0, 0)  # no tooltip
        path = self._folder / f"{name}.png"
        (part or self.page).screenshot(path=path, animations="disabled")
        with Image.open(path) as image:
            image.convert("RGB").quantize(COLOURS, dither=Image.Dither.NONE).save(path, optimize=True)
        print(f"{path.name}: {path.stat().st_size / 1000:.0f} kB")


def of_a_dataset(camera: Camera) -> None:
    """Of a subset that is published."""
    page = camera.page
    camera.go("/", "Hide navigation")
    page.get_by_text("Hide navigation").click()

    camera.go(f"/locations/cxg_assets/asset-groups/{SUBSET}", "filtered_subset", "All")
    camera.take("lineage")
    camera.go(f"{CHUNKS}?view=partitions&partition=00003", "cells/s", "Materialized")
    camera.take("chunk")
    camera.go(CHUNKS, "Plots")
    page.get_by_text("Plots", exact=True).click()
    expect(page.locator("canvas").first).to_be_visible()
    page.get_by_text("cells_per_second", exact=True).evaluate("title => title.scrollIntoView()")
    camera.take("plots")
    camera.go(f"{DATASET}?view=checks", "Succeeded", "Evaluation result")
    camera.take("checks")
    camera.go(DATASET, "Row count", "published_at")
    page.get_by_placeholder("Filter metadata keys").evaluate("box => box.scrollIntoView()")
    camera.take("dataset")
    pictures_of(camera, "dataset")
    camera.go(f"{CHUNKS}?view=events")
    page.get_by_text("Observation").first.click()
    pictures_of(camera, "run")


def pictures_of(camera: Camera, name: str) -> None:
    """What [Show Markdown] opens, one after the other: `<name>_<key>.png`."""
    page = camera.page
    rows = page.locator("tr").filter(has=page.get_by_text("[Show Markdown]"))
    keys = [row.locator("td").first.inner_text().strip() for row in rows.all()]
    for key in keys:
        rows.filter(has=page.get_by_text(key, exact=True)).get_by_text("[Show Markdown]").click()
        dialog = page.get_by_role("dialog")
        expect(dialog.locator("img")).to_be_visible()
        camera.take(f"{name}_{key}", dialog.locator("img"))  # the table below it is longer than a screen
        page.keyboard.press("Escape")
        expect(dialog).to_have_count(0)


def of_failed_chunks(camera: Camera) -> None:
    """Of a run in which two chunks failed."""
    page = camera.page
    camera.go(f"{CHUNKS}?view=partitions&partition={FAILING[0]}", f"Failed ({len(FAILING)})")
    camera.take("failed")
    page.get_by_role("button", name="Materialize").first.click()
    dialog = page.get_by_role("dialog")
    dialog.get_by_role("button", name="Failed and missing").click()
    camera.take("retry", dialog)


def ingest(home: Path, census_uri: str, *, expected: int) -> None:
    """Runs `cxg-assets ingest`, which ends with an exit code."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("CXG_", "DAGSTER_"))}
    command = [sys.executable, "-m", "cxg_assets", "ingest", SUBSET]
    environment |= {"CXG_HOME": str(home), "CXG_CENSUS_URI": census_uri}
    ended = subprocess.run(command, env=environment, check=False).returncode
    if ended != expected:
        raise SystemExit(f"{' '.join(command)} ended with {ended} instead of {expected}")


def fail_two_chunks(home: Path) -> None:
    """Puts folders where two chunks were."""
    for chunk in FAILING:
        [path] = (home / "store" / SUBSET).glob(f"*/{chunk}-*.h5ad")
        path.unlink()
        path.mkdir()


@contextmanager
def ui_page(home: Path, census_uri: str) -> Iterator[Page]:
    """A page of the UI that the command serves."""
    port = free_port()
    command = [sys.executable, "-m", "cxg_assets", "ui", "-p", str(port)]
    with serve(command, home, census_uri, port) as ui, open_browser(ui.server.url) as browser:
        yield browser.page


if __name__ == "__main__":
    sys.exit(main())
