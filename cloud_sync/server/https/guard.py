"""What every request must pass before a route sees it: a device's certificate, and bounds of size and time."""

from __future__ import annotations

import asyncio
import logging
import time

from fastapi import HTTPException
from fastapi.responses import JSONResponse
from starlette.concurrency import run_in_threadpool
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from cloud_sync.enrolment import AUTHORITY, ENROLMENT
from cloud_sync.errors import IdentityError
from cloud_sync.server.errors import FolderError
from cloud_sync.server.https.peer import Gate

# All else is for devices that show their certificate: a route that is added is closed unless it is named here.
PUBLIC = frozenset({("GET", AUTHORITY), ("POST", ENROLMENT)})
_MOST_BODY_BYTES = 64 * 1024
_BODY_WITHIN_S = 30.0
_log = logging.getLogger(__name__)


class Guard:
    """Lets devices in, and into the public part everybody, with bodies that are neither too long nor too slow.

    Args:
        app: what comes after; it finds ``device`` and ``certificate`` in the request's state.
        gate: knows the devices.
        most_body_bytes: longest body by the beginning of the path, where it is another than 64 KiB.
    """

    def __init__(self, app: ASGIApp, gate: Gate, most_body_bytes: dict[str, int] | None = None) -> None:
        self._app = app
        self._gate = gate
        self._most_body_bytes = most_body_bytes or {}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one connection."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        refusal = await self._refusal(scope)
        if refusal is not None:
            await refusal(scope, receive, send)
            return
        await self._app(scope, _bounded(receive, self._most(scope["path"])), send)

    async def _refusal(self, scope: Scope) -> JSONResponse | None:
        if (scope["method"], scope["path"]) in PUBLIC:
            return None
        state = scope["state"]
        try:
            state["device"], state["certificate"] = await run_in_threadpool(self._gate.device_of, state["shown"])
        except IdentityError as error:
            return JSONResponse({"reason": str(error)}, 403)
        except FolderError as error:
            _log.error("%s", error)
            return JSONResponse({"reason": "the server cannot read its own folder; its log says more"}, 503)
        return None

    def _most(self, path: str) -> int:
        for beginning, most in self._most_body_bytes.items():
            if path.startswith(beginning):
                return most
        return _MOST_BODY_BYTES


def _bounded(receive: Receive, most_bytes: int) -> Receive:
    """Receive a body of bounded length in bounded time."""
    came = 0
    until = time.monotonic() + _BODY_WITHIN_S
    is_whole = False

    async def bounded() -> Message:
        nonlocal came, is_whole
        if is_whole:  # what comes now is the end of the connection, whenever that is
            return await receive()
        try:
            message = await asyncio.wait_for(receive(), max(0.0, until - time.monotonic()))
        except asyncio.TimeoutError as error:
            raise HTTPException(408, f"the request did not arrive within {_BODY_WITHIN_S:.0f} s") from error
        came += len(message.get("body", b""))
        is_whole = not message.get("more_body", False)
        if came > most_bytes:
            raise HTTPException(413, f"the request is longer than {most_bytes} bytes")
        return message

    return bounded
