"""Who calls: the client certificate of a connection, which uvicorn does not hand to applications by itself."""

from __future__ import annotations

import asyncio
import ssl
from typing import cast

from cryptography import x509
from uvicorn.protocols.http.h11_impl import H11Protocol, RequestResponseCycle

from cloud_sync import keys, topics
from cloud_sync.errors import IdentityError
from cloud_sync.server.broker_control import reload_broker
from cloud_sync.server.certificates import Authority, read_revoked
from cloud_sync.server.folder import ServerFolder
from cloud_sync.server.signing import has_ended

# a connection that asks for nothing is closed; it would keep its place for ever
_REQUEST_WITHIN_S = 20.0


class PeerProtocol(H11Protocol):
    """Puts the certificate of the connection, DER, into the state of each request's scope; None without one."""

    _watch: asyncio.TimerHandle | None = None
    _seen: RequestResponseCycle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """As the base class."""
        super().connection_made(transport)
        connected = transport.get_extra_info("ssl_object")
        shown = connected.getpeercert(binary_form=True) if isinstance(connected, ssl.SSLObject) else None
        self.app_state = {**self.app_state, "shown": shown}
        self._watch = self.loop.call_later(_REQUEST_WITHIN_S, self._close_idle)

    def _close_idle(self) -> None:
        """Close the connection where nothing was asked since the last look, and nothing is being answered."""
        cycle = cast("RequestResponseCycle | None", self.cycle)  # None until the first request, other than it says
        if cycle is self._seen and (cycle is None or cycle.response_complete):
            self.transport.close()
            return
        self._seen = cycle
        self._watch = self.loop.call_later(_REQUEST_WITHIN_S, self._close_idle)

    def connection_lost(self, exc: Exception | None) -> None:
        """As the base class."""
        if self._watch is not None:
            self._watch.cancel()
        super().connection_lost(exc)


class Gate:
    """Tells which device a certificate speaks for, at each request anew.

    TLS has made sure that one of our authorities has signed it for a client, and that the client has the key. The rest
    is judged here, at each request: a connection may last longer than what it was made with.

    Args:
        folder: the server's folder.
    """

    def __init__(self, folder: ServerFolder) -> None:
        self._folder = folder
        self._revoked: frozenset[int] = frozenset()
        self._read_at: tuple[int, int] | None = None

    def device_of(self, shown: bytes | None) -> tuple[str, x509.Certificate]:
        """The device and its certificate.

        Args:
            shown: the certificate of the connection, DER; None without one.

        Raises:
            IdentityError: no certificate, one of something else than a device, or one that has ended or was revoked.
            FolderError: the server's folder cannot be read or written.
        """
        if shown is None:
            raise IdentityError("this needs the certificate of an enrolled device")
        certificate = x509.load_der_x509_certificate(shown)
        name = topics.check_device_name(keys.common_name(certificate.subject) or "")
        if has_ended(certificate):
            raise IdentityError(f"the certificate of {name!r} ended on {certificate.not_valid_after_utc:%Y-%m-%d}")
        if certificate.serial_number in self._revoked_numbers():
            raise IdentityError(f"the certificate of {name!r} was revoked")
        is_renewed = (self._folder.renewed / f"{name}.pem").exists()
        if is_renewed and Authority(self._folder).note_shown(certificate):
            reload_broker(self._folder)  # so that it refuses the former one from now on
        return name, certificate

    def _revoked_numbers(self) -> frozenset[int]:
        """Those revoked until now, by this process or another."""
        with self._folder.explained():
            stat = self._folder.revoked.stat()
            if self._read_at != (stat.st_mtime_ns, stat.st_ino):
                self._revoked = frozenset(read_revoked(self._folder))
                self._read_at = stat.st_mtime_ns, stat.st_ino
        return self._revoked
