"""Errors as pages with a remedy, or as JSON beside them."""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Iterator, Mapping

from fastapi import FastAPI, HTTPException, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse, Response
from starlette.exceptions import HTTPException as AnyHTTPException

from cloud_sync.pages.serving import SECURITY_HEADERS
from device.errors import InputError, StoreError
from device.page.context import page_context
from device.page.guard import API

_log = logging.getLogger(__name__)
_PLAIN = {404: "There is no such page.", 405: "This page takes no such request."}


@contextlib.contextmanager
def unknown_is_404() -> Iterator[None]:
    """Turn what the query layer says of unknown names and ids into 404."""
    try:
        yield
    except InputError as error:
        raise HTTPException(404, str(error)) from error


def add_failures(app: FastAPI) -> None:
    """Answer errors of every kind."""

    def answer(request: Request, status: int, message: str, headers: Mapping[str, str] | None = None) -> Response:
        # errors nobody caught are answered outside the guard, which sets these headers otherwise
        every = {**SECURITY_HEADERS, **(headers or {})}
        if request.url.path.startswith(API):
            return JSONResponse({"error": message}, status, every)
        return page_context(request).templates.error(status, message, every)

    @app.exception_handler(AnyHTTPException)
    def refused(request: Request, error: AnyHTTPException) -> Response:
        message = error.detail
        if not isinstance(error, HTTPException):  # the router's own, with nothing but the standard phrase
            message = _PLAIN.get(error.status_code, message)
        return answer(request, error.status_code, message, error.headers)

    @app.exception_handler(RequestValidationError)
    def malformed(request: Request, error: RequestValidationError) -> Response:
        fields = ", ".join(str(problem["loc"][-1]) for problem in error.errors())
        return answer(request, 422, f"The request was not understood; check {fields}.")

    @app.exception_handler(InputError)
    def wrong(request: Request, error: InputError) -> Response:
        return answer(request, 400, str(error))

    @app.exception_handler(StoreError)
    def not_stored(request: Request, error: StoreError) -> Response:
        _log.error("%s", error)
        return answer(request, 503, str(error))

    @app.exception_handler(Exception)
    def unexpected(request: Request, _error: Exception) -> Response:
        # the server logs the traceback; the page shows none of it
        return answer(
            request, 500, "Something went wrong here. Nothing half-done was recorded; the device's log says more."
        )
