"""Turning what is known into HTML."""

from __future__ import annotations

from datetime import datetime, timezone
from pathlib import Path
from typing import Any

from fastapi.responses import HTMLResponse
from jinja2 import Environment, FileSystemLoader, StrictUndefined

from cloud_sync import clock, pages
from cloud_sync.server.fleet.dead_letters import advice, readable
from cloud_sync.server.fleet.history import HEIGHT, WIDTH
from cloud_sync.troubles import age_words

_FOLDER = Path(__file__).parent / "templates"


class Templates:
    """The page templates."""

    def __init__(self) -> None:
        # nothing is escaped by hand: whatever devices sent arrives in the pages as text
        self._environment = Environment(
            loader=FileSystemLoader([_FOLDER, pages.TEMPLATES]),
            autoescape=True,
            undefined=StrictUndefined,
            trim_blocks=True,
            lstrip_blocks=True,
        )
        self._environment.filters.update(
            advice=advice,
            age=age_words,
            ago=_ago,
            clock_error=_clock_error,
            moment=_moment,
            number=_number,
            readable=readable,
            short=_short,
            size=_size,
        )
        self._environment.globals.update(
            icon=vars(self._environment.get_template("icons.html").module)["icon"],
            chart_size=(WIDTH, HEIGHT),
        )

    def page(self, name: str, status: int = 200, headers: dict[str, str] | None = None, **values: Any) -> HTMLResponse:
        """A page.

        Args:
            name: name of the template, without its suffix.
            status: HTTP status.
            headers: further headers.
            values: what the template shows.
        """
        text = self._environment.get_template(f"{name}.html").render(now=clock.now(), **values)
        return HTMLResponse(text, status, headers)

    def error(self, status: int, message: str, headers: dict[str, str] | None = None) -> HTMLResponse:
        """A page that says what is wrong and what to do."""
        return self.page("error", status, headers, code=status, message=message)


def _moment(moment: datetime) -> str:
    return f"{moment.astimezone(timezone.utc):%Y-%m-%d %H:%M} UTC"


def _ago(moment: datetime) -> str:
    seconds = (clock.now() - moment).total_seconds()
    # no seconds: they would change what is read at every look
    return "just now" if seconds < 60 else f"{age_words(seconds)} ago"


def _clock_error(seconds: float) -> str:
    if abs(seconds) < 1:
        return "within 1 s"
    return f"{age_words(abs(seconds))} {'ahead' if seconds > 0 else 'behind'}"


def _number(value: float) -> str:
    return f"{value:,}"


def _short(value: int) -> str:
    """A number that fits a tile."""
    for unit, factor in (("M", 1_000_000), ("k", 1000)):
        if value >= 10 * factor:
            return f"{value // factor:,}{unit}"
    return f"{value:,}"


def _size(count: int) -> str:
    """Bytes with the unit that makes them short."""
    for unit, factor in (("GB", 1e9), ("MB", 1e6), ("kB", 1e3)):
        if count >= factor:
            value = count / factor
            return f"{value:.1f} {unit}" if value < 10 else f"{value:.0f} {unit}"
    return f"{count} bytes"
