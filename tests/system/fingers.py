"""Fingers on a photo whose boxes are reviewed."""

from __future__ import annotations

from playwright.sync_api import Page


class Fingers:
    """Fingers on the screen of a phone, by number, as the browser has them from a touch screen.

    Args:
        page: the page they touch.
    """

    def __init__(self, page: Page) -> None:
        self._page = page
        self._screen = page.context.new_cdp_session(page)
        self._at: dict[int, tuple[float, float]] = {}

    def put(self, finger: int, place: tuple[float, float]) -> None:
        """Set a finger on the screen."""
        self._at[finger] = place
        self._tell("touchStart", self._at)

    def move(self, places: dict[int, tuple[float, float]], steps: int = 8) -> None:
        """Move fingers, all at once and in steps, to where each of them shall be."""
        begun = dict(self._at)
        for step in range(1, steps + 1):
            for finger, (x, y) in places.items():
                x0, y0 = begun[finger]
                self._at[finger] = (x0 + (x - x0) * step / steps, y0 + (y - y0) * step / steps)
            self._tell("touchMove", self._at)

    def lift(self, finger: int) -> None:
        """Take a finger off."""
        self._tell("touchEnd", {finger: self._at.pop(finger)})

    def break_off(self) -> None:
        """The system takes the touch away, as it does for a call that comes in."""
        self._at.clear()
        self._tell("touchCancel", {})

    def beneath(self) -> dict[int, tuple[float, float]]:
        """The place of the photo beneath each finger, in pixels of the photo."""
        return {finger: photo_place(self._page, place) for finger, place in self._at.items()}

    def _tell(self, kind: str, fingers: dict[int, tuple[float, float]]) -> None:
        points = [{"id": finger, "x": x, "y": y} for finger, (x, y) in fingers.items()]
        self._screen.send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": points})
        self._page.evaluate("() => new Promise(requestAnimationFrame)")  # touches are told once a frame


def photo_place(page: Page, place: tuple[float, float]) -> tuple[float, float]:
    """What place of the photo, in its pixels, lies at a place of the screen."""
    x, y = page.locator("svg.boxes").evaluate(
        """(svg, [x, y]) => {
            const shown = svg.getBoundingClientRect();
            const [width, height] = [svg.viewBox.baseVal.width, svg.viewBox.baseVal.height];
            return [(x - shown.left) / shown.width * width, (y - shown.top) / shown.height * height];
        }""",
        place,
    )
    return x, y
