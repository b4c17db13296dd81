"""The device's key, request and enrolment."""

from __future__ import annotations

import hashlib
import json
import re
import stat
import subprocess
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from cloud_sync import keys
from cloud_sync.errors import IdentityError
from cloud_sync.identity import create_request, install_enrolment, read_identity
from cloud_sync.server.folder import ServerFolder
from cloud_sync.server.signing import VALID_FROM, VALID_UNTIL
from tests.cloud_sync.helpers import enrol, enrolment_file, make_server


def test_request_holds_only_the_name_and_the_key_stays_private(tmp_path: Path) -> None:
    """SYNC-003."""
    file = create_request(tmp_path, "jetson-1")
    request = x509.load_pem_x509_csr(file.read_bytes())
    assert request.is_signature_valid
    assert request.subject.rfc4514_string() == "CN=jetson-1"
    assert len(request.extensions) == 0
    key = keys.read_key(tmp_path / "identity" / "device.key")
    assert isinstance(key.curve, ec.SECP256R1)
    assert keys.same_key(key.public_key(), request.public_key())
    assert stat.S_IMODE((tmp_path / "identity" / "device.key").stat().st_mode) == 0o600
    assert stat.S_IMODE((tmp_path / "identity").stat().st_mode) == 0o700
    assert b"PRIVATE" not in file.read_bytes()


def test_asking_again_keeps_the_key_and_the_request(tmp_path: Path) -> None:
    file = create_request(tmp_path, "jetson-1")
    before = file.read_bytes(), (tmp_path / "identity" / "device.key").read_bytes()
    create_request(tmp_path, "jetson-1")
    assert (file.read_bytes(), (tmp_path / "identity" / "device.key").read_bytes()) == before


def test_key_without_a_request_is_used(tmp_path: Path) -> None:
    """A device that lost power between key and request goes on with its key."""
    file = create_request(tmp_path, "jetson-1")
    key = (tmp_path / "identity" / "device.key").read_bytes()
    file.unlink()
    create_request(tmp_path, "jetson-1")
    assert (tmp_path / "identity" / "device.key").read_bytes() == key


def test_another_name_is_refused_with_the_way_out(tmp_path: Path) -> None:
    create_request(tmp_path, "jetson-1")
    with pytest.raises(IdentityError, match=r"already called 'jetson-1'.*move .*identity away"):
        create_request(tmp_path, "jetson-2")


@pytest.mark.parametrize(
    "name", ["", "Upper", "a/b", "a+", "#", "-a", "a-", "a" * 64, "pomona-server", "pomona-server-2", "a\n", "ä"]
)
def test_names_topics_cannot_carry_are_refused(tmp_path: Path, name: str) -> None:
    """SYNC-002."""
    with pytest.raises(IdentityError, match="cannot name a device"):
        create_request(tmp_path, name)
    assert not (tmp_path / "identity").exists()


def test_enrolment_makes_an_identity(tmp_path: Path, server_folder: ServerFolder) -> None:
    """SYNC-004."""
    made = enrol(server_folder, tmp_path, "jetson-1")
    assert made == read_identity(tmp_path)
    assert (made.name, made.broker_host, made.broker_port) == ("jetson-1", "localhost", 8883)
    assert keys.is_signed_by(keys.read_certificate(made.certificate), keys.read_certificate(made.trust_root))


def test_before_enrolment_the_three_steps_are_named(tmp_path: Path) -> None:
    steps = r"pomona sync request NAME.*pomona server enroll.*pomona sync accept FILE"
    with pytest.raises(IdentityError, match=f"not enrolled yet; .*{steps}"):
        read_identity(tmp_path)
    with pytest.raises(IdentityError, match=f"no request yet; .*{steps}"):
        install_enrolment(tmp_path, tmp_path / "missing.json")


def test_enrolment_of_another_device_is_refused(tmp_path: Path, server_folder: ServerFolder) -> None:
    """SYNC-004."""
    create_request(tmp_path / "one", "one")
    other = create_request(tmp_path / "two", "two")
    file = enrolment_file(server_folder, other, tmp_path / "two.json")
    with pytest.raises(IdentityError, match="is for 'two', this device is 'one'"):
        install_enrolment(tmp_path / "one", file)


def test_certificate_of_another_key_is_refused(tmp_path: Path, server_folder: ServerFolder) -> None:
    """SYNC-004."""
    create_request(tmp_path / "mine", "jetson-1")
    other = create_request(tmp_path / "other", "jetson-1")
    file = enrolment_file(server_folder, other, tmp_path / "enrolment.json")
    with pytest.raises(IdentityError, match="belongs to another key"):
        install_enrolment(tmp_path / "mine", file)


def test_certificate_of_another_root_is_refused(tmp_path: Path, server_folder: ServerFolder) -> None:
    """SYNC-004."""
    file = enrolment_file(server_folder, create_request(tmp_path, "jetson-1"), tmp_path / "enrolment.json")
    enrolment = json.loads(file.read_text())
    enrolment["trust_root"] = make_server(tmp_path / "elsewhere").root_certificate.read_text()
    file.write_text(json.dumps(enrolment))
    with pytest.raises(IdentityError, match="not signed by the trust root"):
        install_enrolment(tmp_path, file)


def test_a_certificate_that_may_not_sign_is_no_root(tmp_path: Path) -> None:
    """SYNC-004."""
    key = keys.make_key(tmp_path / "key")
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "thief")])
    builder = x509.CertificateBuilder().subject_name(name).issuer_name(name).public_key(key.public_key())
    builder = builder.serial_number(1).not_valid_before(VALID_FROM).not_valid_after(VALID_UNTIL)
    for ca in (False, True):
        constraints = x509.BasicConstraints(ca=ca, path_length=None)
        certificate = builder.add_extension(constraints, critical=True).sign(key, hashes.SHA256())
        assert keys.is_signed_by(certificate, certificate) == ca
    assert not keys.is_signed_by(certificate, builder.sign(key, hashes.SHA256()))


@pytest.mark.parametrize(
    "content",
    [b"", b"{}", b"[1]", b"\xff", b'{"device": "jetson-1", "certificate": 1}', b"-----BEGIN CERTIFICATE-----"],
)
def test_something_else_than_an_enrolment_is_refused(tmp_path: Path, content: bytes) -> None:
    create_request(tmp_path, "jetson-1")
    (tmp_path / "file").write_bytes(content)
    with pytest.raises(IdentityError, match="is not an enrolment"):
        install_enrolment(tmp_path, tmp_path / "file")


@pytest.mark.parametrize(
    ("file", "remedy"),
    [
        ("device.pem", "enrol again"),
        ("root.pem", "enrol again"),
        ("broker.json", "pomona sync accept FILE"),
    ],
)
def test_damaged_files_are_named_with_the_way_out(
    tmp_path: Path, server_folder: ServerFolder, file: str, remedy: str
) -> None:
    enrol(server_folder, tmp_path, "jetson-1")
    (tmp_path / "identity" / file).write_text("nonsense")
    with pytest.raises(IdentityError, match=rf"{file}.*{remedy}"):
        read_identity(tmp_path)


def test_a_fingerprint_is_the_beginning_of_the_key_s_sha_256(tmp_path: Path) -> None:
    """SYNC-009: as OpenSSL would show it, in groups that a person can compare."""
    request = create_request(tmp_path, "jetson-1")
    pem = subprocess.run(["openssl", "req", "-in", request, "-noout", "-pubkey"], capture_output=True, check=True)
    der = subprocess.run(
        ["openssl", "pkey", "-pubin", "-outform", "DER"], input=pem.stdout, capture_output=True, check=True
    )
    shown = keys.fingerprint(keys.read_request(request).public_key())
    assert re.fullmatch(r"[0-9a-f]{4}( [0-9a-f]{4}){7}", shown)
    assert hashlib.sha256(der.stdout).hexdigest().startswith(shown.replace(" ", ""))


def test_an_enrolment_with_a_host_that_is_none_is_refused(tmp_path: Path, server_folder: ServerFolder) -> None:
    file = enrolment_file(server_folder, create_request(tmp_path, "jetson-1"), tmp_path / "enrolment.json")
    file.write_text(file.read_text().replace('"localhost"', '"a..b"'))
    with pytest.raises(IdentityError, match="is not an enrolment"):
        install_enrolment(tmp_path, file)


def test_key_never_appears_in_an_error(tmp_path: Path, server_folder: ServerFolder) -> None:
    enrol(server_folder, tmp_path, "jetson-1")
    key = tmp_path / "identity" / "device.pem"
    secret = key.read_text().splitlines()[1]
    key.write_text(key.read_text()[:-60])
    with pytest.raises(IdentityError) as caught:
        read_identity(tmp_path)
    assert secret not in str(caught.value)
