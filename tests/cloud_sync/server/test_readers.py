"""Readers: a certificate each, listed for the broker, and taken back."""

from __future__ import annotations

from pathlib import Path

import pytest
from cryptography import x509

from cloud_sync import keys
from cloud_sync.errors import IdentityError
from cloud_sync.server.broker import access_list, initialise
from cloud_sync.server.errors import FolderError
from cloud_sync.server.folder import ServerFolder
from cloud_sync.server.readers import add_reader, remove_reader
from tests.conftest import Pomona

RULES = [
    "user telemetry.grafana",
    "topic deny pomona/v1/telemetry.grafana/#",
    "topic read pomona/v1/+/stored/#",
    "topic read pomona/v1/+/up/#",
    "topic read pomona/v1/+/state",
]


def rules(folder: ServerFolder) -> list[str]:
    """What the broker is told besides what holds without readers."""
    lines = (folder.broker / "access").read_text().removeprefix(access_list()).splitlines()
    return [line for line in lines if line]


def test_a_reader_gets_what_it_needs_and_the_broker_is_told(server_folder: ServerFolder, tmp_path: Path) -> None:
    """SYNC-081."""
    add_reader(server_folder, "grafana", tmp_path / "out")
    assert {file.name for file in (tmp_path / "out").iterdir()} == {"reader.key", "reader.pem", "root.pem"}
    certificate = keys.read_certificate(tmp_path / "out" / "reader.pem")
    assert keys.common_name(certificate.subject) == "telemetry.grafana"
    assert keys.is_signed_by(certificate, keys.read_certificate(server_folder.root_certificate))
    assert keys.same_key(certificate.public_key(), keys.read_key(tmp_path / "out" / "reader.key").public_key())
    assert rules(server_folder) == RULES


def test_readers_outlive_a_new_configuration(server_folder: ServerFolder, tmp_path: Path) -> None:
    """SYNC-081."""
    add_reader(server_folder, "grafana", tmp_path / "out")
    initialise(server_folder, server_folder.read_settings())
    assert rules(server_folder) == RULES


def test_a_reader_that_is_shut_out_is_revoked_and_its_name_free(server_folder: ServerFolder, tmp_path: Path) -> None:
    """SYNC-081."""
    add_reader(server_folder, "grafana", tmp_path / "out")
    number = keys.read_certificate(tmp_path / "out" / "reader.pem").serial_number
    remove_reader(server_folder, "grafana")
    revoked = x509.load_pem_x509_crl(server_folder.revoked.read_bytes())
    assert revoked.get_revoked_certificate_by_serial_number(number) is not None
    assert rules(server_folder) == []
    add_reader(server_folder, "grafana", tmp_path / "again")
    with pytest.raises(IdentityError, match="there is no reader 'kibana'"):
        remove_reader(server_folder, "kibana")


def test_a_name_or_place_that_is_taken_is_refused(server_folder: ServerFolder, tmp_path: Path) -> None:
    add_reader(server_folder, "grafana", tmp_path / "out")
    with pytest.raises(IdentityError, match="there is a reader 'grafana'"):
        add_reader(server_folder, "grafana", tmp_path / "other")
    with pytest.raises(FolderError, match="holds another reader's key"):
        add_reader(server_folder, "kibana", tmp_path / "out")
    for name in ("", "a.b", "Grafana", "../x"):
        with pytest.raises(IdentityError, match="cannot name a device"):
            add_reader(server_folder, name, tmp_path / "other")
    (tmp_path / "file").touch()
    with pytest.raises(FolderError, match="choose another place with --out"):
        add_reader(server_folder, "kibana", tmp_path / "file" / "out")


def test_the_command_says_how_to_read(run_pomona: Pomona, server_folder: ServerFolder, tmp_path: Path) -> None:
    """SYNC-081."""
    out = tmp_path / "out"
    done = run_pomona("server", "reader", "grafana", "--folder", server_folder.path, "--out", out)
    assert done.exit_code == 0
    assert f"mosquitto_sub -V 5 -h localhost -p 8883 --cafile {out / 'root.pem'}" in done.out
    assert "That is the feed of `pomona server run --feed`" in done.out
    done = run_pomona("server", "reader", "grafana", "--folder", server_folder.path, "--revoke")
    assert done.out.startswith("The certificate of reader grafana is revoked. The running broker was not found here")
