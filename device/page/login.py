"""``/login`` and ``/logout``."""

from __future__ import annotations

import logging
import math

from fastapi import APIRouter, Request
from fastapi.responses import RedirectResponse, Response

from device.page.context import SESSION_COOKIE, Context
from device.page.forms import Fields
from device.page.sessions import LIFETIME_S

_log = logging.getLogger(__name__)
router = APIRouter()


@router.get("/login")
def form(context: Context, next: str = "/") -> Response:  # noqa: A002  (the query's name)
    """The form that asks for the pass phrase."""
    if context.sessions is None:
        return RedirectResponse("/", status_code=303)
    return context.templates.page("login", target=_own_path(next), problem=None)


@router.post("/login")
def sign_in(request: Request, fields: Fields, context: Context) -> Response:
    """Let in who knows the pass phrase."""
    target = _own_path(fields.get("next", "/"))
    if context.sessions is None:
        return RedirectResponse("/", status_code=303)
    client = request.client.host if request.client else "unknown"
    wait_s = context.attempts.begin(client)
    if wait_s > 0:
        minutes = math.ceil(wait_s / 60)
        problem = f"Too many wrong pass phrases. Wait {minutes} minute{'s' if minutes > 1 else ''} and try again."
        headers = {"Retry-After": str(math.ceil(wait_s))}
        return context.templates.page("login", 429, headers, target=target, problem=problem)
    token = context.sessions.sign_in(fields.get("pass_phrase", ""))
    if token is None:
        _log.warning("wrong pass phrase from %s", client)
        problem = "That is not the pass phrase. It was chosen when this device was set up."
        return context.templates.page("login", 401, target=target, problem=problem)
    context.attempts.forgive(client)
    response = RedirectResponse(target, status_code=303)
    response.set_cookie(
        SESSION_COOKIE,
        token,
        max_age=int(LIFETIME_S),
        httponly=True,
        samesite="strict",
        secure=request.url.scheme == "https",
    )
    return response


@router.post("/logout")
def sign_out(request: Request, context: Context) -> Response:
    """Forget this browser."""
    if context.sessions is not None:
        context.sessions.sign_out(request.cookies.get(SESSION_COOKIE))
    response = RedirectResponse("/login", status_code=303)
    response.delete_cookie(SESSION_COOKIE, httponly=True, samesite="strict")
    return response


def _own_path(target: str) -> str:
    """A path on these pages; anything that a browser could take for another site becomes the summary."""
    is_own = target.startswith("/") and target[1:2] not in ("/", "\\") and target.isprintable()
    return target if is_own else "/"
