"""Putting the routes together.

A further part is a module with a ``router``, named in ``_PARTS``. Its routes take the device that calls as a parameter
of type :data:`~cloud_sync.server.https.context.Caller`; nobody without a device's certificate gets to them.
"""

from __future__ import annotations

import logging

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from sqlalchemy.exc import SQLAlchemyError
from starlette.exceptions import HTTPException

from cloud_sync.photos import MOST_CHUNK_BYTES, PHOTOS
from cloud_sync.server.database import Database
from cloud_sync.server.errors import DatabaseError, FolderError
from cloud_sync.server.folder import ServerFolder
from cloud_sync.server.https import documents, enrolment, photos, releases
from cloud_sync.server.https.context import HttpsSite
from cloud_sync.server.https.guard import Guard
from cloud_sync.server.https.peer import Gate
from cloud_sync.server.https.tries import Tries

_PARTS = (enrolment, documents, photos, releases)
# longest bodies by the beginning of the path, where 64 KiB are not enough
_MOST_BODY_BYTES = {f"{PHOTOS}/": MOST_CHUNK_BYTES}
_log = logging.getLogger(__name__)


def create_app(folder: ServerFolder, database: Database) -> FastAPI:
    """The application, to be served by :func:`~cloud_sync.server.https.serving.https_server` only.

    Args:
        folder: the server's folder.
        database: the server's database.
    """
    # no generated API pages: they are for people, and this is for devices
    app = FastAPI(title="Pomona for devices", docs_url=None, redoc_url=None, openapi_url=None)
    app.state.site = HttpsSite(folder, database, Tries())
    app.add_middleware(Guard, gate=Gate(folder), most_body_bytes=_MOST_BODY_BYTES)
    _add_failures(app)
    for part in _PARTS:
        app.include_router(part.router)
    return app


def _add_failures(app: FastAPI) -> None:
    """Answer errors of every kind with a reason, which never repeats what was sent."""

    @app.exception_handler(HTTPException)
    def refused(_request: Request, error: HTTPException) -> JSONResponse:
        return JSONResponse({"reason": error.detail}, error.status_code, error.headers)

    @app.exception_handler(RequestValidationError)
    def malformed(_request: Request, error: RequestValidationError) -> JSONResponse:
        fields = ", ".join(str(problem["loc"][-1]) for problem in error.errors())
        return JSONResponse({"reason": f"the request was not understood; check {fields[:200]}"}, 422)

    @app.exception_handler(FolderError)
    def no_folder(_request: Request, error: FolderError) -> JSONResponse:
        _log.error("%s", error)
        return JSONResponse({"reason": "the server cannot use its own folder; its log says more"}, 503)

    @app.exception_handler(DatabaseError)
    @app.exception_handler(SQLAlchemyError)
    def no_database(_request: Request, error: Exception) -> JSONResponse:
        _log.error("%s", error)
        return JSONResponse({"reason": "the server cannot use its database now; its log says more"}, 503)

    @app.exception_handler(Exception)
    def unexpected(_request: Request, _error: Exception) -> JSONResponse:
        # uvicorn logs the traceback; the answer shows none of it
        return JSONResponse({"reason": "something went wrong at the server; its log says more"}, 500)
