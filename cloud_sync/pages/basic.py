"""Letting in programs that give the pass phrase with each request, such as Prometheus (HTTP Basic, RFC 7617)."""

from __future__ import annotations

import base64
import binascii
import math

from fastapi import Request
from fastapi.responses import PlainTextResponse, Response

from cloud_sync.pages.access import Attempts, PassPhrase


def refuse_stranger(request: Request, pass_phrase: PassPhrase, attempts: Attempts) -> Response | None:
    """Let in a program, or a browser, that gives the pass phrase with its request (HTTP Basic, any user name).

    Returns:
        What to answer to a stranger; None for whoever may go on.
    """
    given = _basic_password(request.headers.get("authorization", ""))
    client = request.client.host if request.client else "unknown"
    ask = {"WWW-Authenticate": 'Basic realm="Pomona", charset="UTF-8"'}
    if given is None:
        return PlainTextResponse("Give the pass phrase as the password; any user name will do.\n", 401, ask)
    wait_s = attempts.begin(client)
    if wait_s > 0:
        again = {"Retry-After": str(math.ceil(wait_s))}
        return PlainTextResponse("Too many wrong pass phrases; wait some minutes.\n", 429, again)
    if not pass_phrase.matches(given):
        return PlainTextResponse("That is not the pass phrase.\n", 401, ask)
    attempts.forgive(client)
    return None


def _basic_password(header: str) -> str | None:
    scheme, _, encoded = header.partition(" ")
    if scheme.lower() != "basic":
        return None
    try:
        return base64.b64decode(encoded.strip(), validate=True).decode("utf-8").partition(":")[2]
    except (binascii.Error, UnicodeDecodeError):
        return None
