"""A real ``pomona page`` process on a drawn orchard, and a real browser in front of it."""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from playwright.sync_api import Browser, BrowserContext, Error, Playwright, sync_playwright

from device.commands.common import make_counter
from device.estimates import estimate
from device.orchards import BlockSettings, register_block
from device.photo_naming import name_trees
from device.predictions import TablePredictions
from device.recording import Visit
from device.sampled_visits import find_visit
from device.store import Store
from device.virtual_orchard import OrchardSettings, OrchardTruth, draw_orchard
from device.visits import import_photos

_ROOT = Path(__file__).parents[2]
# names of Chromium
CHROMIUMS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")


@dataclass(frozen=True)
class Screen:
    """A screen people look at the pages on."""

    name: str
    width: int
    height: int
    is_phone: bool


PHONE = Screen("phone", 360, 740, is_phone=True)
DESKTOP = Screen("desktop", 1280, 800, is_phone=False)


def draw_trees(folder: Path, settings: OrchardSettings) -> tuple[OrchardTruth, list[Path]]:
    """Draw an orchard; returns its truth and the photos in the order of their trees."""
    truth = draw_orchard(settings, folder)
    return truth, sorted((folder / "photos").rglob("*.jpg"))


def make_home(folder: Path) -> Path:
    """Make a device in a folder, with two drawn trees in a visit of its first block, and a second block."""
    settings = OrchardSettings(trees=2, width_px=800, height_px=500, mean_fruit=40, seed=3)
    truth, photos = draw_trees(folder / "drawn", settings)
    store = Store(folder / "home")
    visit_block(store, "B1", truth, photos)
    register_block(store, "B2", "Drawn farm", BlockSettings(area_m2=12_000, trees=1400))
    store.close()
    return folder / "home"


def visit_block(store: Store, name: str, truth: OrchardTruth, photos: list[Path]) -> None:
    """Register a block and bring photos into a visit of it, with its estimate."""
    settings = BlockSettings(truth.block_area_m2, truth.block_trees, fruit_weight_g=truth.single_fruit_weight_g)
    block = register_block(store, name, "Drawn farm", settings, "t/ha")
    visit = Visit(block, truth.settings.day, "ripening")
    import_photos(store, make_counter(None, 1), visit, name_trees(truth.folder / "photos", photos))
    predicted = 1.18 * truth.block_yield_kg_per_ha
    predictions = TablePredictions("predictions.csv", {"orchard": predicted, "sampling_area": 0.97 * predicted})
    estimate(store, block, find_visit(store, block), predictions)


@contextlib.contextmanager
def running_page(home: Path, pass_phrase: str | None = None) -> Iterator[str]:
    """The pages as a process of their own; yields their address."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith("POMONA_")}
    if pass_phrase is not None:
        environment["POMONA_PAGE_PASSPHRASE"] = pass_phrase
    process = subprocess.Popen(
        [sys.executable, "-m", "pomona", "page", "--port", "0", "--threads", "1", "--home", str(home)],
        cwd=_ROOT,
        env=environment,
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        assert process.stdout is not None
        line = process.stdout.readline()
        address = re.search(r"http://\S+", line)
        assert address is not None, f"the page did not start: {line}"
        yield address[0]
    finally:
        process.terminate()
        process.communicate(timeout=30)


@contextlib.contextmanager
def chromium() -> Iterator[Browser]:
    """Chromium without a window.

    Raises:
        RuntimeError: there is none that starts.
    """
    with sync_playwright() as playwright:
        browser = _launch(playwright)
        yield browser
        browser.close()


def _launch(playwright: Playwright) -> Browser:
    """The first Chromium that starts: the system's, else playwright's own, which has no path."""
    refusals = []
    for program in (*filter(None, map(shutil.which, CHROMIUMS)), None):
        started = _try(playwright, program)
        if isinstance(started, Browser):
            return started
        refusals.append(f"{program or 'playwright'}: {started}")
    raise RuntimeError(
        "no Chromium starts here, and these tests need one: make test installs it; or apt-get install chromium, "
        "or python -m playwright install chromium\n" + "\n".join(refusals)
    )


def _try(playwright: Playwright, program: str | None) -> Browser | str:
    """The browser, or why it does not start."""
    try:
        return playwright.chromium.launch(executable_path=program, args=["--no-sandbox"])
    except Error as error:
        return error.message


def open_screen(browser: Browser, screen: Screen, *, javascript: bool = True) -> BrowserContext:
    """A fresh browser profile on a screen."""
    return browser.new_context(
        viewport={"width": screen.width, "height": screen.height},
        is_mobile=screen.is_phone,
        has_touch=screen.is_phone,
        device_scale_factor=2 if screen.is_phone else 1,
        java_script_enabled=javascript,
    )
