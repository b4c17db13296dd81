"""HTTPS as it runs in the server, in this process, on a free port of loopback."""

from __future__ import annotations

import contextlib
import http.client
import json
import ssl
import threading
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from cloud_sync import keys
from cloud_sync.enrolling import enroll
from cloud_sync.enrolment import Address
from cloud_sync.identity import Identity, read_identity
from cloud_sync.invitation import Invitation
from cloud_sync.server.database import Database
from cloud_sync.server.https.serving import https_server
from cloud_sync.server.invitations import invite
from tests.cloud_sync.helpers import free_port, make_server


class HttpsSite:
    """A server folder that HTTPS is served from, and devices."""

    database: Database  # while it is served from

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.server_folder = make_server(folder / "server", free_port(), free_port())
        self.address = Address(host="localhost", port=self.server_folder.read_settings().https_port)

    @contextlib.contextmanager
    def serving(self) -> Iterator[None]:
        self.database = Database.in_file(self.server_folder.database)
        with contextlib.closing(self.database), https_server(self.server_folder, self.database, threading.Event()):
            yield

    def invite(self, name: str, **options: Any) -> Invitation:
        return invite(self.server_folder, name, timedelta(hours=1), **options)

    def home(self, name: str) -> Path:
        return self.folder / "devices" / name

    def device(self, name: str) -> Identity:
        """A device, enrolled by invitation."""
        return enroll(self.home(name), self.invite(name))

    def context(self, identity: Identity | None = None) -> ssl.SSLContext:
        """A client's context without anything of ours: OpenSSL alone."""
        context = ssl.create_default_context(cafile=str(self.server_folder.trusted))
        if identity is not None:
            context.load_cert_chain(identity.certificate, identity.key)
        return context

    def ask(
        self,
        method: str,
        path: str,
        body: bytes | None = None,
        identity: Identity | None = None,
        headers: dict[str, str] | None = None,
    ) -> tuple[int, Any]:
        """Status and answer, JSON where it is."""
        connection = http.client.HTTPSConnection(
            self.address.host, self.address.port, timeout=10, context=self.context(identity)
        )
        with contextlib.closing(connection):
            connection.request(method, path, body, {"Content-Type": "application/json", **(headers or {})})
            return read(connection)


def serial_of(home: Path) -> int:
    """Serial number of the certificate a device uses."""
    return keys.read_certificate(read_identity(home).certificate).serial_number


def read(connection: http.client.HTTPSConnection) -> tuple[int, Any]:
    response = connection.getresponse()
    content = response.read()
    is_json = response.headers.get_content_type() == "application/json"
    return response.status, json.loads(content) if is_json else content


@pytest.fixture(scope="module")
def https_site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[HttpsSite]:
    """Running, shared by the tests of a module; each uses devices of its own."""
    made = HttpsSite(tmp_path_factory.mktemp("https"))
    with made.serving():
        yield made
