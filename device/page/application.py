"""Putting the pages together."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator, Callable
from pathlib import Path

from fastapi import FastAPI
from fastapi.staticfiles import StaticFiles

from cloud_sync.pages.access import Attempts
from device.page import api, login, metrics, photo_files, photo_page, records, registering, uploading
from device.page.context import PageContext
from device.page.counting import CountingWorker
from device.page.failures import add_failures
from device.page.guard import Guard
from device.page.pictures import Pictures
from device.page.sessions import Sessions
from device.page.settings import PageSettings
from device.page.templating import Templates
from device.page.uploads import UploadFolder
from export.runtime.counter import Counter

_STATIC = Path(__file__).parent / "static"


def create_app(store_folder: Path, counter_factory: Callable[[], Counter], settings: PageSettings) -> FastAPI:
    """The web application.

    Args:
        store_folder: folder with the device's records.
        counter_factory: gives what counts uploaded photos, when some arrive.
        settings: how the pages are served.
    """
    uploads = UploadFolder(store_folder / "uploads")
    context = PageContext(
        folder=store_folder,
        settings=settings,
        templates=Templates(settings),
        sessions=Sessions(settings.pass_phrase) if settings.pass_phrase else None,
        attempts=Attempts(),
        pictures=Pictures(store_folder / "thumbnails"),
        uploads=uploads,
        worker=CountingWorker(store_folder, uploads, counter_factory),
    )

    @contextlib.asynccontextmanager
    async def lifespan(_app: FastAPI) -> AsyncIterator[None]:
        context.worker.start()
        yield
        context.worker.stop()

    # no generated API pages: they would load their scripts from outside
    app = FastAPI(title="Pomona", lifespan=lifespan, docs_url=None, redoc_url=None, openapi_url=None)
    app.state.context = context
    app.add_middleware(Guard, context=context)
    add_failures(app)
    for routes in (records, photo_page, photo_files, registering, uploading, api, metrics, login):
        app.include_router(routes.router)
    # our own, and the look that the server's pages have too
    app.mount("/static", StaticFiles(directory=_STATIC, packages=[("cloud_sync.pages", "static")]), name="static")
    return app
