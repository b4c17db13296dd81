"""What a device trusts: the other side's certificate, over real TLS."""

from __future__ import annotations

import contextlib
import socket
import ssl
import threading
from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import pytest

from cloud_sync import clock, keys
from cloud_sync.errors import IdentityError
from cloud_sync.identity import Identity
from cloud_sync.server import signing
from cloud_sync.server.certificates import Authority
from cloud_sync.server.folder import ServerFolder
from cloud_sync.timekeeping import RELEASED, Timekeeper
from cloud_sync.tls import client_context
from tests.cloud_sync.helpers import enrol

NEVER_SET = datetime(1970, 1, 1, tzinfo=timezone.utc)
AHEAD = datetime(2038, 1, 20, tzinfo=timezone.utc)
DAY = timedelta(days=1)


@pytest.fixture
def identity(server_folder: ServerFolder, tmp_path: Path) -> Identity:
    return enrol(server_folder, tmp_path / "device", "kiwi-07")


@contextlib.contextmanager
def listening(folder: ServerFolder) -> Iterator[int]:
    """A TLS server with the broker's certificate, for one connection; yields its port."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(folder.broker / "broker.pem", folder.broker / "broker.key")

    def serve() -> None:
        connected, _ = listener.accept()
        with connected, contextlib.suppress(OSError), context.wrap_socket(connected, server_side=True) as wrapped:
            wrapped.recv(1)

    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=serve)
        thread.start()
        yield listener.getsockname()[1]
        thread.join(10)


def connect(folder: ServerFolder, identity: Identity, host: str = "localhost") -> None:
    """Shake hands and hang up."""
    with listening(folder) as port, socket.create_connection(("127.0.0.1", port)) as plain:
        client_context(identity).wrap_socket(plain, server_hostname=host).close()


def issue_broker(folder: ServerFolder, until: datetime, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(signing, "VALID_UNTIL", until)
    Authority(folder).issue_broker(["localhost"], folder.broker / "broker.key", folder.broker / "broker.pem")


def set_clock(monkeypatch: pytest.MonkeyPatch, now: datetime, *, synchronised: bool) -> None:
    monkeypatch.setattr(clock, "now", lambda: now)
    monkeypatch.setattr(clock, "is_synchronised", lambda: synchronised)


def test_a_server_of_ours_is_trusted(server_folder: ServerFolder, identity: Identity) -> None:
    """SYNC-084."""
    connect(server_folder, identity)


def test_another_host_is_refused(server_folder: ServerFolder, identity: Identity) -> None:
    """SYNC-084."""
    with pytest.raises(ssl.SSLCertVerificationError, match="Hostname mismatch"):
        connect(server_folder, identity, "other.example.org")


def test_a_revoked_certificate_is_refused(server_folder: ServerFolder, identity: Identity) -> None:
    """SYNC-084."""
    broker = keys.read_certificate(server_folder.broker / "broker.pem")
    Authority(server_folder).revoke([broker.serial_number])
    connect(server_folder, identity)  # it has not heard of it
    identity.trust_root.write_bytes(server_folder.trusted.read_bytes() + server_folder.revoked.read_bytes())
    with pytest.raises(ssl.SSLCertVerificationError, match="certificate revoked"):
        connect(server_folder, identity)


@pytest.mark.parametrize("now", [NEVER_SET, RELEASED + DAY, AHEAD])
def test_a_certificate_that_ended_before_this_pomona_was_released_is_refused(
    server_folder: ServerFolder, identity: Identity, monkeypatch: pytest.MonkeyPatch, now: datetime
) -> None:
    """SYNC-084: whatever the clock says."""
    set_clock(monkeypatch, now, synchronised=False)
    issue_broker(server_folder, RELEASED - DAY, monkeypatch)
    with pytest.raises(ssl.SSLCertVerificationError) as caught:
        connect(server_folder, identity)
    assert caught.value.verify_message.startswith(f"it ended on {RELEASED - DAY:%Y-%m-%d}, and today is ")


@pytest.mark.parametrize("now", [NEVER_SET, AHEAD])
def test_a_clock_nobody_vouches_for_makes_no_certificate_old(
    server_folder: ServerFolder, identity: Identity, monkeypatch: pytest.MonkeyPatch, now: datetime
) -> None:
    """SYNC-090."""
    set_clock(monkeypatch, now, synchronised=False)
    issue_broker(server_folder, datetime.now(timezone.utc) + 400 * DAY, monkeypatch)
    connect(server_folder, identity)


def test_a_clock_the_kernel_vouches_for_does(
    server_folder: ServerFolder, identity: Identity, monkeypatch: pytest.MonkeyPatch
) -> None:
    """SYNC-084."""
    issue_broker(server_folder, RELEASED + 4000 * DAY, monkeypatch)
    set_clock(monkeypatch, RELEASED + 3999 * DAY, synchronised=True)
    connect(server_folder, identity)
    set_clock(monkeypatch, RELEASED + 4001 * DAY, synchronised=True)
    with pytest.raises(ssl.SSLCertVerificationError):
        connect(server_folder, identity)


def test_what_the_server_once_said_does_too(
    server_folder: ServerFolder, identity: Identity, monkeypatch: pytest.MonkeyPatch
) -> None:
    """SYNC-084."""
    issue_broker(server_folder, RELEASED + 4000 * DAY, monkeypatch)
    set_clock(monkeypatch, NEVER_SET, synchronised=False)
    connect(server_folder, identity)
    Timekeeper(identity.certificate.parent).learn_floor(RELEASED + 4001 * DAY)
    with pytest.raises(ssl.SSLCertVerificationError):
        connect(server_folder, identity)


def test_an_authority_that_has_ended_is_trusted_no_more(
    server_folder: ServerFolder, identity: Identity, monkeypatch: pytest.MonkeyPatch
) -> None:
    """SYNC-084."""
    set_clock(monkeypatch, signing.VALID_UNTIL - DAY, synchronised=True)
    connect(server_folder, identity)
    set_clock(monkeypatch, signing.VALID_UNTIL + DAY, synchronised=True)
    with pytest.raises(ssl.SSLCertVerificationError, match="it ended on 2099-12-31"):
        connect(server_folder, identity)


@pytest.mark.parametrize("part", ["key", "certificate", "trust_root"])
def test_files_that_cannot_be_used_are_named(identity: Identity, tmp_path: Path, part: str) -> None:
    damaged: dict[str, Any] = {part: tmp_path / "damaged"}
    missing: dict[str, Any] = {part: tmp_path / "missing"}
    (tmp_path / "damaged").write_bytes(b"nonsense")
    with pytest.raises(IdentityError, match=r"damaged.*enrol again"):
        client_context(replace(identity, **damaged))
    with pytest.raises(IdentityError, match=r"missing.*enrol again"):
        client_context(replace(identity, **missing))
