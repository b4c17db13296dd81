"""Who this device is: a key made here, a request for the server to sign, and the certificate that came back.

The key never leaves the device. What does leave is a certificate signing request whose only content is the device's
name; enrolment brings back the certificate, the trust root and where the broker is.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from cloud_sync import keys
from cloud_sync.errors import IdentityError
from cloud_sync.files import make_folder, write_whole
from cloud_sync.hosts import HostName
from cloud_sync.topics import check_device_name

_KEY, _REQUEST, _CERTIFICATE, _ROOT, _BROKER = "device.key", "device.csr", "device.pem", "root.pem", "broker.json"
_HOW = (
    "run `pomona sync request NAME`, give the file to the server's `pomona server enroll`, "
    "then run `pomona sync accept FILE` with what it wrote"
)


class Broker(BaseModel):
    """Where the broker listens."""

    model_config = ConfigDict(extra="ignore")

    host: HostName = Field(description="host name or IP address, as in the broker's certificate")
    port: int = Field(ge=1, le=65535, description="TCP port")


class Enrolment(BaseModel):
    """The file the server makes for a device: everything it needs, nothing secret."""

    model_config = ConfigDict(extra="ignore")

    version: Literal[1] = Field(default=1, description="version of this file")
    device: str = Field(description="name of the device")
    certificate: str = Field(description="the device's certificate, PEM")
    trust_root: str = Field(description="certificate of the authority that signed it and the broker's, PEM")
    broker: Broker = Field(description="where to connect")


@dataclass(frozen=True)
class Identity:
    """What a client of the broker shows and trusts.

    Attributes:
        name: its common name, MQTT user name and client id.
        key: file with the private key.
        certificate: file with the certificate.
        trust_root: file with the certificate that the broker's must be signed by.
        broker_host: host name or IP address of the broker.
        broker_port: its TCP port.
    """

    name: str
    key: Path
    certificate: Path
    trust_root: Path
    broker_host: str
    broker_port: int


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
    home = folder / "identity"
    try:
        make_folder(home, 0o700)
        path = home / _REQUEST
        known = _requested_name(path)
        if known not in {None, name}:
            raise IdentityError(
                f"this device is already called {known!r}; to give it the name {name!r} "
                f"move {home} away and enrol it again"
            )
        key = keys.read_key(home / _KEY) if (home / _KEY).exists() else keys.make_key(home / _KEY)
        if known is None:
            write_whole(path, _request(key, name))
    except OSError as error:
        raise IdentityError(f"{home}: {error.strerror}; check its permissions and disk") from error
    return path


def _request(key: ec.EllipticCurvePrivateKey, name: str) -> bytes:
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    request = x509.CertificateSigningRequestBuilder().subject_name(subject).sign(key, hashes.SHA256())
    return request.public_bytes(serialization.Encoding.PEM)


def _requested_name(path: Path) -> str | None:
    return keys.common_name(keys.read_request(path).subject) if path.exists() else None


def install_enrolment(folder: Path, file: Path) -> Identity:
    """Take over what the server made: certificate, trust root and broker address.

    Args:
        folder: the device's folder.
        file: the JSON file written by ``pomona server enroll``.

    Returns:
        The identity as it now stands.

    Raises:
        IdentityError: the file is not an enrolment, is for another device or key, or its parts do not fit together.
    """
    home = folder / "identity"
    name = _requested_name(home / _REQUEST)
    if name is None:
        raise IdentityError(f"this device has made no request yet; {_HOW}")
    try:
        enrolment = Enrolment.model_validate_json(file.read_bytes())
    except OSError as error:
        raise IdentityError(f"{file}: {error.strerror}; name the file that `pomona server enroll` wrote") from error
    except ValidationError as error:
        raise IdentityError(f"{file} is not an enrolment; name the file that `pomona server enroll` wrote") from error
    if enrolment.device != name:
        raise IdentityError(f"{file} is for {enrolment.device!r}, this device is {name!r}; enrol this device's request")
    certificate, root = enrolment.certificate.encode(), enrolment.trust_root.encode()
    _check(home, name, keys.parse_certificate(certificate, file), keys.parse_certificate(root, file))
    try:
        # the certificate last: until it is there the device counts as not enrolled
        write_whole(home / _ROOT, root)
        write_whole(home / _BROKER, enrolment.broker.model_dump_json().encode())
        write_whole(home / _CERTIFICATE, certificate)
    except OSError as error:
        raise IdentityError(f"{home}: {error.strerror}; check its permissions and disk") from error
    return read_identity(folder)


def read_identity(folder: Path) -> Identity:
    """The identity of an enrolled device, checked to be whole.

    Args:
        folder: the device's folder.

    Raises:
        IdentityError: the device is not enrolled yet, or its files do not fit together.
    """
    home = folder / "identity"
    if not (home / _CERTIFICATE).exists():
        raise IdentityError(f"this device is not enrolled yet; {_HOW}")
    certificate = keys.read_certificate(home / _CERTIFICATE)
    name = keys.common_name(certificate.subject)
    if name is None:
        raise IdentityError(f"{home / _CERTIFICATE} names no device; {_HOW}")
    _check(home, check_device_name(name), certificate, keys.read_certificate(home / _ROOT))
    try:
        broker = Broker.model_validate_json((home / _BROKER).read_bytes())
    except (OSError, ValidationError) as error:
        raise IdentityError(f"{home / _BROKER} is missing or damaged; run `pomona sync accept FILE` again") from error
    return Identity(name, home / _KEY, home / _CERTIFICATE, home / _ROOT, broker.host, broker.port)


def _check(home: Path, name: str, certificate: x509.Certificate, root: x509.Certificate) -> None:
    if keys.common_name(certificate.subject) != name:
        raise IdentityError(f"the certificate does not name {name!r}; enrol this device's own request")
    if not keys.same_key(certificate.public_key(), keys.read_key(home / _KEY).public_key()):
        raise IdentityError(f"the certificate of {name!r} belongs to another key than {home / _KEY}; enrol again")
    if not keys.is_signed_by(certificate, root):
        raise IdentityError(f"the certificate of {name!r} was not signed by the trust root beside it; enrol again")
