"""Keys and certificates in PEM files: the few operations both ends need."""

from __future__ import annotations

import hashlib
from pathlib import Path

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.types import PublicKeyTypes
from cryptography.x509.oid import NameOID

from cloud_sync.errors import IdentityError
from cloud_sync.files import PRIVATE, write_whole

CURVE = ec.SECP256R1


def make_key(path: Path) -> ec.EllipticCurvePrivateKey:
    """A new private key, in a file only its owner can read."""
    key = ec.generate_private_key(CURVE())
    write_whole(path, key_pem(key), PRIVATE)
    return key


def key_pem(key: ec.EllipticCurvePrivateKey) -> bytes:
    """A private key as PEM, for a file that only its owner can read."""
    return key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )


def read_key(path: Path) -> ec.EllipticCurvePrivateKey:
    """The private key in a file.

    Raises:
        IdentityError: the file is missing, unreadable or holds something else; the text says so, never its content.
    """
    try:
        key = serialization.load_pem_private_key(path.read_bytes(), password=None)
    except OSError as error:
        raise IdentityError(f"key {path}: {error.strerror}; check the file and its permissions") from error
    except (ValueError, TypeError) as error:
        raise IdentityError(f"key {path} is damaged; restore it from a backup or enrol again") from error
    if not isinstance(key, ec.EllipticCurvePrivateKey):
        raise IdentityError(f"key {path} is not an elliptic-curve key; enrol again")
    return key


def read_request(path: Path) -> x509.CertificateSigningRequest:
    """The request that this device has made.

    Raises:
        IdentityError: the file is missing, unreadable or holds something else.
    """
    try:
        return x509.load_pem_x509_csr(path.read_bytes())
    except OSError as error:
        raise IdentityError(f"request {path}: {error.strerror}; check the file and its permissions") from error
    except ValueError as error:
        raise IdentityError(f"{path} is damaged; remove it and run `pomona sync request NAME` again") from error


def parse_certificate(pem: bytes, source: object) -> x509.Certificate:
    """A certificate from its PEM text.

    Args:
        pem: the text.
        source: where it came from, for the error.

    Raises:
        IdentityError: it is no certificate.
    """
    try:
        return x509.load_pem_x509_certificate(pem)
    except ValueError as error:
        raise IdentityError(f"{source} holds no certificate; enrol again") from error


def parse_certificates(pem: bytes, source: object) -> list[x509.Certificate]:
    """All certificates in a PEM text, in which lists of revoked ones may stand too.

    Args:
        pem: the text.
        source: where it came from, for the error.

    Raises:
        IdentityError: there is none, or one is damaged.
    """
    try:
        return x509.load_pem_x509_certificates(pem)
    except ValueError as error:
        raise IdentityError(f"{source} holds no certificate; enrol again") from error


def read_certificate(path: Path) -> x509.Certificate:
    """The certificate in a file.

    Raises:
        IdentityError: the file is missing, unreadable or holds something else.
    """
    try:
        return parse_certificate(path.read_bytes(), path)
    except OSError as error:
        raise IdentityError(f"certificate {path}: {error.strerror}; check the file and its permissions") from error


def common_name(name: x509.Name) -> str | None:
    """The one common name of a subject; None when there is none, several, or something else beside it."""
    attributes = list(name)
    if len(attributes) != 1 or attributes[0].oid != NameOID.COMMON_NAME:
        return None
    return str(attributes[0].value)


def same_key(one: object, other: object) -> bool:
    """Whether two public keys are the same elliptic-curve key."""
    if not isinstance(one, ec.EllipticCurvePublicKey) or not isinstance(other, ec.EllipticCurvePublicKey):
        return False
    return one.curve.name == other.curve.name and one.public_numbers() == other.public_numbers()


def fingerprint(key: PublicKeyTypes) -> str:
    """What two people compare to see that both ends mean the same key: 128 bits of its SHA-256, in groups of four."""
    der = key.public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)
    return hashlib.sha256(der).digest()[:16].hex(" ", 2)


def compact_fingerprint(certificate: x509.Certificate) -> str:
    """The fingerprint of a certificate's key as programs pass it on: 32 hexadecimal digits."""
    return fingerprint(certificate.public_key()).replace(" ", "")


def is_signed_by(certificate: x509.Certificate, root: x509.Certificate) -> bool:
    """Whether a root that may sign certificates has signed this one itself; there are no intermediates here."""
    try:
        constraints = root.extensions.get_extension_for_class(x509.BasicConstraints).value
        root.verify_directly_issued_by(root)
        certificate.verify_directly_issued_by(root)
    except (InvalidSignature, ValueError, TypeError, x509.ExtensionNotFound):
        return False
    return constraints.ca
