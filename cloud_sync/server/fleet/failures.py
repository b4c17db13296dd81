"""Errors as pages with a remedy, or as JSON beside them."""

from __future__ import annotations

import logging
from collections.abc import Mapping

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse, Response
from starlette.exceptions import HTTPException

from cloud_sync.pages.serving import SECURITY_HEADERS
from cloud_sync.server.errors import DatabaseError
from cloud_sync.server.fleet.context import fleet_context
from cloud_sync.server.fleet.guard import API

_log = logging.getLogger(__name__)


def add_failures(app: FastAPI) -> None:
    """Answer errors of every kind."""

    def answer(request: Request, status: int, message: str, headers: Mapping[str, str] | None = None) -> Response:
        # errors nobody caught are answered outside the guard, which sets these headers otherwise
        every = {**SECURITY_HEADERS, **(headers or {})}
        if request.url.path.startswith(API):
            return JSONResponse({"error": message}, status, every)
        return fleet_context(request).templates.error(status, message, every)

    @app.exception_handler(HTTPException)
    def refused(request: Request, error: HTTPException) -> Response:
        message = "There is no such page." if error.detail == "Not Found" else error.detail
        return answer(request, error.status_code, message, error.headers)

    @app.exception_handler(RequestValidationError)
    def malformed(request: Request, error: RequestValidationError) -> Response:
        fields = ", ".join(str(problem["loc"][-1]) for problem in error.errors())
        return answer(request, 422, f"The request was not understood; check {fields}.")

    @app.exception_handler(DatabaseError)
    def not_read(request: Request, error: DatabaseError) -> Response:
        _log.error("%s", error)
        return answer(request, 503, f"The database cannot be read now: {error}", {"Retry-After": "10"})

    @app.exception_handler(Exception)
    def unexpected(request: Request, _error: Exception) -> Response:
        # the server logs the traceback; the page shows none of it
        return answer(request, 500, "Something went wrong here; the log of the fleet's pages says more.")
