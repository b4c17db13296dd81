"""Makes the pictures of the pages for the documentation: ``python -m tests.system.page_pictures``.

They show drawn trees and virtual devices.
"""

from __future__ import annotations

import tempfile
from dataclasses import replace
from pathlib import Path

from PIL import Image

from device.store import Store
from device.virtual_orchard import OrchardSettings
from tests.cloud_sync.virtual_fleet import troubled_five
from tests.system.fleet_process import start_fleet_server
from tests.system.page_process import DESKTOP, PHONE, chromium, draw_trees, open_screen, running_page, visit_block

_IMAGES = Path(__file__).parents[2] / "docs" / "images"
_ORCHARDS = [
    OrchardSettings(trees=trees, width_px=1600, height_px=1000, mean_fruit=90, seed=seed)
    for trees, seed in ((10, 7), (6, 8))
]
# what the pages are seen on in the documentation
_PHONE, _DESKTOP = replace(PHONE, width=390, height=800), replace(DESKTOP, height=900)


def make_pictures(folder: Path) -> None:
    """Photograph a photo's page on a phone and the summary on a desktop, and the server's page of its fleet."""
    folder.mkdir(parents=True, exist_ok=True)
    _make_fleet_picture(folder / "fleet-desktop.png")
    with tempfile.TemporaryDirectory() as scratch:
        home = Path(scratch) / "home"
        store = Store(home)
        for number, settings in enumerate(_ORCHARDS, start=1):
            visit_block(store, f"B{number}", *draw_trees(Path(scratch) / f"drawn-{number}", settings))
        store.close()
        with running_page(home) as address, chromium() as browser:
            for screen in (_PHONE, _DESKTOP):
                page = open_screen(browser, screen).new_page()
                page.goto(address)
                if screen.is_phone:
                    page.goto(f"{address}/blocks/B1")
                    page.locator(".rows a").first.click()
                    page.locator(".thumbnails a").first.click()
                    page.wait_for_url("**/boxes")
                page.wait_for_load_state("networkidle")
                page.screenshot(path=folder / f"page-{screen.name}.png")
                _slim(folder / f"page-{screen.name}.png")


def _make_fleet_picture(picture: Path) -> None:
    with tempfile.TemporaryDirectory() as scratch:
        server = start_fleet_server(Path(scratch) / "server", troubled_five())
        with chromium() as browser:
            page = open_screen(browser, _DESKTOP).new_page()
            page.goto(server.address)
            page.wait_for_load_state("networkidle")
            page.screenshot(path=picture)
        server.stop()
    _slim(picture)


def _slim(picture: Path) -> None:
    """Keep 128 colours, chosen so that rare ones are among them: a fourth of the size, and no difference to see."""
    with Image.open(picture) as image:
        slim = image.convert("RGB").quantize(128, kmeans=3)
    slim.save(picture, optimize=True)


if __name__ == "__main__":
    make_pictures(_IMAGES)
