"""A page in a real browser that is looked at: no complaint, nothing from elsewhere, none too small, wide or faint."""

from __future__ import annotations

from pathlib import Path

from playwright.sync_api import Page, Request, Response

_LEAST_TARGET_PX = 56
# what a finger meets: an input inside a label counts with the label, one that is hidden behind its label is the label
_SMALL_TARGETS = """least => [...document.querySelectorAll('a[href], button, select, textarea, input, label')]
    .filter(element => element.checkVisibility() && !element.matches('.skip, [type=hidden], .switch'))
    .filter(element => !element.matches('label') || element.previousElementSibling?.matches('.switch'))
    .map(element => [element.outerHTML.slice(0, 120), element.getBoundingClientRect()])
    .filter(([, box]) => Math.round(box.width) < least || Math.round(box.height) < least)
    .map(([html, box]) => `${Math.round(box.width)} x ${Math.round(box.height)}: ${html}`)"""
# WCAG 2.2, 1.4.3: contrast of each text with the ground it stands on
_LEAST_CONTRAST = 4.5
_FAINT_TEXTS = """least => {
    const rgb = colour => colour.match(/[\\d.]+/g).map(Number);
    const linear = value => value <= 0.04045 ? value / 12.92 : ((value + 0.055) / 1.055) ** 2.4;
    const light = ([r, g, b]) => 0.2126 * linear(r / 255) + 0.7152 * linear(g / 255) + 0.0722 * linear(b / 255);
    const ground = element => {
        const colour = rgb(getComputedStyle(element).backgroundColor);
        return colour[3] === 0 ? ground(element.parentElement) : colour;
    };
    const contrast = element => {
        const [dark, bright] = [rgb(getComputedStyle(element).color), ground(element)].map(light).sort((a, b) => a - b);
        return (bright + 0.05) / (dark + 0.05);
    };
    return [...document.querySelectorAll('body *')]
        .filter(element => [...element.childNodes].some(node => node.nodeType === Node.TEXT_NODE && node.data.trim()))
        .filter(element => element.checkVisibility() && contrast(element) < least)
        .map(element => `${contrast(element).toFixed(1)}: ${element.outerHTML.slice(0, 120)}`);
}"""


class Watched:
    """A page whose every request and console message is looked at.

    Args:
        page: the page.
        address: where the pages are.
        folder: takes the screenshots.
    """

    def __init__(self, page: Page, address: str, folder: Path) -> None:
        self.page = page
        self._address = address
        self._folder = folder
        self._trouble: list[str] = []
        page.set_default_timeout(20_000)
        page.on("console", lambda message: self._trouble.append(f"console {message.type}: {message.text}"))
        page.on("pageerror", lambda error: self._trouble.append(f"error: {error}"))
        page.on("request", self._check_request)
        page.on("response", self._check_response)

    def _check_request(self, request: Request) -> None:
        if not request.url.startswith(f"{self._address}/"):
            self._trouble.append(f"request outside: {request.url}")

    def _check_response(self, response: Response) -> None:
        if not response.ok and response.status not in (303, 304):
            self._trouble.append(f"{response.status}: {response.url}")

    def check(self, name: str) -> None:
        """Look at the page as it stands now."""
        self.page.wait_for_load_state("load")
        self.page.screenshot(path=self._folder / f"{name}.png", full_page=True)
        assert self._trouble == []
        overflow = self.page.evaluate("document.documentElement.scrollWidth - window.innerWidth")
        assert overflow <= 0, f"{name} is {overflow} px wider than the screen"
        small = self.page.evaluate(_SMALL_TARGETS, _LEAST_TARGET_PX)
        assert small == [], f"{name} has targets below {_LEAST_TARGET_PX} px"
        assert self.page.locator("main h1").count() == 1
        for scheme in ("dark", "light"):
            self.page.emulate_media(color_scheme=scheme)
            faint = self.page.evaluate(_FAINT_TEXTS, _LEAST_CONTRAST)
            assert faint == [], f"{name}, {scheme}, has texts of a contrast below {_LEAST_CONTRAST}"
