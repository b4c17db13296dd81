"""Makes the pictures of the pages for the documentation, from drawn trees: ``python -m tests.system.page_pictures``."""

from __future__ import annotations

import tempfile
from pathlib import Path

from PIL import Image

from device.virtual_orchard import OrchardSettings
from tests.system.page_process import DESKTOP, PHONE, chromium, draw_trees, fill_store, open_screen, running_page

_IMAGES = Path(__file__).parents[2] / "docs" / "images"
_ORCHARD = OrchardSettings(trees=10, width_px=1600, height_px=1000, mean_fruit=90, seed=7)


def make_pictures(folder: Path) -> None:
    """Photograph a photo's page on a phone and a visit's page on a desktop."""
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as scratch:
        home = Path(scratch) / "home"
        truth, photos = draw_trees(Path(scratch) / "drawn", _ORCHARD)
        fill_store(home, truth, photos)
        with running_page(home) as address, chromium() as browser:
            for screen in (PHONE, DESKTOP):
                page = open_screen(browser, screen).new_page()
                page.goto(f"{address}/blocks/B1")
                page.locator(".rows a").first.click()
                if screen.is_phone:
                    page.locator(".thumbnails a").first.click()
                    page.wait_for_url("**/boxes")
                page.wait_for_load_state("networkidle")
                page.screenshot(path=folder / f"page-{screen.name}.png")
                _slim(folder / f"page-{screen.name}.png")


def _slim(picture: Path) -> None:
    """Keep 256 colours: a third of the size, and no difference to see."""
    with Image.open(picture) as image:
        slim = image.convert("RGB").quantize(256)
    slim.save(picture, optimize=True)


if __name__ == "__main__":
    make_pictures(_IMAGES)
