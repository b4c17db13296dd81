"""What every request must pass before a page sees it, and the headers every answer carries."""

from __future__ import annotations

from urllib.parse import quote, urlsplit

from fastapi import Request
from fastapi.responses import JSONResponse, RedirectResponse, Response
from starlette.datastructures import MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from cloud_sync.pages.basic import refuse_stranger
from cloud_sync.pages.serving import SECURITY_HEADERS, host_name, is_loopback
from device.page.context import SESSION_COOKIE, PageContext

LOGIN, UPLOAD, STATIC, API, METRICS = "/login", "/upload", "/static/", "/api/", "/metrics"
# every form but the upload, which bounds itself while it arrives
_MOST_FORM_BYTES = 64 * 1024


class Guard:
    """Refuses requests that come from elsewhere than the pages themselves, or from nobody who has signed in.

    Args:
        app: what comes after.
        context: the parts of the page.
    """

    def __init__(self, app: ASGIApp, context: PageContext) -> None:
        self._app = app
        self._context = context

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one connection."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return

        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                headers.update(SECURITY_HEADERS)
                headers.setdefault("Cache-Control", "private, no-cache")
            await send(message)

        answer = self._refusal(Request(scope)) or self._app
        await answer(scope, receive, send_with_headers)

    def _refusal(self, request: Request) -> Response | None:
        return (
            self._check_host(request)
            or self._check_origin(request)
            or self._check_size(request)
            or self._check_session(request)
        )

    def _check_host(self, request: Request) -> Response | None:
        """On loopback, answer to this machine's names only.

        A page elsewhere may let its own name point to 127.0.0.1 after it was loaded (DNS rebinding); a browser then
        takes the device's pages for that site's own.
        """
        settings, host = self._context.settings, host_name(request.headers.get("host", ""))
        if not settings.on_loopback or is_loopback(host) or host in settings.names:
            return None
        return self._refuse(
            request,
            421,
            f"These pages do not answer to the name {host!r}. Use localhost with the same port, or start them with "
            "--name for the name a proxy gives them.",
        )

    def _check_origin(self, request: Request) -> Response | None:
        """Take changes only from a form of these pages: no other site can make a browser send this origin."""
        if request.method in ("GET", "HEAD"):
            return None
        origin = request.headers.get("origin", "")
        if origin and urlsplit(origin).netloc.lower() == request.headers.get("host", "").lower():
            return None
        return self._refuse(
            request,
            403,
            "This form was sent from another site, so nothing was changed. Open the page here and try again.",
        )

    def _check_size(self, request: Request) -> Response | None:
        if request.method in ("GET", "HEAD") or request.url.path == UPLOAD:
            return None
        length = request.headers.get("content-length", "")
        if length.isdecimal() and int(length) <= _MOST_FORM_BYTES:
            return None
        return self._refuse(request, 413, "This form is too long. Send it with less text.")

    def _check_session(self, request: Request) -> Response | None:
        sessions, path = self._context.sessions, request.url.path
        if sessions is None or path == LOGIN or path.startswith(STATIC):
            return None
        if sessions.is_valid(request.cookies.get(SESSION_COOKIE)):
            return None
        if path == METRICS:  # a program does not sign in
            return refuse_stranger(request, sessions.pass_phrase, self._context.attempts)
        if request.method == "GET" and not path.startswith(API):
            return RedirectResponse(f"{LOGIN}?next={quote(_target(request), safe='')}", status_code=303)
        return self._refuse(request, 401, "You are not signed in, or not any more. Sign in and try again.")

    def _refuse(self, request: Request, status: int, message: str) -> Response:
        if request.url.path.startswith(API):
            return JSONResponse({"error": message}, status)
        return self._context.templates.error(status, message)


def _target(request: Request) -> str:
    return request.url.path + (f"?{request.url.query}" if request.url.query else "")
