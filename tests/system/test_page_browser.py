"""The pages in a real browser, on a phone and on a desktop."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect

from device.factor_prior import keep_prior
from tests.device.fitted_prior import write_prior
from tests.device.page.helpers import draw_photo
from tests.system.page_process import DESKTOP, PHONE, Screen, make_home, open_screen, running_page
from tests.system.watched_page import Watched

# the first photo also starts the engine, and a test machine may be busy with others
_COUNTED_WITHIN_MS = 45_000


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A device with two drawn trees in a visit, and what blocks measured before let expect."""
    folder = tmp_path_factory.mktemp("page")
    home = make_home(folder)
    keep_prior(home, write_prior(folder / "prior.json"))
    return home


@pytest.fixture(scope="module")
def address(home: Path) -> Iterator[str]:
    """The pages of that device, for whoever is on it."""
    with running_page(home) as shown:
        yield shown


@pytest.mark.parametrize("screen", [PHONE, DESKTOP], ids=lambda screen: screen.name)
def test_from_the_summary_to_a_photo_and_an_upload(
    address: str, browser: Browser, screen: Screen, tmp_path: Path
) -> None:
    context = open_screen(browser, screen)
    watched = Watched(context.new_page(), address, tmp_path)
    page = watched.page

    page.goto(address)
    watched.check("summary")
    expect(page.get_by_role("region", name="Drawn farm")).to_contain_text("orchard, all blocks together")
    expect(page.get_by_role("article", name="Block B1")).to_contain_text("together with 24 other blocks")
    page.get_by_role("link", name="Visits").first.click()
    page.wait_for_url("**/blocks/B1")
    watched.check("block")
    expect(page.get_by_role("heading", name="Season")).to_be_visible()
    expect(page.locator(".row-line").first).to_be_visible()
    assert page.locator(".row-line").evaluate_all("lines => lines.every(line => line.offsetHeight < 40)"), "in one line"
    page.locator(".rows a").first.click()
    page.wait_for_url("**/visits/*")
    _check_thumbnails(page)
    watched.check("visit")
    page.locator(".thumbnails a").first.click()
    page.wait_for_url("**/boxes")
    watched.check("photo")
    _check_boxes(page, address)

    page.get_by_role("link", name="Upload").first.click()
    page.wait_for_url("**/upload")
    watched.check("upload")
    assert page.get_by_label("Take a photo").is_visible() == screen.is_phone
    _upload(page, f"T-{screen.name}", tmp_path)
    page.wait_for_url("**/uploads/*")
    expect(page.get_by_role("status")).to_contain_text("Done: 1 photo", timeout=_COUNTED_WITHIN_MS)
    watched.check("result")
    page.get_by_role("link", name="The visit").click()
    expect(page.get_by_role("rowheader", name=f"T-{screen.name}")).to_be_visible()

    page.goto(f"{address}/register?block=B2")
    watched.check("register")
    context.close()


def _check_thumbnails(page: Page) -> None:
    for image in page.locator(".thumbnails img").all():
        image.scroll_into_view_if_needed()
        expect(image).to_have_js_property("complete", True)
        assert image.evaluate("image => image.naturalWidth") > 0


def _check_boxes(page: Page, address: str) -> None:
    """The boxes lie on the photo at every size, and can be taken away."""
    sha256 = page.url.split("/")[-2]
    detections = page.request.get(f"{address}/api/photos/{sha256}").json()["detections"]
    assert page.locator("svg.boxes rect").count() == len(detections)
    narrow = _check_cover(page)
    page.locator("label[for=large]").click()
    assert _check_cover(page) > 1.2 * narrow
    assert page.evaluate("document.documentElement.scrollWidth - window.innerWidth") <= 0
    boxes = page.locator("svg.boxes")
    page.locator("label[for=boxes]").click()
    expect(boxes).to_be_hidden()
    page.locator("label[for=boxes]").click()
    expect(boxes).to_be_visible()


def _check_cover(page: Page) -> float:
    """The boxes' drawing covers the photo exactly; returns its width."""
    photo = page.locator(".photo img").bounding_box()
    assert photo is not None
    assert page.locator("svg.boxes").bounding_box() == pytest.approx(photo, abs=1)
    return photo["width"]


def _upload(page: Page, tree: str, folder: Path) -> None:
    """Send a photo that no tree has yet."""
    photo = folder / f"{tree}.jpg"
    photo.write_bytes(draw_photo(seed=sum(tree.encode())))
    page.get_by_label("Block").select_option("B1")
    page.get_by_label("Growth stage").select_option("ripening")
    page.get_by_label("Tree code").fill(tree)
    page.get_by_label("Choose photos").set_input_files(photo)
    page.get_by_role("button", name="Upload and count").click()


def test_signing_in_and_uploading_without_javascript(home: Path, browser: Browser, tmp_path: Path) -> None:
    with running_page(home, "red delicious") as address:
        context = open_screen(browser, PHONE, javascript=False)
        page = context.new_page()
        page.set_default_timeout(20_000)
        page.goto(f"{address}/upload")
        page.get_by_label("Pass phrase").fill("golden delicious")
        page.get_by_role("button", name="Sign in").click()
        expect(page.get_by_role("alert")).to_contain_text("not the pass phrase")
        page.get_by_label("Pass phrase").fill("red delicious")
        page.get_by_role("button", name="Sign in").click()
        page.wait_for_url("**/upload")
        _upload(page, "T-plain", tmp_path)
        page.wait_for_url("**/uploads/*")
        expect(page.get_by_role("status")).to_contain_text("Done: 1 photo", timeout=_COUNTED_WITHIN_MS)
        page.screenshot(path=tmp_path / "result.png", full_page=True)
        page.get_by_role("button", name="Sign out").click()
        page.wait_for_url("**/login")
        page.goto(address)
        page.wait_for_url("**/login?next=*")
        context.close()


def test_a_connection_that_breaks_while_uploading_keeps_the_form(
    address: str, browser: Browser, tmp_path: Path
) -> None:
    context = open_screen(browser, PHONE)
    page = context.new_page()
    page.goto(f"{address}/upload")
    context.set_offline(True)
    _upload(page, "T-lost", tmp_path)
    expect(page.get_by_role("alert")).to_contain_text("The connection broke off")
    expect(page.get_by_label("Tree code")).to_have_value("T-lost")
    expect(page.get_by_role("button", name="Upload and count")).to_be_enabled()
    context.close()
