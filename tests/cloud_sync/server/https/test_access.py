"""Who gets in: HTTPS with real certificates over real TLS, good ones and all kinds of wrong ones."""

from __future__ import annotations

import http.client
import json
import socket
import ssl
import threading
import time
from contextlib import closing
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest
from cryptography import x509

from cloud_sync import keys
from cloud_sync.enrolling import hear
from cloud_sync.enrolment import AUTHORITY, ENROLMENT, RENEWAL
from cloud_sync.errors import HttpsError, IdentityError
from cloud_sync.https import HttpsRefusedError
from cloud_sync.identity import Identity
from cloud_sync.server.broker import initialise
from cloud_sync.server.certificates import Authority
from cloud_sync.server.database import Database
from cloud_sync.server.errors import FolderError
from cloud_sync.server.https import peer
from cloud_sync.server.https.application import create_app
from cloud_sync.server.https.guard import PUBLIC
from cloud_sync.server.https.serving import https_server
from cloud_sync.server.signing import Signer, pem
from tests.cloud_sync.helpers import enrol, free_port, make_server
from tests.cloud_sync.server.https.conftest import HttpsSite, read


def signer_of(site: HttpsSite) -> Signer:
    folder = site.server_folder
    return Signer(keys.read_key(folder.root_key), keys.read_certificate(folder.root_certificate))


def identity_of(folder: Path, name: str, site: HttpsSite, certificate: x509.Certificate) -> Identity:
    """An identity with the key in a folder and any certificate."""
    (folder / "certificate.pem").write_bytes(pem(certificate))
    trusted = site.server_folder.trusted
    return Identity(name, folder / "key.pem", folder / "certificate.pem", trusted, "localhost", 1, site.address)


def test_a_device_is_known_by_its_certificate(https_site: HttpsSite) -> None:
    """SYNC-074."""
    identity = https_site.device("kiwi-01")
    status, answer = https_site.ask("GET", ENROLMENT, identity=identity, headers={"X-Device": "kiwi-02"})
    assert (status, answer["device"]) == (200, "kiwi-01")


def test_everything_but_enrolment_is_closed_to_who_shows_no_certificate(https_site: HttpsSite) -> None:
    """SYNC-074: also routes that are yet to come, and those that do not exist."""
    app = create_app(https_site.server_folder, https_site.database)
    routes = {(method.upper(), path) for path, methods in app.openapi()["paths"].items() for method in methods}
    assert {("GET", AUTHORITY), ("GET", ENROLMENT), ("POST", ENROLMENT), ("POST", RENEWAL)} <= routes
    assert {("GET", AUTHORITY), ("POST", ENROLMENT)} == PUBLIC
    for method, path in sorted({*routes - PUBLIC, ("GET", "/"), ("PUT", "/v1/photos/1"), ("GET", f"{AUTHORITY}/x")}):
        status, answer = https_site.ask(method, path)
        assert (status, answer) == (403, {"reason": "this needs the certificate of an enrolled device"}), path
    assert https_site.ask("GET", AUTHORITY)[0] == 200
    assert https_site.ask("POST", ENROLMENT, b"{}")[0] == 422


def test_a_revoked_certificate_is_refused_at_once_also_on_an_open_connection(https_site: HttpsSite) -> None:
    """SYNC-074."""
    identity = https_site.device("stolen")
    connection = http.client.HTTPSConnection(
        "localhost", https_site.address.port, timeout=10, context=https_site.context(identity)
    )
    with closing(connection):
        connection.request("GET", ENROLMENT)
        assert read(connection)[0] == 200
        Authority(https_site.server_folder).withdraw("stolen")
        connection.request("GET", ENROLMENT)
        assert read(connection) == (403, {"reason": "the certificate of 'stolen' was revoked"})
    with pytest.raises(
        HttpsRefusedError, match=r"server localhost:\d+ refuses: the certificate of 'stolen' was revoked"
    ):
        hear(https_site.home("stolen"))


def test_a_certificate_that_ends_is_refused_also_on_an_open_connection(https_site: HttpsSite, tmp_path: Path) -> None:
    """SYNC-074."""
    key = keys.make_key(tmp_path / "key.pem")
    certificate = signer_of(https_site).device("brief", key.public_key(), timedelta(seconds=4))
    identity = identity_of(tmp_path, "brief", https_site, certificate)
    connection = http.client.HTTPSConnection(
        "localhost", https_site.address.port, timeout=10, context=https_site.context(identity)
    )
    with closing(connection):
        connection.request("GET", ENROLMENT)
        assert read(connection)[0] == 200
        status, begun = 200, time.monotonic()
        while status == 200:
            assert time.monotonic() - begun < 10
            time.sleep(0.5)
            connection.request("GET", ENROLMENT)
            status, answer = read(connection)
        assert status == 403
        assert answer["reason"].startswith("the certificate of 'brief' ended on ")
    assert https_site.ask("GET", ENROLMENT, identity=identity) == (status, answer)


def test_certificates_of_others_end_the_handshake(https_site: HttpsSite, tmp_path: Path) -> None:
    """SYNC-073: of another authority, and of ours for something else than a client."""
    elsewhere = enrol(make_server(tmp_path / "server"), tmp_path / "device", "kiwi-01")
    with pytest.raises(OSError, match=r"closed connection without|(?i:unknown.ca)"):
        https_site.ask("GET", AUTHORITY, identity=elsewhere)
    broker = https_site.server_folder.broker
    impostor = replace(elsewhere, certificate=broker / "broker.pem", key=broker / "broker.key")
    with pytest.raises(OSError, match=r"closed connection without|(?i:unsupported.certificate)"):
        https_site.ask("GET", AUTHORITY, identity=impostor)


@pytest.mark.parametrize("name", ["pomona-server", "telemetry.grafana", "Kiwi", "../kiwi", ""])
def test_a_certificate_that_names_no_device_is_refused(https_site: HttpsSite, tmp_path: Path, name: str) -> None:
    """SYNC-074: the server's own client is none either, and no reader."""
    key = keys.make_key(tmp_path / "key.pem")
    if name:
        certificate = signer_of(https_site).client(name, key.public_key())
    else:
        certificate = keys.read_certificate(https_site.server_folder.ingest / "ingest.pem")
        (tmp_path / "key.pem").write_bytes((https_site.server_folder.ingest / "ingest.key").read_bytes())
    status, answer = https_site.ask("GET", ENROLMENT, identity=identity_of(tmp_path, "x", https_site, certificate))
    assert status == 403
    assert "cannot name a device" in answer["reason"]


def test_tls_before_1_3_is_refused(https_site: HttpsSite) -> None:
    """SYNC-073."""
    context = https_site.context()
    context.maximum_version = ssl.TLSVersion.TLSv1_2
    with socket.create_connection(("localhost", https_site.address.port)) as plain, pytest.raises(ssl.SSLError):
        context.wrap_socket(plain, server_hostname="localhost")


def test_a_long_body_is_refused_whether_it_says_so_or_not(https_site: HttpsSite) -> None:
    """SYNC-075."""
    for headers in ({}, {"Transfer-Encoding": "chunked"}):
        body = json.dumps({"secret": "0" * 16, "request": "x" * 70_000}).encode()
        chunked = f"{len(body):x}\r\n".encode() + body + b"\r\n0\r\n\r\n" if headers else body
        status, answer = https_site.ask("POST", ENROLMENT, chunked, headers=headers)
        assert (status, answer["reason"]) == (413, "the request is longer than 65536 bytes")


def test_a_refusal_repeats_nothing_that_was_sent(https_site: HttpsSite) -> None:
    """SYNC-075, SYNC-094."""
    secret = "c0ffee" * 3
    for body in (
        json.dumps({"secret": secret, "request": ""}),
        json.dumps({"secret": secret[:16], "request": secret}),
        json.dumps([secret]),
        f'{{"secret": "{secret}"',
        secret,
    ):
        status, answer = https_site.ask("POST", ENROLMENT, body.encode())
        assert status in {400, 403, 422}
        assert set(answer) == {"reason"}
        assert secret[:16] not in answer["reason"]


def test_who_asks_nothing_or_too_slowly_is_shown_out(
    https_site: HttpsSite, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """SYNC-075."""
    monkeypatch.setattr(peer, "_REQUEST_WITHIN_S", 0.3)
    with socket.create_connection(("localhost", https_site.address.port), timeout=10) as plain:
        silent = https_site.context().wrap_socket(plain, server_hostname="localhost")
        assert silent.recv(1) == b""
        silent.close()
    with socket.create_connection(("localhost", https_site.address.port), timeout=10) as plain:
        slow = https_site.context().wrap_socket(plain, server_hostname="localhost")
        slow.sendall(f"GET {AUTHORITY} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode())
        assert slow.recv(15) == b"HTTP/1.1 200 OK"
        slow.sendall(b"GET ")
        begun = time.monotonic()
        while slow.recv(4096):
            pass
        assert time.monotonic() - begun < 5
        slow.close()


def test_a_device_refuses_a_server_that_is_another(https_site: HttpsSite, tmp_path: Path) -> None:
    """SYNC-084: another authority, another host, nobody, and something that is no HTTPS."""
    https_site.device("careful")
    home = https_site.home("careful")
    address_file = home / "identity" / "https.json"
    good = address_file.read_text()

    def hear_at(host: str, port: int) -> None:
        address_file.write_text(json.dumps({"host": host, "port": port}))
        hear(home)

    other = make_server(tmp_path / "server", free_port(), free_port())
    other_port = other.read_settings().https_port
    with (
        https_server(other, https_site.database, threading.Event()),
        pytest.raises(
            HttpsRefusedError, match=rf"server localhost:{other_port} shows a certificate this device does not trust"
        ),
    ):
        hear_at("localhost", other_port)
    own_port = https_site.address.port
    with pytest.raises(HttpsError, match=r"hostname|IP address mismatch|cannot be reached"):
        hear_at("127.0.0.2", own_port)
    with pytest.raises(HttpsError, match=r"cannot be reached: .*; is it running"):
        hear_at("localhost", free_port())
    with socket.create_server(("127.0.0.1", 0)) as mute:

        def hang_up() -> None:
            mute.accept()[0].close()

        threading.Thread(target=hang_up, daemon=True).start()
        with pytest.raises(HttpsError, match=r"does not agree on TLS|cannot be reached"):
            hear_at("localhost", mute.getsockname()[1])
    address_file.write_text(good)
    assert hear(home).device == "careful"


def test_a_device_refuses_a_revoked_server(tmp_path: Path) -> None:
    """SYNC-084, SYNC-086: once it has heard of the revocation, from the server with its new key."""
    site = HttpsSite(tmp_path)
    https = site.server_folder.https
    with site.serving():
        site.device("kiwi-01")
        stolen = {file: file.read_bytes() for file in (https / "https.key", https / "https.pem")}
        initialise(site.server_folder, site.server_folder.read_settings(), new_keys=True)
        assert (https / "https.key").read_bytes() != stolen[https / "https.key"]
        assert hear(site.home("kiwi-01")).device == "kiwi-01"  # the running server has taken the new certificate
        for file, content in stolen.items():
            file.write_bytes(content)
        with pytest.raises(HttpsRefusedError, match="does not trust: certificate revoked"):
            hear(site.home("kiwi-01"))


def test_a_taken_port_is_told(tmp_path: Path, database: Database) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        folder = make_server(tmp_path / "server", free_port(), taken.getsockname()[1])
        said = r"cannot listen on port \d+ for HTTPS: .*--https-port"
        with pytest.raises(FolderError, match=said), https_server(folder, database, threading.Event()):
            pytest.fail("it listens")


def test_a_folder_without_its_certificate_is_told(tmp_path: Path, database: Database) -> None:
    folder = make_server(tmp_path / "server", free_port(), free_port())
    (folder.https / "https.pem").write_bytes(b"damaged")
    with pytest.raises(IdentityError, match="cannot be used"), https_server(folder, database, threading.Event()):
        pytest.fail("it serves")
    (folder.https / "https.pem").unlink()
    with (
        pytest.raises(FolderError, match="no certificate for HTTPS"),
        https_server(folder, database, threading.Event()),
    ):
        pytest.fail("it serves")
