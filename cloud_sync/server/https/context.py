"""What routes share: the server's folder, and the device that calls."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from cryptography import x509
from fastapi import Depends, Request

from cloud_sync.server.database import Database
from cloud_sync.server.folder import ServerFolder
from cloud_sync.server.https.tries import Tries


@dataclass(frozen=True)
class HttpsSite:
    """The parts of the application.

    Attributes:
        folder: the server's folder.
        database: what is published, and asked of devices.
        tries: who has shown wrong invitations.
    """

    folder: ServerFolder
    database: Database
    tries: Tries


@dataclass(frozen=True)
class CallingDevice:
    """The device whose certificate the connection has shown.

    Attributes:
        device: its name.
        certificate: the certificate.
    """

    device: str
    certificate: x509.Certificate


def site_of(request: Request) -> HttpsSite:
    """The parts of the application that serves a request."""
    site: HttpsSite = request.app.state.site
    return site


def _caller(request: Request) -> CallingDevice:
    return CallingDevice(request.state.device, request.state.certificate)


Caller = Annotated[CallingDevice, Depends(_caller)]
"""The device that calls; a route that takes it cannot be public."""
