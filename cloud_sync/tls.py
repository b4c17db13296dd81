"""The client's side of TLS, to the broker and to the server's HTTPS alike.

OpenSSL judges a certificate's dates by the machine's clock, which on a device may say 1970 or 2038. So that check is
switched off and made here, against what is known to have passed. Certificates that were revoked are refused by the
list that came with the trust root.
"""

from __future__ import annotations

import contextlib
import ssl
from datetime import datetime
from pathlib import Path
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import serialization

from cloud_sync import keys
from cloud_sync.errors import IdentityError
from cloud_sync.identity import Identity
from cloud_sync.timekeeping import Timekeeper

NO_CHECK_TIME = ssl.VerifyFlags(0x200000)  # X509_V_FLAGNO_CHECK_TIME, for which Python has no name


class ClientContext(ssl.SSLContext):
    """Trusts the roots of a file, at a moment of its own.

    Attributes:
        wrapped: the socket it wrapped last: paho forgets, and never closes, one whose handshake failed.
        roots: certificates that are trusted.
        known_past: a moment that has passed for certain.
    """

    wrapped: ssl.SSLSocket | None = None
    roots: list[x509.Certificate]
    known_past: datetime

    def wrap_socket(self, *args: Any, **kwargs: Any) -> ssl.SSLSocket:
        """As the base class."""
        self.wrapped = super().wrap_socket(*args, **kwargs)
        return self.wrapped

    def check(self, connected: ssl.SSLSocket) -> None:
        """Refuse the other side where its certificate, or the root that signed it, has ended.

        Raises:
            ssl.SSLCertVerificationError: it has.
        """
        shown = connected.getpeercert(binary_form=True)
        assert shown is not None  # the handshake fails without one
        certificate = x509.load_der_x509_certificate(shown)
        signers = [root.not_valid_after_utc for root in self.roots if keys.is_signed_by(certificate, root)]
        until = min(certificate.not_valid_after_utc, max(signers, default=self.known_past))
        if until < self.known_past:
            message = f"it ended on {until:%Y-%m-%d}, and today is {self.known_past:%Y-%m-%d} or later"
            error = ssl.SSLCertVerificationError(ssl.SSL_ERROR_SSL, message)
            error.verify_message = message
            raise error


class _Socket(ssl.SSLSocket):
    """Checks dates as soon as the other side is known, before anything is sent."""

    def do_handshake(self, block: bool = False) -> None:
        """As the base class."""
        super().do_handshake(block)
        assert isinstance(self.context, ClientContext)
        self.context.check(self)

    def send(self, data: Any, flags: int = 0) -> int:
        """As the base class; where the other side has hung up, fails with the reason that it gave.

        With TLS 1.3 it judges our certificate after our side of the handshake is over, and its reason waits to be read
        while we write.
        """
        try:
            return super().send(data, flags)
        except ssl.SSLWantWriteError:
            raise
        except OSError:
            with contextlib.suppress(ssl.SSLWantReadError):
                self.recv(1)
            raise


ClientContext.sslsocket_class = _Socket


def client_context(identity: Identity) -> ClientContext:
    """A context that shows the identity's certificate and trusts its roots.

    Raises:
        IdentityError: one of its files cannot be used.
    """
    try:
        context = _context(identity.trust_root.read_bytes(), identity.trust_root, identity.certificate.parent)
        context.load_verify_locations(cafile=str(identity.trust_root))
        context.load_cert_chain(str(identity.certificate), str(identity.key))
    except OSError as error:  # an ssl.SSLError is one too
        raise IdentityError(
            f"certificate {identity.certificate}, key {identity.key} or trust root {identity.trust_root} cannot be "
            f"used ({error.strerror or error}); enrol again"
        ) from error
    if context.cert_store_stats()["crl"] > 0:
        context.verify_flags |= ssl.VERIFY_CRL_CHECK_LEAF
    return context


def stranger_context(root: x509.Certificate, folder: Path) -> ClientContext:
    """A context for a device that has no certificate yet: it trusts a root and shows nothing.

    Args:
        root: the only certificate that is trusted.
        folder: where the device's identity will lie.
    """
    pem = root.public_bytes(serialization.Encoding.PEM)
    context = _context(pem, "the root", folder)
    context.load_verify_locations(cadata=pem.decode("ascii"))
    return context


def _context(roots: bytes, source: object, folder: Path) -> ClientContext:
    context = ClientContext(ssl.PROTOCOL_TLS_CLIENT)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.roots = keys.parse_certificates(roots, source)
    context.known_past = Timekeeper(folder).known_past()
    context.verify_flags |= NO_CHECK_TIME
    return context
