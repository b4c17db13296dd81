"""Who this device is: a key made here, a request for the server to sign, and the certificate that came back.

The key never leaves the device. What does leave is a certificate signing request whose only content is the device's
name; enrolment brings back the certificate, whom to trust and where to connect.

``device.key`` and ``device.csr`` are what was asked for last. ``device.pem`` is what is in use, key and certificate in
one file, so that a renewal replaces both at once or neither.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from pydantic import ValidationError

from cloud_sync import keys
from cloud_sync.enrolment import Address, Enrolment
from cloud_sync.errors import IdentityError
from cloud_sync.files import PRIVATE, PUBLIC, identity_folder, make_folder, write_whole
from cloud_sync.timekeeping import Timekeeper
from cloud_sync.topics import check_device_name

_KEY, _REQUEST, _IN_USE, _ROOT = "device.key", "device.csr", "device.pem", "root.pem"
_BROKER, _HTTPS, _RELEASE_ROOT = "broker.json", "https.json", "release-root.json"
_HOW = (
    "run `pomona sync enroll` with the invitation that the server's `pomona server invite NAME` prints; or, without a "
    "network, run `pomona sync request NAME`, give the file to the server's `pomona server enroll`, then run "
    "`pomona sync accept FILE` with what it wrote"
)


@dataclass(frozen=True)
class Identity:
    """What a client of the broker shows and trusts.

    Attributes:
        name: its common name, MQTT user name and client id.
        key: file with the private key.
        certificate: file with the certificate; a device has both in one.
        trust_root: file with the certificates that the broker's must be signed by, and what they have revoked.
        broker_host: host name or IP address of the broker.
        broker_port: its TCP port.
        https: where the server's HTTPS is; None without.
    """

    name: str
    key: Path
    certificate: Path
    trust_root: Path
    broker_host: str
    broker_port: int
    https: Address | None = None


def create_request(folder: Path, name: str) -> Path:
    """Make the device's key, if it has none, and the request to sign it.

    Args:
        folder: the device's folder; the identity lies in ``identity`` below it.
        name: what the device shall be called.

    Returns:
        The file to give to the server.

    Raises:
        IdentityError: the name is not allowed, the device already has another, or the folder cannot be written.
    """
    check_device_name(name)
    home = identity_folder(folder)
    with _explained(home):
        make_folder(home, 0o700)
        known = _requested_name(home)
        if known not in {None, name}:
            raise IdentityError(
                f"this device is already called {known!r}; to give it the name {name!r} "
                f"move {home} away and enrol it again"
            )
        key = keys.read_key(home / _KEY) if (home / _KEY).exists() else keys.make_key(home / _KEY)
        return _write_request(home, key, name)


def create_renewal(folder: Path, name: str) -> Path:
    """Make a new key beside the one in use, unless there is one already, and the request to sign it.

    The one in use stays until :func:`install` has the certificate of the new one.

    Raises:
        IdentityError: the device is not enrolled, or the folder cannot be written.
    """
    home = identity_folder(folder)
    with _explained(home):
        asked = keys.read_key(home / _KEY) if (home / _KEY).exists() else None
        in_use = keys.read_certificate(home / _IN_USE).public_key()
        if asked is None or keys.same_key(asked.public_key(), in_use):
            asked = keys.make_key(home / _KEY)
        return _write_request(home, asked, name)


def _write_request(home: Path, key: ec.EllipticCurvePrivateKey, name: str) -> Path:
    path = home / _REQUEST
    # after a death between the two files the request is still the former key's
    if not path.exists() or not keys.same_key(keys.read_request(path).public_key(), key.public_key()):
        subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
        request = x509.CertificateSigningRequestBuilder().subject_name(subject).sign(key, hashes.SHA256())
        write_whole(path, request.public_bytes(serialization.Encoding.PEM))
    return path


def _requested_name(home: Path) -> str | None:
    path = home / _REQUEST
    return keys.common_name(keys.read_request(path).subject) if path.exists() else None


def install_enrolment(folder: Path, file: Path) -> Identity:
    """Take over what the server made: certificate, trust root and addresses.

    Args:
        folder: the device's folder.
        file: the JSON file written by ``pomona server enroll``.

    Returns:
        The identity as it now stands.

    Raises:
        IdentityError: the file is not an enrolment, is for another device or key, or its parts do not fit together.
    """
    if _requested_name(identity_folder(folder)) is None:
        raise IdentityError(f"this device has made no request yet; {_HOW}")
    try:
        enrolment = Enrolment.model_validate_json(file.read_bytes())
    except OSError as error:
        raise IdentityError(f"{file}: {error.strerror}; name the file that `pomona server enroll` wrote") from error
    except ValidationError as error:
        raise IdentityError(f"{file} is not an enrolment; name the file that `pomona server enroll` wrote") from error
    installed = install(folder, enrolment, file)
    if enrolment.issued_at is not None:
        with _explained(identity_folder(folder)):
            Timekeeper(identity_folder(folder)).learn_floor(enrolment.issued_at)
    return installed


def install(folder: Path, enrolment: Enrolment, source: object) -> Identity:
    """Put an enrolment in force, for the key that was asked for last.

    Args:
        folder: the device's folder.
        enrolment: what the server made.
        source: where it came from, for errors.

    Raises:
        IdentityError: it is for another device or key, its parts do not fit together, or the folder cannot be written.
    """
    home = identity_folder(folder)
    name = _requested_name(home)
    if enrolment.device != name:
        raise IdentityError(
            f"{source} is for {enrolment.device!r}, this device is {name!r}; enrol this device's request"
        )
    certificate, roots = enrolment.certificate.encode(), enrolment.trust_root.encode()
    key = keys.read_key(home / _KEY)
    _check(name, key, keys.parse_certificate(certificate, source), keys.parse_certificates(roots, source))
    with _explained(home):
        _write_surroundings(home, enrolment)
        # last: until it is there the device is what it was before
        write_whole(home / _IN_USE, keys.key_pem(key) + certificate, PRIVATE)
    return read_identity(folder)


def refresh(folder: Path, enrolment: Enrolment) -> Identity:
    """Take over whom to trust and where to connect, and keep key and certificate.

    Raises:
        IdentityError: the certificate in use is not signed by what shall be trusted, or the folder cannot be written.
    """
    home = identity_folder(folder)
    in_use = home / _IN_USE
    roots = keys.parse_certificates(enrolment.trust_root.encode(), "the server's answer")
    _check(enrolment.device, keys.read_key(in_use), keys.read_certificate(in_use), roots)
    with _explained(home):
        _write_surroundings(home, enrolment)
    return read_identity(folder)


def release_root_file(folder: Path) -> Path:
    """File with the root of the releases that this device trusts; it may not be there."""
    return identity_folder(folder) / _RELEASE_ROOT


def _write_surroundings(home: Path, enrolment: Enrolment) -> None:
    _keep_release_root(home, enrolment)
    _write_changed(home / _ROOT, (enrolment.trust_root + enrolment.revoked).encode())
    _write_changed(home / _BROKER, enrolment.broker.model_dump_json().encode())
    if enrolment.https is None:
        (home / _HTTPS).unlink(missing_ok=True)
    else:
        _write_changed(home / _HTTPS, enrolment.https.model_dump_json().encode())


def _keep_release_root(home: Path, enrolment: Enrolment) -> None:
    """Trust the server's releases from the first time that it tells of them.

    Later roots are followed by their signatures alone: who has taken over a server shall not be able to name another.
    Only enrolment at another authority begins anew.
    """
    known = home / _RELEASE_ROOT
    if not enrolment.release_root:
        return
    if known.exists():
        former = keys.parse_certificates((home / _ROOT).read_bytes(), home / _ROOT) if (home / _ROOT).exists() else []
        coming = keys.parse_certificates(enrolment.trust_root.encode(), "the server's answer")
        if not former or any(root in coming for root in former):
            return
    _write_changed(known, enrolment.release_root.encode())


def _write_changed(path: Path, content: bytes) -> None:
    """Spare the memory card what it holds already."""
    if not path.exists() or path.read_bytes() != content:
        write_whole(path, content, PUBLIC)


def is_enrolled(folder: Path) -> bool:
    """Whether the device has a certificate."""
    return (identity_folder(folder) / _IN_USE).exists()


def read_identity(folder: Path) -> Identity:
    """The identity of an enrolled device, checked to be whole.

    Args:
        folder: the device's folder.

    Raises:
        IdentityError: the device is not enrolled yet, or its files do not fit together.
    """
    home = identity_folder(folder)
    in_use, root = home / _IN_USE, home / _ROOT
    if not is_enrolled(folder):
        raise IdentityError(f"this device is not enrolled yet; {_HOW}")
    certificate = keys.read_certificate(in_use)
    name = keys.common_name(certificate.subject)
    if name is None:
        raise IdentityError(f"{in_use} names no device; {_HOW}")
    with _explained(root):
        roots = keys.parse_certificates(root.read_bytes(), root)
    _check(check_device_name(name), keys.read_key(in_use), certificate, roots)
    broker = _read_address(home / _BROKER)
    https = _read_address(home / _HTTPS) if (home / _HTTPS).exists() else None
    return Identity(name, in_use, in_use, root, broker.host, broker.port, https)


def _read_address(path: Path) -> Address:
    try:
        return Address.model_validate_json(path.read_bytes())
    except (OSError, ValidationError) as error:
        raise IdentityError(f"{path} is missing or damaged; run `pomona sync accept FILE` again") from error


def _check(
    name: str, key: ec.EllipticCurvePrivateKey, certificate: x509.Certificate, roots: list[x509.Certificate]
) -> None:
    if keys.common_name(certificate.subject) != name:
        raise IdentityError(f"the certificate does not name {name!r}; enrol this device's own request")
    if not keys.same_key(certificate.public_key(), key.public_key()):
        raise IdentityError(f"the certificate of {name!r} belongs to another key than this device's; enrol again")
    if not any(keys.is_signed_by(certificate, root) for root in roots):
        raise IdentityError(f"the certificate of {name!r} was not signed by the trust root beside it; enrol again")


@contextlib.contextmanager
def _explained(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise IdentityError(f"{path}: {error.strerror}; check its permissions and disk") from error
