"""The fleet's pages in a real browser: on a phone and a desktop, brought up to date without losing one's place."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.cloud_sync.virtual_fleet import VirtualDevice, many, troubled_five
from tests.system.fleet_process import FleetServer, start_fleet_server
from tests.system.page_process import DESKTOP, Screen, open_screen
from tests.system.watched_page import Watched

PHONE = Screen("phone", 390, 844, is_phone=True)
_REFRESHED_MS = 11_000


@pytest.fixture(scope="module")
def five(tmp_path_factory: pytest.TempPathFactory) -> Iterator[FleetServer]:
    made = start_fleet_server(tmp_path_factory.mktemp("five") / "server", troubled_five())
    yield made
    made.stop()


@pytest.fixture(scope="module")
def hundreds(tmp_path_factory: pytest.TempPathFactory) -> Iterator[FleetServer]:
    made = start_fleet_server(tmp_path_factory.mktemp("hundreds") / "server", [*troubled_five(), *many(250)])
    yield made
    made.stop()


@pytest.fixture
def desktop(browser: Browser) -> Iterator[Page]:
    context = open_screen(browser, DESKTOP)
    yield context.new_page()
    context.close()


@pytest.mark.parametrize("screen", [PHONE, DESKTOP], ids=lambda screen: screen.name)
def test_from_the_fleet_to_a_troubled_device_and_what_was_refused(
    five: FleetServer, hundreds: FleetServer, browser: Browser, screen: Screen, tmp_path: Path
) -> None:
    context = open_screen(browser, screen)
    watched = Watched(context.new_page(), five.address, tmp_path)
    page = watched.page
    page.goto(five.address)
    watched.check("fleet")
    rows = page.locator("#devices tbody tr")
    expect(rows).to_have_count(5)
    expect(rows.first).to_contain_text("laptop-lab")
    rows.nth(1).click(position={"x": 150, "y": 20})  # anywhere in it
    page.wait_for_url("**/devices/pi-gate")
    watched.check("device")
    expect(page.get_by_role("img", name="Temperature: lowest")).to_be_visible()
    page.get_by_role("link", name="7 days").click()
    page.wait_for_url("**/devices/pi-gate?days=7")
    page.get_by_role("link", name="Refused").click()
    watched.check("refused")
    page.get_by_role("link", name="pi-south").first.click()
    page.wait_for_url("**/devices/pi-south")
    page.locator("summary").first.click()
    watched.check("device-refused")
    page.get_by_role("link", name="Blocks").click()
    watched.check("blocks")
    page.goto(f"{five.address}/devices/jetson-north")
    watched.check("absent")
    many_watched = Watched(context.new_page(), hundreds.address, tmp_path)
    many_watched.page.goto(hundreds.address)
    many_watched.check("hundreds")
    context.close()


def test_devices_are_found_while_typing_and_the_address_can_be_passed_on(hundreds: FleetServer, desktop: Page) -> None:
    desktop.goto(hundreds.address)
    expect(desktop.locator("#devices tbody tr")).to_have_count(100)
    box = desktop.get_by_label("Search")
    box.press_sequentially("0.0.9")
    rows = desktop.locator("#devices tbody tr")
    expect(rows.filter(has_not_text="0.0.9")).to_have_count(0)
    expect(desktop.locator("#devices")).to_contain_text(re.compile(r"\d+ of 255 devices"))
    expect(box).to_be_focused()
    desktop.get_by_label("Show").select_option("offline")
    expect(desktop.locator("#devices .status.is-online")).to_have_count(0)
    shown = rows.locator("th").all_inner_texts()
    assert 0 < len(shown) < 100
    desktop.goto(desktop.url)
    assert rows.locator("th").all_inner_texts() == shown
    expect(desktop.get_by_label("Search")).to_have_value("0.0.9")


def test_the_page_is_brought_up_to_date_and_one_s_place_is_kept(tmp_path: Path, desktop: Page) -> None:
    server = start_fleet_server(tmp_path / "server", troubled_five())
    desktop.clock.install()
    desktop.set_viewport_size({"width": 1280, "height": 400})
    desktop.goto(server.address)
    desktop.get_by_label("Search").fill("new-")
    desktop.clock.run_for(300)
    expect(desktop.locator("#devices")).to_contain_text("No device is like that.")
    server.receive(VirtualDevice("new-1", {"waiting": 12}))
    desktop.clock.run_for(_REFRESHED_MS)
    expect(desktop.locator("#device-new-1")).to_contain_text("12")
    expect(desktop.get_by_label("Search")).to_have_value("new-")

    desktop.goto(f"{server.address}/devices/pi-south")
    desktop.locator("summary").last.click()
    desktop.evaluate("window.scrollTo(0, 300); window.untouched = document.querySelector('h1')")
    server.receive(VirtualDevice("pi-south", {"waiting": 77, "rejected": 3}))
    desktop.clock.run_for(_REFRESHED_MS)
    expect(desktop.locator("#lines")).to_contain_text("77")
    assert desktop.evaluate("window.scrollY") == 300
    expect(desktop.locator("details[open]")).to_have_count(1)
    expect(desktop.get_by_role("status")).to_contain_text("As of")
    server.stop()


def test_what_has_not_changed_is_left_alone(five: FleetServer, desktop: Page) -> None:
    """What is put in anew flickers, and takes a selection away."""
    desktop.clock.install()
    desktop.goto(f"{five.address}/dead-letters")
    desktop.evaluate("window.mark = document.querySelector('#letters li')")
    asked: list[str] = []
    desktop.on("request", lambda request: asked.append(request.url))
    desktop.clock.run_for(_REFRESHED_MS)
    expect(desktop.get_by_role("status")).to_contain_text("As of")
    # a browser asks for the icon whenever it likes
    assert [url for url in asked if not url.endswith("/icon.svg")] == [f"{five.address}/dead-letters"]
    assert desktop.evaluate("document.contains(window.mark)")


def test_a_page_that_grows_old_says_so(tmp_path: Path, desktop: Page) -> None:
    server = start_fleet_server(tmp_path / "server", [VirtualDevice("kiwi-07", quiet=timedelta(minutes=1))])
    desktop.clock.install()
    desktop.goto(server.address)
    server.stop()
    desktop.clock.run_for(_REFRESHED_MS)
    status = desktop.locator("#freshness")
    expect(status).to_contain_text(re.compile(r"The server is out of reach; what is shown grows old. As of \d\d:"))
    desktop.clock.run_for(_REFRESHED_MS)
    expect(desktop.locator("#device-kiwi-07")).to_be_visible()
    assert status.inner_text().count("out of reach") == 1


def test_without_javascript_the_form_has_a_button(five: FleetServer, browser: Browser) -> None:
    context = open_screen(browser, PHONE, javascript=False)
    page = context.new_page()
    page.goto(five.address)
    page.get_by_label("Search").fill("pi-")
    page.get_by_label("Show").select_option("bad")
    page.get_by_role("button", name="Show").click()
    page.wait_for_url("**/?search=pi-&show=bad&sort=trouble")
    expect(page.locator("#devices tbody tr")).to_have_count(2)
    context.close()
