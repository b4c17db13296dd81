"""The server's own certificate authority: signs devices, the broker and the server's client.

Validity begins in 1970 and ends far ahead: a device without a clock that was set believes that it is 1970, and must
connect to learn the time. What ends a device's access is therefore not time but the revocation list.
"""

from __future__ import annotations

import ipaddress
from datetime import datetime, timezone
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from cloud_sync import keys, topics
from cloud_sync.errors import IdentityError
from cloud_sync.files import write_whole
from cloud_sync.server.folder import ServerFolder

VALID_FROM = datetime(1970, 1, 1, tzinfo=timezone.utc)
VALID_UNTIL = datetime(2099, 12, 31, tzinfo=timezone.utc)
BROKER_NAME = "pomona-broker"
_LOCAL_HOSTS = ("localhost", "127.0.0.1", "::1")


class Authority:
    """Signs certificates with the root key of a server folder.

    Args:
        folder: the server's folder.

    Raises:
        IdentityError: key or certificate is missing or damaged.
    """

    def __init__(self, folder: ServerFolder) -> None:
        self._folder = folder
        self._key = keys.read_key(folder.root_key)
        self.root = keys.read_certificate(folder.root_certificate)

    @classmethod
    def create(cls, folder: ServerFolder) -> Authority:
        """Open the authority, making it first where there is none.

        Raises:
            FolderError: the folder cannot be written.
            IdentityError: what is there is damaged.
        """
        with folder.explained():
            if not folder.root_certificate.exists():
                key = keys.read_key(folder.root_key) if folder.root_key.exists() else keys.make_key(folder.root_key)
                write_whole(folder.root_certificate, _pem(_self_signed(key)))
            authority = cls(folder)
            if not folder.revoked.exists():
                authority.revoke([])
        return authority

    def issue_broker(self, hosts: list[str], key_file: Path, certificate_file: Path) -> None:
        """Make the broker's certificate for its host names and addresses, and for this machine itself."""
        names = [_general_name(host) for host in dict.fromkeys([*hosts, *_LOCAL_HOSTS])]
        key = keys.read_key(key_file) if key_file.exists() else keys.make_key(key_file)
        builder = self._leaf(BROKER_NAME, key.public_key(), ExtendedKeyUsageOID.SERVER_AUTH)
        certificate = builder.add_extension(x509.SubjectAlternativeName(names), critical=False)
        write_whole(certificate_file, _pem(certificate.sign(self._key, hashes.SHA256())))

    def issue_ingest(self, number: int) -> None:
        """Make key and certificate of one of the server's own clients, unless it has them.

        Args:
            number: which, from 1.
        """
        key_file, certificate_file = self._folder.ingest_key(number), self._folder.ingest_certificate(number)
        if certificate_file.exists():
            return
        name = topics.server_name(number)
        stranger = self._folder.enrolled / f"{name}.pem"
        if stranger.exists():  # enrolled when devices could still be called so; it would have the server's rights
            self._expel(stranger)
        key = keys.read_key(key_file) if key_file.exists() else keys.make_key(key_file)
        write_whole(certificate_file, _pem(self._sign_client(name, key.public_key())))

    def sign_reader(self, name: str, key: ec.EllipticCurvePublicKey) -> bytes:
        """A certificate, PEM, for somebody who reads the telemetry under this common name."""
        return _pem(self._sign_client(name, key))

    def enroll(self, request: bytes, source: object, *, replace: bool = False) -> tuple[str, bytes]:
        """Sign a device's request.

        Args:
            request: the certificate signing request, PEM.
            source: where it came from, for errors.
            replace: take the place of a device of this name with another key, whose certificate is revoked.

        Returns:
            Name of the device and its certificate, PEM; the same one again for a request signed before.

        Raises:
            IdentityError: the request is damaged, asks for more than a device's name, or the name is taken.
            FolderError: the list of devices cannot be written.
        """
        try:
            parsed = x509.load_pem_x509_csr(request)
        except ValueError as error:
            raise IdentityError(f"{source} is no certificate signing request; use `pomona sync request`") from error
        public_key = parsed.public_key()
        if not isinstance(public_key, ec.EllipticCurvePublicKey) or not isinstance(public_key.curve, keys.CURVE):
            raise IdentityError(f"{source} has a key other than EC P-256; use `pomona sync request`")
        if not parsed.is_signature_valid:
            raise IdentityError(f"{source} is not signed by its own key; make it anew with `pomona sync request`")
        name = keys.common_name(parsed.subject)
        if name is None or len(parsed.extensions) > 0:
            raise IdentityError(f"{source} asks for more than a common name; use `pomona sync request`")
        topics.check_device_name(name)
        if name == BROKER_NAME:
            raise IdentityError(f"{name!r} is the broker's own name; choose another with `pomona sync request NAME`")
        file = self._folder.enrolled / f"{name}.pem"
        with self._folder.explained():
            if file.exists():
                known = keys.read_certificate(file)
                if keys.same_key(known.public_key(), public_key):
                    return name, file.read_bytes()
                if not replace:
                    raise IdentityError(
                        f"{name!r} is already enrolled with another key; choose another name, or give --replace if "
                        "that device is gone"
                    )
                self.revoke([known.serial_number])
            certificate = _pem(self._sign_client(name, public_key))
            write_whole(file, certificate)
        return name, certificate

    def withdraw(self, name: str) -> None:
        """Revoke the certificate of an enrolled device, whose name may then be enrolled again.

        Raises:
            IdentityError: no device of this name is enrolled, or its certificate is damaged.
            FolderError: the list of devices cannot be written.
        """
        file = self._folder.enrolled / f"{topics.check_device_name(name)}.pem"
        with self._folder.explained():
            if not file.exists():
                raise IdentityError(f"{name!r} is not enrolled; the enrolled devices are in {file.parent}")
            self._expel(file)

    def _expel(self, file: Path) -> None:
        self.revoke([keys.read_certificate(file).serial_number])
        file.unlink()  # last: until then the command can be given again

    def revoke(self, serial_numbers: list[int]) -> None:
        """Add certificates to the revocation list, which the broker reads when it starts."""
        builder = x509.CertificateRevocationListBuilder().issuer_name(self.root.subject)
        builder = builder.last_update(VALID_FROM).next_update(VALID_UNTIL)
        if self._folder.revoked.exists():
            for entry in x509.load_pem_x509_crl(self._folder.revoked.read_bytes()):
                builder = builder.add_revoked_certificate(entry)
        for number in serial_numbers:
            entry = x509.RevokedCertificateBuilder().serial_number(number).revocation_date(VALID_FROM).build()
            builder = builder.add_revoked_certificate(entry)
        issuer = x509.AuthorityKeyIdentifier.from_issuer_public_key(self._key.public_key())
        signed = builder.add_extension(issuer, critical=False).sign(self._key, hashes.SHA256())
        write_whole(self._folder.revoked, signed.public_bytes(serialization.Encoding.PEM))

    def _sign_client(self, name: str, public_key: ec.EllipticCurvePublicKey) -> x509.Certificate:
        return self._leaf(name, public_key, ExtendedKeyUsageOID.CLIENT_AUTH).sign(self._key, hashes.SHA256())

    def _leaf(
        self, name: str, public_key: ec.EllipticCurvePublicKey, usage: x509.ObjectIdentifier
    ) -> x509.CertificateBuilder:
        issuer = x509.AuthorityKeyIdentifier.from_issuer_public_key(self._key.public_key())
        return (
            _certificate(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)]), self.root.subject, public_key)
            .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
            .add_extension(_key_usage(signs_certificates=False), critical=True)
            .add_extension(x509.ExtendedKeyUsage([usage]), critical=False)
            .add_extension(issuer, critical=False)
        )


def _self_signed(key: ec.EllipticCurvePrivateKey) -> x509.Certificate:
    # a number of its own, so that two servers' authorities are told apart
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, f"Pomona authority {x509.random_serial_number():040x}")])
    builder = _certificate(name, name, key.public_key())
    builder = builder.add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
    return builder.add_extension(_key_usage(signs_certificates=True), critical=True).sign(key, hashes.SHA256())


def _certificate(subject: x509.Name, issuer: x509.Name, key: ec.EllipticCurvePublicKey) -> x509.CertificateBuilder:
    builder = x509.CertificateBuilder().subject_name(subject).issuer_name(issuer).public_key(key)
    builder = builder.serial_number(x509.random_serial_number())
    builder = builder.not_valid_before(VALID_FROM).not_valid_after(VALID_UNTIL)
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


def _pem(certificate: x509.Certificate) -> bytes:
    return certificate.public_bytes(serialization.Encoding.PEM)
