"""Putting the pages together."""

from __future__ import annotations

from pathlib import Path

from fastapi import FastAPI
from fastapi.staticfiles import StaticFiles
from starlette.middleware.gzip import GZipMiddleware

from cloud_sync.pages.access import PassPhrase
from cloud_sync.server.database import Database
from cloud_sync.server.fleet import api, scraping, views
from cloud_sync.server.fleet.context import FleetContext
from cloud_sync.server.fleet.failures import add_failures
from cloud_sync.server.fleet.guard import Guard
from cloud_sync.server.fleet.settings import FleetSettings

_STATIC = Path(__file__).parent / "static"
_SHORTEST_ZIPPED_BYTES = 1000


def create_app(database: Database, processes: Path, settings: FleetSettings) -> FastAPI:
    """The web application.

    Args:
        database: the server's database.
        processes: folder with what ingest processes count of themselves.
        settings: how the pages are served.

    Raises:
        PagesError: the pass phrase is too short.
    """
    pass_phrase = PassPhrase(settings.pass_phrase) if settings.pass_phrase is not None else None
    context = FleetContext(database, settings, processes, pass_phrase)
    # no generated pages of the API: they would load their scripts from outside
    app = FastAPI(
        title="Pomona fleet",
        description="What a Pomona server knows of its devices and what it holds. Everything here only reads.",
        version="1",
        docs_url=None,
        redoc_url=None,
        openapi_url="/api/openapi.json",
    )
    app.state.context = context
    app.add_middleware(GZipMiddleware, minimum_size=_SHORTEST_ZIPPED_BYTES)
    app.add_middleware(Guard, context=context)
    add_failures(app)
    for routes in (views, api, scraping):
        app.include_router(routes.router)
    # our own, and the look that the devices' pages have too
    app.mount("/static", StaticFiles(directory=_STATIC, packages=[("cloud_sync.pages", "static")]), name="static")
    return app
