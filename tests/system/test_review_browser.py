"""Photos are reviewed in a real browser, on a phone and on a desktop."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.system.fingers import Fingers, photo_place
from tests.system.page_process import DESKTOP, PHONE, Screen, make_home, open_screen, running_page
from tests.system.watched_page import Watched


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A device with two drawn trees in a visit."""
    return make_home(tmp_path_factory.mktemp("page"))


@pytest.fixture(scope="module")
def address(home: Path) -> Iterator[str]:
    """The pages of that device, for whoever is on it."""
    with running_page(home) as shown:
        yield shown


def open_review(page: Page, address: str) -> str:
    """Open the first photo and begin to review it; returns its SHA-256."""
    page.goto(f"{address}/blocks/B1")
    page.locator(".rows a").first.click()
    page.locator(".thumbnails a").first.click()
    page.wait_for_url("**/boxes")
    page.get_by_role("button", name="Review", exact=True).click()
    return page.url.split("/")[-2]


def shown_boxes(page: Page, kind: str) -> list[tuple[float, float]]:
    """Centres on the screen of the boxes of a kind that lie wholly within the frame, apart from others."""
    centres: list[list[float]] = page.locator(".photo-frame").evaluate(
        """(frame, kind) => {
            const seen = frame.getBoundingClientRect();
            const all = [...frame.querySelectorAll('rect')].map(box => [box, box.getBoundingClientRect()]);
            const middle = at => [at.x + at.width / 2, at.y + at.height / 2];
            const apart = (a, b) => Math.hypot(middle(a)[0] - middle(b)[0], middle(a)[1] - middle(b)[1]);
            return all.filter(([box, at]) => box.classList.contains(kind)
                    && at.left > seen.left && at.right < seen.right && at.top > seen.top && at.bottom < seen.bottom
                    && all.every(([other, where]) => other === box || apart(at, where) > 60))
                .map(([, at]) => middle(at));
        }""",
        kind,
    )
    return [(x, y) for x, y in centres]


def free_place(page: Page) -> tuple[float, float]:
    """A place on the screen within the photo and far from every box."""
    x, y = page.locator(".photo-frame").evaluate(
        """frame => {
            const seen = frame.getBoundingClientRect();
            const boxes = [...frame.querySelectorAll('rect')].map(box => box.getBoundingClientRect());
            for (let y = seen.top + 40; y < seen.bottom - 40; y += 10)
                for (let x = seen.left + 40; x < seen.right - 40; x += 10)
                    if (boxes.every(box => Math.hypot(x - box.x - box.width / 2, y - box.y - box.height / 2) > 90))
                        return [x, y];
            throw new Error('the photo is full');
        }"""
    )
    return x, y


def touch(page: Page, screen: Screen, place: tuple[float, float]) -> None:
    (page.touchscreen.tap if screen.is_phone else page.mouse.click)(*place)


def take_back(page: Page) -> None:
    """Take the review of the photo back, so that the next test finds it as it was."""
    page.get_by_role("button", name="Take this review back").click()
    expect(page.locator(".photo-count")).to_contain_text("counted")


@pytest.mark.parametrize("screen", [PHONE, DESKTOP], ids=lambda screen: screen.name)
def test_boxes_are_removed_added_undone_and_saved(
    home: Path, address: str, browser: Browser, screen: Screen, tmp_path: Path
) -> None:
    context = open_screen(browser, screen)
    watched = Watched(context.new_page(), address, tmp_path)
    page = watched.page
    sha256 = open_review(page, address)
    before = page.request.get(f"{address}/api/photos/{sha256}").json()
    machine = len(before["detections"])
    tally = page.locator("#tally")
    expect(tally).to_contain_text("Tap a box to remove it, an empty place to add one")
    watched.check("reviewing")
    first, second, *_ = shown_boxes(page, "is-kept")
    touch(page, screen, first)
    touch(page, screen, second)
    expect(tally).to_contain_text(f"{machine - 2} fruit: 2 removed, 0 added")
    touch(page, screen, second)
    expect(tally).to_contain_text(f"{machine - 1} fruit: 1 removed, 0 added. Kept")
    touch(page, screen, free_place(page))
    touch(page, screen, free_place(page))
    expect(tally).to_contain_text("1 removed, 2 added. Added")
    page.get_by_role("button", name="Undo").click()
    expect(tally).to_contain_text("1 removed, 1 added. Undone")
    watched.check("reviewed")
    page.reload()  # as a phone does to a page it has put aside
    expect(tally).to_contain_text("1 removed, 1 added. What was not saved yet is back")
    page.get_by_role("button", name="Save", exact=True).click()
    page.wait_for_url("**saved=*")
    watched.check("saved")
    expect(page.get_by_role("status").filter(has_text="Saved.")).to_contain_text(
        f"shows {machine} fruit; the tree counts"
    )
    expect(page.locator("#viewer")).not_to_have_class("viewer reviewing")
    told = page.request.get(f"{address}/api/photos/{sha256}").json()["review"]
    assert (len(told["removed"]), len(told["added"])) == (1, 1)
    (x1, y1, x2, y2) = told["added"][0]
    sizes = [(box[2] - box[0], box[3] - box[1]) for box in (found["box"] for found in before["detections"])]
    assert min(w for w, _ in sizes) <= x2 - x1 <= max(w for w, _ in sizes), "as large as its neighbours"
    assert min(h for _, h in sizes) <= y2 - y1 <= max(h for _, h in sizes)
    page.get_by_role("button", name="Take this review back").click()
    expect(page.locator(".photo-count")).to_contain_text(f"{machine} fruit counted")
    context.close()


def test_boxes_are_reviewed_with_the_keys_alone(address: str, browser: Browser, tmp_path: Path) -> None:
    context = open_screen(browser, DESKTOP)
    page = context.new_page()
    open_review(page, address)
    tally = page.locator("#tally")
    for keys, said in (
        (["n", "Enter"], "1 removed, 0 added. Removed"),
        (["p", "n", "Delete"], "Kept"),
        (["n", "n", " "], "Removed"),
        (["u"], "0 removed, 0 added. Undone"),
        (["+", "-", "n", "Enter", "Control+z"], "0 removed, 0 added. Undone"),
    ):
        for key in keys:
            page.keyboard.press(key)
        expect(tally).to_contain_text(said)
    place = page.locator(".cross").bounding_box()
    page.keyboard.press("Shift+ArrowLeft")
    page.keyboard.press("ArrowUp")
    moved = page.locator(".cross").bounding_box()
    assert place is not None
    assert moved is not None
    assert (moved["x"], moved["y"]) != (place["x"], place["y"])
    page.keyboard.press("Escape")
    expect(tally).to_be_hidden()
    expect(page.get_by_role("button", name="Review", exact=True)).to_be_focused()
    context.close()


def test_two_people_at_once_lose_nothing(address: str, browser: Browser, tmp_path: Path) -> None:
    li, mai = (open_screen(browser, screen).new_page() for screen in (DESKTOP, PHONE))
    for page, name in ((li, "Li"), (mai, "Mai")):
        open_review(page, address)
        page.get_by_role("button", name="Close").click()
        page.get_by_label("Your name").fill(name)
        page.get_by_role("button", name="Review", exact=True).click()
    touch(li, DESKTOP, shown_boxes(li, "is-kept")[0])
    touch(li, DESKTOP, free_place(li))
    touch(mai, PHONE, shown_boxes(mai, "is-kept")[-1])
    li.get_by_role("button", name="Save", exact=True).click()
    li.wait_for_url("**saved=*")
    mai.get_by_role("button", name="Save", exact=True).click()
    expect(mai.locator("#tally")).to_contain_text("Li has saved a review of this photo since you opened it")
    expect(mai.locator("#tally")).to_contain_text("2 removed, 1 added")
    mai.screenshot(path=tmp_path / "both.png")
    mai.get_by_role("button", name="Save", exact=True).click()
    mai.wait_for_url("**saved=*")
    expect(mai.locator(".photo-count")).to_contain_text("reviewed by Mai: 2 removed, 1 added")
    take_back(mai)
    for page in (li, mai):
        page.context.close()


def test_photo_after_photo_is_reviewed(address: str, browser: Browser, tmp_path: Path) -> None:
    context = open_screen(browser, PHONE)
    watched = Watched(context.new_page(), address, tmp_path)
    page = watched.page
    first = open_review(page, address)
    page.get_by_role("button", name="Save, next").click()
    page.wait_for_url(f"**review=1&saved={first}")
    expect(page.locator("#tally")).to_contain_text("0 removed, 0 added. Saved. Side")
    watched.check("next")
    page.goto(f"{address}/photos/{first}/boxes")
    take_back(page)
    context.close()


def test_a_connection_that_breaks_while_saving_keeps_the_review(address: str, browser: Browser, tmp_path: Path) -> None:
    context = open_screen(browser, PHONE)
    page = context.new_page()
    open_review(page, address)
    touch(page, PHONE, free_place(page))
    context.set_offline(True)
    page.get_by_role("button", name="Save", exact=True).click()
    expect(page.locator("#tally")).to_contain_text("The connection broke off. Your changes are kept here")
    expect(page.locator("#tally")).to_contain_text("0 removed, 1 added")
    context.set_offline(False)
    page.get_by_role("button", name="Save", exact=True).click()
    page.wait_for_url("**saved=*")
    take_back(page)
    context.close()


def test_the_count_of_a_tree_is_set_with_large_buttons_and_without_javascript(
    address: str, browser: Browser, tmp_path: Path
) -> None:
    context = open_screen(browser, PHONE)
    page = context.new_page()
    open_review(page, address)
    page.get_by_role("button", name="Close").click()
    count = page.get_by_label("Count of tree")
    machine = int(count.input_value())
    page.get_by_role("button", name="One more").click()
    page.get_by_role("button", name="One more").click()
    page.get_by_role("button", name="One less").click()
    expect(count).to_have_value(str(machine + 1))
    page.get_by_role("button", name="Set the tree's count").click()
    expect(page.get_by_role("status").filter(has_text="Saved.")).to_contain_text(
        f"the tree counts {machine + 1} (model"
    )
    photo = page.url.split("?")[0]
    context.close()
    context = open_screen(browser, PHONE, javascript=False)
    page = context.new_page()
    page.goto(photo)
    expect(page.get_by_role("button", name="One more")).to_be_hidden()
    expect(page.get_by_role("button", name="Review", exact=True)).to_be_hidden()
    page.get_by_label("Count of tree").fill(str(machine + 5))
    page.get_by_role("button", name="Set the tree's count").click()
    expect(page.get_by_text(f"{machine + 5} (reviewed; model {machine})")).to_be_visible()
    page.get_by_role("button", name="Let its photos count again").click()
    expect(page.get_by_text(f"{machine} by the model")).to_be_visible()
    context.close()


def shown_width(page: Page) -> float:
    width: float = page.locator("svg.boxes").evaluate("svg => svg.getBoundingClientRect().width")
    return width


def frame_middle(page: Page) -> tuple[float, float]:
    frame = page.locator(".photo-frame").bounding_box()
    assert frame is not None
    return frame["x"] + frame["width"] / 2, frame["y"] + frame["height"] / 2


@pytest.fixture
def reviewed(address: str, browser: Browser, tmp_path: Path) -> Iterator[Watched]:
    """A phone on which the boxes of the first photo are reviewed."""
    context = open_screen(browser, PHONE)
    watched = Watched(context.new_page(), address, tmp_path)
    open_review(watched.page, address)
    expect(watched.page.locator("#tally")).to_contain_text("0 removed, 0 added")
    yield watched
    context.close()


# from where and to where the two fingers go, about the middle of the photo's frame, and how much larger it becomes
PINCHES = {
    "apart": (((-40, -30), (40, 30)), ((-80, -60), (80, 60)), 2.0),
    "together": (((-80, -60), (80, 60)), ((-60, -45), (60, 45)), 0.75),
    "one of them still": (((-60, 0), (20, 0)), ((-60, 0), (100, 0)), 2.0),
    "moved without turning or spreading": (((-40, 0), (40, 0)), ((-10, 50), (70, 50)), 1.0),
    "apart and moved": (((-50, 20), (0, 20)), ((-90, 60), (10, 60)), 2.0),
}


@pytest.mark.parametrize(("start", "end", "larger"), PINCHES.values(), ids=PINCHES)
def test_what_lies_beneath_two_fingers_stays_beneath_them(
    reviewed: Watched, start: tuple[tuple[float, float], ...], end: tuple[tuple[float, float], ...], larger: float
) -> None:
    page = reviewed.page
    page.get_by_role("button", name="Smaller").click()
    page.locator(".photo-frame").evaluate(
        "f => f.scrollTo((f.scrollWidth - f.clientWidth) / 2, (f.scrollHeight - f.clientHeight) / 2)"
    )
    middle = frame_middle(page)
    on_screen = [[(middle[0] + x, middle[1] + y) for x, y in places] for places in (start, end)]
    before, fingers = shown_width(page), Fingers(page)
    for finger, place in enumerate(on_screen[0]):
        fingers.put(finger, place)
    beneath = fingers.beneath()
    fingers.move(dict(enumerate(on_screen[1])))
    assert shown_width(page) == pytest.approx(larger * before, rel=0.03)
    for finger, place in fingers.beneath().items():
        assert place == pytest.approx(beneath[finger], abs=4), f"finger {finger}"
    fingers.lift(0)
    fingers.lift(1)
    expect(page.locator("#tally")).to_contain_text("0 removed, 0 added")
    assert page.evaluate("visualViewport.scale") == 1, "the page around the photo stays as it is"


def test_two_fingers_also_enlarge_what_one_has_begun_to_move(reviewed: Watched) -> None:
    page = reviewed.page
    page.get_by_role("button", name="Smaller").click()
    (x, y), before, fingers = frame_middle(page), shown_width(page), Fingers(page)
    fingers.put(0, (x + 20, y))
    fingers.move({0: (x - 60, y)})
    fingers.put(1, (x + 60, y))
    beneath = fingers.beneath()
    fingers.move({0: (x - 100, y), 1: (x + 100, y)}, steps=16)
    assert shown_width(page) == pytest.approx(before * 200 / 120, rel=0.05)
    for finger, place in fingers.beneath().items():
        assert place == pytest.approx(beneath[finger], abs=12), f"finger {finger}"
    reviewed.check("pinched")  # a browser complains of a movement that can no longer be stopped


@pytest.mark.parametrize("ends", ["lifted", "broken off"])
def test_a_finger_that_comes_back_elsewhere_begins_anew(reviewed: Watched, ends: str) -> None:
    page = reviewed.page
    (x, y), before, fingers = frame_middle(page), shown_width(page), Fingers(page)
    fingers.put(0, (x - 50, y))
    fingers.put(1, (x, y))
    fingers.move({1: (x - 1, y)})
    if ends == "lifted":
        fingers.lift(1)
    else:
        fingers.break_off()
        fingers.put(0, (x - 50, y))
    fingers.put(1, (x + 100, y))
    fingers.move({1: (x + 101, y)})
    assert shown_width(page) == pytest.approx(before, rel=0.05)


def test_two_fingers_make_it_no_smaller_than_the_frame_and_no_larger_than_is_of_use(reviewed: Watched) -> None:
    page = reviewed.page
    (x, y), fingers = frame_middle(page), Fingers(page)
    for far, near, px_wide in ((150, 10, PHONE.width), (10, 150, 6 * 800)):
        fingers.put(0, (x - far, y))
        fingers.put(1, (x + far, y))
        fingers.move({0: (x - near, y), 1: (x + near, y)})
        assert shown_width(page) == px_wide
        fingers.lift(0)
        fingers.lift(1)


def test_after_two_fingers_a_tap_adds_a_box_where_it_is(reviewed: Watched) -> None:
    page = reviewed.page
    (x, y), fingers = frame_middle(page), Fingers(page)
    fingers.put(0, (x - 80, y))
    fingers.put(1, (x + 80, y))
    fingers.move({0: (x - 40, y - 20), 1: (x + 50, y - 20)})
    fingers.lift(1)
    fingers.lift(0)
    place = free_place(page)
    touch(page, PHONE, place)
    expect(page.locator("#tally")).to_contain_text("0 removed, 1 added. Added")
    centre = page.locator("rect.is-added").evaluate(
        "rect => { const box = rect.getBBox(); return [box.x + box.width / 2, box.y + box.height / 2]; }"
    )
    assert centre == pytest.approx(photo_place(page, place), abs=2)


def test_before_the_review_two_fingers_are_left_to_the_browser(address: str, browser: Browser) -> None:
    context = open_screen(browser, PHONE)
    page = context.new_page()
    open_review(page, address)
    page.get_by_role("button", name="Close").click()
    (x, y), before, fingers = frame_middle(page), shown_width(page), Fingers(page)
    fingers.put(0, (x - 20, y))
    fingers.put(1, (x + 20, y))
    fingers.move({0: (x - 80, y), 1: (x + 80, y)})
    assert shown_width(page) == before
    context.close()
