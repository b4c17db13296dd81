"""Turning what is known into HTML."""

from __future__ import annotations

import shlex
from datetime import datetime
from pathlib import Path
from typing import Any

from fastapi.responses import HTMLResponse
from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from cloud_sync import pages
from device.page.settings import PageSettings
from device.wording import (
    counted_lines,
    figures,
    fruit_words,
    interval_made_of,
    interval_words,
    review_effect,
    stage_words,
    together_figure,
    visit_lines,
    warnings_of,
)

_FOLDER = Path(__file__).parent / "templates"


class Templates:
    """The page templates.

    Args:
        settings: how the pages are served.
    """

    def __init__(self, settings: PageSettings) -> None:
        # nothing is escaped by hand: whatever people typed arrives in the pages as text
        self._environment = Environment(
            loader=FileSystemLoader([_FOLDER, pages.TEMPLATES]),
            autoescape=True,
            undefined=StrictUndefined,
            trim_blocks=True,
            lstrip_blocks=True,
        )
        self._environment.filters.update(
            command=_command,
            fruit=fruit_words,
            megabytes=_megabytes,
            moment=moment_words,
            number=_number,
            quoted=shlex.quote,
            stage=stage_words,
            unbroken=_unbroken,
        )
        self._environment.globals.update(
            counted_lines=counted_lines,
            figures=figures,
            icon=vars(self._environment.get_template("icons.html").module)["icon"],
            interval_made_of=interval_made_of,
            interval_words=interval_words,
            review_effect=review_effect,
            sign_out_shown=settings.pass_phrase is not None,
            together_figure=together_figure,
            visit_lines=visit_lines,
            warnings_of=warnings_of,
        )

    def page(self, name: str, status: int = 200, headers: dict[str, str] | None = None, **values: Any) -> HTMLResponse:
        """A page.

        Args:
            name: name of the template, without its suffix.
            status: HTTP status.
            headers: further headers.
            values: what the template shows.
        """
        text = self._environment.get_template(f"{name}.html").render(values)
        return HTMLResponse(text, status, headers)

    def error(self, status: int, message: str, headers: dict[str, str] | None = None) -> HTMLResponse:
        """A page that says what is wrong and what to do."""
        return self.page("error", status, headers, code=status, message=message)


def moment_words(moment: datetime) -> str:
    """A moment to the minute; one with a zone is told in the device's own."""
    local = moment.astimezone() if moment.tzinfo else moment
    return f"{local:%Y-%m-%d %H:%M}"


def _number(value: float) -> str:
    return f"{value:,}"


def _unbroken(text: str) -> str:
    """The text with each number in one piece with its per cent sign."""
    return text.replace(" %", "\N{NO-BREAK SPACE}%")


def _command(line: str) -> Markup:
    """A command to type, broken between its words only."""
    words = (Markup("<span>{}</span>").format(word) for word in line.split())
    return Markup("<code>{}</code>").format(Markup(" ").join(words))


def _megabytes(size_bytes: int) -> str:
    return f"{size_bytes / 1e6:.0f} MB"
