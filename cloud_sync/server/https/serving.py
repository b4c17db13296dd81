"""HTTPS with client certificates, in a thread of its own beside the server's other work."""

from __future__ import annotations

import contextlib
import logging
import socket
import ssl
import threading
from collections.abc import Iterator

import uvicorn
from starlette.types import ASGIApp

from cloud_sync.errors import IdentityError
from cloud_sync.server.database import Database
from cloud_sync.server.errors import FolderError
from cloud_sync.server.folder import ServerFolder
from cloud_sync.server.https.application import create_app
from cloud_sync.server.https.peer import PeerProtocol
from cloud_sync.tls import NO_CHECK_TIME

_log = logging.getLogger(__name__)

_MOST_CONNECTIONS = 500
# requests at most as long as this, without their bodies
_MOST_HEAD_BYTES = 16 * 1024
_START_WITHIN_S = 20.0


@contextlib.contextmanager
def https_server(folder: ServerFolder, database: Database, stop: threading.Event) -> Iterator[None]:
    """Serve devices until the block ends.

    Args:
        folder: the server's folder.
        database: the server's database.
        stop: set when serving ends by itself, so that a server that serves half of it does not look alive.

    Raises:
        FolderError: the port is taken, or the certificate cannot be used.
    """
    settings = folder.read_settings()
    server = make_server(create_app(folder, database), _Contexts(folder).current)
    listening = _listen(settings.bind, settings.https_port)
    thread = threading.Thread(target=_serve, args=(server, listening, stop), name="https", daemon=True)
    thread.start()
    _log.info("HTTPS for devices listens on port %d", settings.https_port)
    try:
        yield
    finally:
        server.should_exit = True
        thread.join()


def make_server(app: ASGIApp, context: ssl.SSLContext) -> uvicorn.Server:
    """A uvicorn server that hands client certificates to the application."""
    config = uvicorn.Config(
        app,
        http=PeerProtocol,
        ws="none",
        lifespan="off",
        log_config=None,
        log_level="error",
        access_log=False,
        server_header=False,
        proxy_headers=False,
        limit_concurrency=_MOST_CONNECTIONS,
        h11_max_incomplete_event_size=_MOST_HEAD_BYTES,
        timeout_graceful_shutdown=5,
    )
    config.load()
    config.ssl = context
    return uvicorn.Server(config)


def _serve(server: uvicorn.Server, listening: socket.socket, stop: threading.Event) -> None:
    try:
        server.run([listening])
    finally:
        listening.close()
        if not server.should_exit:
            _log.error("HTTPS for devices has ended")
        stop.set()


def _listen(host: str | None, port: int) -> socket.socket:
    try:
        if host is None:
            return _listen_everywhere(port)
        family, _, _, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        return socket.create_server(address[:2], family=family, backlog=256)
    except OSError as error:
        raise FolderError(
            f"cannot listen on port {port} for HTTPS: {error.strerror}; stop what uses it, or run `pomona server init` "
            "again with another --https-port"
        ) from error


def _listen_everywhere(port: int) -> socket.socket:
    if socket.has_dualstack_ipv6():
        return socket.create_server(("", port), family=socket.AF_INET6, dualstack_ipv6=True, backlog=256)
    return socket.create_server(("", port), backlog=256)


class _Contexts:
    """The TLS settings of the folder as it is: each handshake sees certificates that were made since the last.

    Args:
        folder: the server's folder.

    Attributes:
        current: the settings to serve with.

    Raises:
        FolderError: the folder has no certificate for HTTPS.
        IdentityError: the certificate cannot be used.
    """

    def __init__(self, folder: ServerFolder) -> None:
        self._folder = folder
        self._files = (folder.https / "https.pem", folder.https / "https.key", folder.trusted)
        if not all(file.exists() for file in self._files):
            raise FolderError(f"{folder.path} has no certificate for HTTPS; run `pomona server init` on it again")
        self._seen = self._stamps()
        self.current = self._make()
        self._fresh = self.current

    def _make(self) -> ssl.SSLContext:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.minimum_version = ssl.TLSVersion.TLSv1_3
        # a certificate that is shown must be one of ours; who shows none gets to enrolment only
        context.verify_mode = ssl.CERT_OPTIONAL
        context.num_tickets = 0  # a resumed session would not be verified again
        # judged at each request instead, where the answer can say why
        context.verify_flags |= NO_CHECK_TIME
        certificate, key, trusted = map(str, self._files)
        try:
            context.load_cert_chain(certificate, key)
            context.load_verify_locations(cafile=trusted)
        except OSError as error:
            raise IdentityError(
                f"the certificate for HTTPS in {self._folder.https} cannot be used ({error.strerror or error}); run "
                "`pomona server init` again"
            ) from error
        context.sni_callback = self._renew
        return context

    def _renew(self, connected: ssl.SSLSocket | ssl.SSLObject, _name: str | None, _context: ssl.SSLContext) -> None:
        with contextlib.suppress(OSError, IdentityError):  # then the former ones still serve
            stamps = self._stamps()
            if stamps != self._seen:
                self._fresh, self._seen = self._make(), stamps
        if self._fresh is not self.current:
            connected.context = self._fresh

    def _stamps(self) -> list[tuple[int, int]]:
        return [((stat := file.stat()).st_mtime_ns, stat.st_ino) for file in self._files]
