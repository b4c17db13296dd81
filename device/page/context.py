"""What every request works with."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, cast

from fastapi import Depends, Request

from cloud_sync.pages.access import Attempts
from device.page.counting import CountingWorker
from device.page.pictures import Pictures
from device.page.sessions import Sessions
from device.page.settings import PageSettings
from device.page.stores import open_store
from device.page.templating import Templates
from device.page.uploads import UploadFolder
from device.store import Store

SESSION_COOKIE = "pomona-session"


@dataclass(frozen=True)
class PageContext:
    """The parts of one running page.

    Attributes:
        folder: the store's folder.
        settings: how the pages are served.
        templates: turns values into HTML.
        sessions: who is signed in; None without a pass phrase.
        attempts: who tried to sign in.
        pictures: previews and thumbnails.
        uploads: photos that came in through the pages.
        worker: counts them.
    """

    folder: Path
    settings: PageSettings
    templates: Templates
    sessions: Sessions | None
    attempts: Attempts
    pictures: Pictures
    uploads: UploadFolder
    worker: CountingWorker


def page_context(request: Request) -> PageContext:
    """The context of the application that serves a request."""
    return cast("PageContext", request.app.state.context)


def opened_store(request: Request) -> Iterator[Store]:
    """A store of the request's own."""
    with open_store(page_context(request).folder) as store:
        yield store


Context = Annotated[PageContext, Depends(page_context)]
OpenedStore = Annotated[Store, Depends(opened_store)]
