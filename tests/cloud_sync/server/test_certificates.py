"""The authority: what it signs, what it refuses, from when its certificates are valid."""

from __future__ import annotations

import ssl
import subprocess
import time
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.x509.oid import NameOID

from cloud_sync import keys
from cloud_sync.errors import IdentityError
from cloud_sync.identity import create_request
from cloud_sync.server.certificates import Authority
from cloud_sync.server.folder import ServerFolder
from cloud_sync.server.signing import BROKER_NAME, DEVICE_LIFE
from tests.cloud_sync.helpers import enrol, make_server


def request(
    name: str | list[x509.NameAttribute[str]] = "jetson-1",
    *,
    key: ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey | None = None,
    extension: x509.ExtensionType | None = None,
) -> bytes:
    attributes = [x509.NameAttribute(NameOID.COMMON_NAME, name)] if isinstance(name, str) else name
    builder = x509.CertificateSigningRequestBuilder().subject_name(x509.Name(attributes))
    if extension is not None:
        builder = builder.add_extension(extension, critical=False)
    signed = builder.sign(key or ec.generate_private_key(ec.SECP256R1()), hashes.SHA256())
    return signed.public_bytes(serialization.Encoding.PEM)


def revoked_numbers(folder: ServerFolder) -> list[int]:
    return [entry.serial_number for entry in x509.load_pem_x509_crl(folder.revoked.read_bytes())]


def test_signed_certificate_names_the_device_and_is_a_client_s(server_folder: ServerFolder) -> None:
    authority = Authority(server_folder)
    name, pem = authority.enroll(request(), "test")
    certificate = x509.load_pem_x509_certificate(pem)
    assert name == "jetson-1"
    assert keys.common_name(certificate.subject) == "jetson-1"
    assert keys.is_signed_by(certificate, authority.root)
    usage = certificate.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value
    assert list(usage) == [x509.oid.ExtendedKeyUsageOID.CLIENT_AUTH]
    assert not certificate.extensions.get_extension_for_class(x509.BasicConstraints).value.ca


def test_same_request_gets_the_same_certificate(server_folder: ServerFolder) -> None:
    pem = request()
    assert Authority(server_folder).enroll(pem, "test") == Authority(server_folder).enroll(pem, "test")


@pytest.mark.parametrize("name", ["pomona-server", "pomona-server-17", "Jetson", "a/b", "a+b", "#", "a" * 64])
def test_names_are_checked_again_on_the_server(server_folder: ServerFolder, name: str) -> None:
    """SYNC-005."""
    with pytest.raises(IdentityError, match="cannot name a device"):
        Authority(server_folder).enroll(request(name), "test")
    assert list(server_folder.enrolled.iterdir()) == []


def test_the_broker_s_name_is_taken(server_folder: ServerFolder) -> None:
    """SYNC-005."""
    with pytest.raises(IdentityError, match="name of the server's own"):
        Authority(server_folder).enroll(request(BROKER_NAME), "test")


@pytest.mark.parametrize(
    "attributes",
    [
        [],
        [x509.NameAttribute(NameOID.ORGANIZATION_NAME, "x")],
        [x509.NameAttribute(NameOID.COMMON_NAME, "a"), x509.NameAttribute(NameOID.COMMON_NAME, "b")],
        [x509.NameAttribute(NameOID.COMMON_NAME, "a"), x509.NameAttribute(NameOID.ORGANIZATION_NAME, "x")],
    ],
)
def test_a_subject_with_more_than_a_common_name_is_refused(
    server_folder: ServerFolder, attributes: list[x509.NameAttribute[str]]
) -> None:
    """SYNC-005."""
    with pytest.raises(IdentityError, match="more than a common name"):
        Authority(server_folder).enroll(request(attributes), "test")


def test_a_request_for_rights_is_refused(server_folder: ServerFolder) -> None:
    """SYNC-005."""
    wish = x509.BasicConstraints(ca=True, path_length=None)
    with pytest.raises(IdentityError, match="more than a common name"):
        Authority(server_folder).enroll(request(extension=wish), "test")


@pytest.mark.parametrize("kind", ["rsa", "p384"])
def test_other_keys_are_refused(server_folder: ServerFolder, kind: str) -> None:
    """SYNC-005."""
    key = rsa.generate_private_key(65537, 2048) if kind == "rsa" else ec.generate_private_key(ec.SECP384R1())
    with pytest.raises(IdentityError, match="EC P-256"):
        Authority(server_folder).enroll(request(key=key), "test")


def test_a_request_signed_by_another_key_is_refused(server_folder: ServerFolder) -> None:
    """SYNC-005: else anyone could get a certificate for someone else's public key."""
    good = x509.load_pem_x509_csr(request())
    der = bytearray(good.public_bytes(serialization.Encoding.DER))
    der[der.index(b"jetson-1") + 7] = ord("2")
    forged = x509.load_der_x509_csr(bytes(der)).public_bytes(serialization.Encoding.PEM)
    with pytest.raises(IdentityError, match="not signed by its own key"):
        Authority(server_folder).enroll(forged, "test")


@pytest.mark.parametrize("content", [b"", b"nonsense", b"-----BEGIN CERTIFICATE REQUEST-----\nAAAA\n"])
def test_something_else_is_refused(server_folder: ServerFolder, content: bytes) -> None:
    with pytest.raises(IdentityError, match="no certificate signing request"):
        Authority(server_folder).enroll(content, "test")


def test_a_taken_name_is_replaced_only_on_demand_and_the_former_key_revoked(server_folder: ServerFolder) -> None:
    """SYNC-005."""
    authority = Authority(server_folder)
    _, first = authority.enroll(request(), "test")
    with pytest.raises(IdentityError, match=r"already enrolled with another key.*--replace"):
        authority.enroll(request(), "test")
    assert revoked_numbers(server_folder) == []
    _, second = authority.enroll(request(), "test", replace=True)
    assert second != first
    assert revoked_numbers(server_folder) == [x509.load_pem_x509_certificate(first).serial_number]
    _, third = authority.enroll(request(), "test", replace=True)
    assert third not in {first, second}
    assert len(revoked_numbers(server_folder)) == 2


def test_enrolled_devices_are_listed(server_folder: ServerFolder) -> None:
    authority = Authority(server_folder)
    for name in ("b", "a"):
        authority.enroll(request(name), "test")
    assert sorted(file.stem for file in server_folder.enrolled.iterdir()) == ["a", "b"]


def verify(folder: ServerFolder, certificate: Path, purpose: str, moment: float) -> str:
    """What OpenSSL says against a certificate at a moment, in seconds since 1970; nothing when it is good."""
    checked = subprocess.run(
        [
            *("openssl", "verify", "-x509_strict", "-attime", str(round(moment)), "-purpose", purpose),
            *("-crl_check", "-CRLfile", str(folder.revoked), "-CAfile", str(folder.trusted), str(certificate)),
        ],
        capture_output=True,
        text=True,
        check=False,
    )
    return "" if checked.returncode == 0 else checked.stderr


@pytest.mark.parametrize("file", ["broker/broker.pem", "https/https.pem"])
def test_the_server_s_certificates_hold_in_1970_and_in_2096(server_folder: ServerFolder, file: str) -> None:
    """SYNC-007: a device whose clock was never set, or set wrong, checks them with other clients' software."""
    for moment in (5, 2**31 + 10, 4_000_000_000):
        assert verify(server_folder, server_folder.path / file, "sslserver", moment) == ""


def test_a_device_s_certificate_holds_from_1970_for_two_years_from_now(
    tmp_path: Path, server_folder: ServerFolder
) -> None:
    """SYNC-007."""
    certificate = enrol(server_folder, tmp_path, "jetson-1").certificate
    end = time.time() + DEVICE_LIFE.total_seconds()
    assert DEVICE_LIFE.days == 730
    for moment in (5, time.time(), end - 600):
        assert verify(server_folder, certificate, "sslclient", moment) == ""
    assert "expired" in verify(server_folder, certificate, "sslclient", end + 600)


def test_broker_certificate_names_its_hosts_and_this_machine(tmp_path: Path) -> None:
    folder = make_server(tmp_path)
    Authority(folder).issue_broker(["sync.example.org", "192.0.2.7"], tmp_path / "key", tmp_path / "pem")
    names = (
        keys.read_certificate(tmp_path / "pem").extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    )
    assert names.get_values_for_type(x509.DNSName) == ["sync.example.org", "localhost"]
    assert [str(address) for address in names.get_values_for_type(x509.IPAddress)] == ["192.0.2.7", "127.0.0.1", "::1"]
    context = ssl.create_default_context(cafile=str(folder.root_certificate))
    assert context.check_hostname


def test_two_servers_do_not_trust_each_other(tmp_path: Path) -> None:
    one, two = make_server(tmp_path / "one"), make_server(tmp_path / "two")
    _, pem = Authority(one).enroll(request(), "test")
    assert not keys.is_signed_by(x509.load_pem_x509_certificate(pem), Authority(two).root)
    assert Authority(one).root.subject != Authority(two).root.subject


def test_keys_are_private_files(tmp_path: Path, server_folder: ServerFolder) -> None:
    create_request(tmp_path, "jetson-1")
    files = [*server_folder.path.rglob("*.key"), *tmp_path.rglob("*.key")]
    assert len(files) >= 4
    assert {file.stat().st_mode & 0o777 for file in files} == {0o600}


def test_each_of_the_server_s_clients_has_a_certificate_of_its_own(server_folder: ServerFolder) -> None:
    """SYNC-052."""
    found = [keys.read_certificate(server_folder.ingest_certificate(number)) for number in range(1, 9)]
    names = [keys.common_name(certificate.subject) for certificate in found]
    assert names == ["pomona-server", *(f"pomona-server-{number}" for number in range(2, 9))]
    assert len({keys.fingerprint(certificate.public_key()) for certificate in found}) == 8
    assert (server_folder.ingest_key(2).stat().st_mode & 0o777) == 0o600


def test_a_device_that_had_a_name_which_is_the_server_s_now_loses_it(server_folder: ServerFolder) -> None:
    """SYNC-002, SYNC-006: its certificate would have the server's rights."""
    authority = Authority(server_folder)
    _, pem = authority.enroll(request("old-2"), "test")
    (server_folder.enrolled / "pomona-server-2.pem").write_bytes(pem)
    server_folder.ingest_certificate(2).unlink()
    authority.issue_ingest(2)
    assert revoked_numbers(server_folder) == [x509.load_pem_x509_certificate(pem).serial_number]
    assert not (server_folder.enrolled / "pomona-server-2.pem").exists()


def test_the_group_that_shares_the_work_is_a_secret_that_stays(server_folder: ServerFolder, tmp_path: Path) -> None:
    """SYNC-052."""
    group = server_folder.ingest_group()
    assert len(group) == 32
    assert server_folder.ingest_group() == group
    assert ((server_folder.ingest / "group").stat().st_mode & 0o777) == 0o600
    assert make_server(tmp_path / "other").ingest_group() != group
