"""The page of an orchard map in Chromium."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser

from models.maps.runs import Work
from models.orchards.mapping import OrchardMap
from models.orchards.page import PAGE
from tests.models.orchards.conftest import make_map
from tests.models.orchards.drawn_region import draw_region
from tests.system.page_process import DESKTOP, PHONE, Screen, chromium


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with chromium() as running:
        yield running


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> OrchardMap:
    return make_map(draw_region(tmp_path_factory.mktemp("region"), side=300), tmp_path_factory.mktemp("map"), Work())


@pytest.mark.parametrize("screen", [PHONE, DESKTOP], ids=["phone", "desktop"])
def test_the_page_fits_and_needs_no_other_file(
    browser: Browser,
    made: OrchardMap,
    tmp_path: Path,
    screen: Screen,
) -> None:
    alone = tmp_path / PAGE
    alone.write_bytes((made.folder / PAGE).read_bytes())
    page = browser.new_page(viewport={"width": screen.width, "height": screen.height})
    errors: list[str] = []
    page.on("requestfailed", lambda request: errors.append(request.url))
    page.on("pageerror", lambda error: errors.append(str(error)))
    page.goto(alone.as_uri())
    assert page.evaluate("document.documentElement.scrollWidth") <= screen.width
    assert page.locator("img").count() == 2
    assert page.evaluate("[...document.images].every(image => image.complete && image.naturalWidth > 100)")
    assert f"{made.areas.orchard / 10_000:,.1f} ha" in page.inner_text("body")
    assert errors == []
    page.close()
