"""What certificates and revocation lists hold; pure functions of keys and names.

All are valid from 1970, because a device whose clock was never set believes that it is 1970. Those of the authority
and of the server have no end that matters, because such a clock may also be years ahead. Those of devices end, because
the server, which judges them, has a clock that is right.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable
from datetime import datetime, timedelta, timezone

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from cloud_sync import keys
from cloud_sync.errors import IdentityError
from cloud_sync.timekeeping import RELEASED

VALID_FROM = datetime(1970, 1, 1, tzinfo=timezone.utc)
VALID_UNTIL = datetime(2099, 12, 31, tzinfo=timezone.utc)
BROKER_NAME = "pomona-broker"
HTTPS_NAME = "pomona-https"
# A device that connects once a year never has a certificate that ended: it is renewed when half of this is left.
DEVICE_LIFE = timedelta(days=730)


# what reading a request made by a stranger can raise
_UNREADABLE = (ValueError, TypeError, UnsupportedAlgorithm, x509.DuplicateExtension, x509.InvalidVersion)


class Signer:
    """A root certificate with its key.

    Args:
        key: the private key.
        root: the certificate.
    """

    def __init__(self, key: ec.EllipticCurvePrivateKey, root: x509.Certificate) -> None:
        self._key = key
        self.root = root

    @classmethod
    def make(cls, key: ec.EllipticCurvePrivateKey) -> Signer:
        """A root certificate for a new key."""
        # a number of its own, so that two authorities are told apart
        number = x509.random_serial_number()
        name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, f"Pomona authority {number:040x}")])
        builder = _builder(name, name, key.public_key(), VALID_UNTIL)
        builder = builder.add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        builder = builder.add_extension(_key_usage(signs_certificates=True), critical=True)
        return cls(key, builder.sign(key, hashes.SHA256()))

    def device(self, name: str, key: ec.EllipticCurvePublicKey, life: timedelta = DEVICE_LIFE) -> x509.Certificate:
        """A certificate for a device."""
        return self._sign(self._leaf(name, key, ExtendedKeyUsageOID.CLIENT_AUTH, _now() + life))

    def client(self, name: str, key: ec.EllipticCurvePublicKey) -> x509.Certificate:
        """A certificate for a client that the server is itself."""
        return self._sign(self._leaf(name, key, ExtendedKeyUsageOID.CLIENT_AUTH, VALID_UNTIL))

    def server(self, name: str, hosts: Iterable[str], key: ec.EllipticCurvePublicKey) -> x509.Certificate:
        """A certificate for a part of the server that listens under host names and addresses.

        Raises:
            IdentityError: one of them is none.
        """
        names = x509.SubjectAlternativeName([_general_name(host) for host in dict.fromkeys(hosts)])
        builder = self._leaf(name, key, ExtendedKeyUsageOID.SERVER_AUTH, VALID_UNTIL)
        return self._sign(builder.add_extension(names, critical=False))

    def revocations(self, serial_numbers: Iterable[int]) -> x509.CertificateRevocationList:
        """A list of revoked certificates."""
        builder = x509.CertificateRevocationListBuilder().issuer_name(self.root.subject)
        builder = builder.last_update(VALID_FROM).next_update(VALID_UNTIL)
        for number in serial_numbers:
            entry = x509.RevokedCertificateBuilder().serial_number(number).revocation_date(VALID_FROM).build()
            builder = builder.add_revoked_certificate(entry)
        return builder.add_extension(self._issuer(), critical=False).sign(self._key, hashes.SHA256())

    def _leaf(
        self, name: str, key: ec.EllipticCurvePublicKey, usage: x509.ObjectIdentifier, until: datetime
    ) -> x509.CertificateBuilder:
        subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
        return (
            _builder(subject, self.root.subject, key, until)
            .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
            .add_extension(_key_usage(signs_certificates=False), critical=True)
            .add_extension(x509.ExtendedKeyUsage([usage]), critical=False)
            .add_extension(self._issuer(), critical=False)
        )

    def _issuer(self) -> x509.AuthorityKeyIdentifier:
        return x509.AuthorityKeyIdentifier.from_issuer_public_key(self._key.public_key())

    def _sign(self, builder: x509.CertificateBuilder) -> x509.Certificate:
        return builder.sign(self._key, hashes.SHA256())


def is_in_second_half(certificate: x509.Certificate) -> bool:
    """Whether less than half of a device's certificate's life is left."""
    return certificate.not_valid_after_utc - _now() < DEVICE_LIFE / 2


def has_ended(certificate: x509.Certificate) -> bool:
    """Whether a certificate's time is over."""
    return certificate.not_valid_after_utc < _now()


def parse_request(request: bytes, source: object) -> tuple[str, ec.EllipticCurvePublicKey]:
    """Name and key of a request, checked to ask for nothing more.

    Args:
        request: the certificate signing request, PEM.
        source: where it came from, for errors.

    Raises:
        IdentityError: it is damaged, not signed by its own key, or asks for more than a name.
    """
    try:
        parsed = x509.load_pem_x509_csr(request)
        key, name = parsed.public_key(), keys.common_name(parsed.subject)
        asks_for_more, is_signed = len(parsed.extensions) > 0, parsed.is_signature_valid
    except _UNREADABLE as error:
        raise IdentityError(f"{source} is no certificate signing request; use `pomona sync request`") from error
    if not isinstance(key, ec.EllipticCurvePublicKey) or not isinstance(key.curve, keys.CURVE):
        raise IdentityError(f"{source} has a key other than EC P-256; use `pomona sync request`")
    if not is_signed:
        raise IdentityError(f"{source} is not signed by its own key; make it anew with `pomona sync request`")
    if name is None or asks_for_more:
        raise IdentityError(f"{source} asks for more than a common name; use `pomona sync request`")
    return name, key


def pem(signed: x509.Certificate | x509.CertificateRevocationList) -> bytes:
    """A certificate or a list as PEM."""
    return signed.public_bytes(serialization.Encoding.PEM)


def _now() -> datetime:
    """The server's time; what a clock that was never set would sign has ended when it is set."""
    return max(datetime.now(timezone.utc), RELEASED)


def _builder(
    subject: x509.Name, issuer: x509.Name, key: ec.EllipticCurvePublicKey, until: datetime
) -> x509.CertificateBuilder:
    builder = x509.CertificateBuilder().subject_name(subject).issuer_name(issuer).public_key(key)
    builder = builder.serial_number(x509.random_serial_number()).not_valid_before(VALID_FROM).not_valid_after(until)
    return builder.add_extension(x509.SubjectKeyIdentifier.from_public_key(key), critical=False)


def _key_usage(*, signs_certificates: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=not signs_certificates,
        key_cert_sign=signs_certificates,
        crl_sign=signs_certificates,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        encipher_only=False,
        decipher_only=False,
    )


def _general_name(host: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(host))
    except ValueError:
        pass
    try:
        return x509.DNSName(host)
    except ValueError as error:
        raise IdentityError(f"{host!r} is no host name or IP address; give it in ASCII") from error
