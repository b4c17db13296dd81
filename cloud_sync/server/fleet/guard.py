"""What every request must pass before a page sees it, and the headers every answer carries."""

from __future__ import annotations

from fastapi import Request
from fastapi.responses import JSONResponse, Response
from starlette.datastructures import MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from cloud_sync.pages.basic import refuse_stranger
from cloud_sync.pages.serving import SECURITY_HEADERS, host_name, is_loopback
from cloud_sync.server.fleet.context import FleetContext

API = "/api/"


class Guard:
    """Refuses requests of strangers, of other sites, and all that would change something: these pages only read.

    Args:
        app: what comes after.
        context: the parts of the page.
    """

    def __init__(self, app: ASGIApp, context: FleetContext) -> None:
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
        settings, host = self._context.settings, host_name(request.headers.get("host", ""))
        # a page elsewhere may let its own name point to this machine after it was loaded (DNS rebinding)
        if settings.on_loopback and not is_loopback(host) and host not in settings.names:
            return self._refuse(
                request,
                421,
                f"These pages do not answer to the name {host!r}. Use localhost with the same port, or start them with "
                "--name for the name a proxy gives them.",
            )
        if request.method not in ("GET", "HEAD"):
            return self._refuse(request, 405, "Nothing can be changed here; these pages only read.")
        if self._context.pass_phrase is None:
            return None
        return refuse_stranger(request, self._context.pass_phrase, self._context.attempts)

    def _refuse(self, request: Request, status: int, message: str) -> Response:
        if request.url.path.startswith(API):
            return JSONResponse({"error": message}, status)
        return self._context.templates.error(status, message)
