"""``pomona server`` on the command line, without a broker."""

from __future__ import annotations

import contextlib
import json
import queue
import re
import sqlite3
from pathlib import Path

import click
import pytest
from click.testing import CliRunner, Result
from cryptography import x509

from cloud_sync import keys
from cloud_sync.errors import IdentityError
from cloud_sync.identity import create_request, install_enrolment
from cloud_sync.messages import BODIES
from cloud_sync.server.broker import initialise
from cloud_sync.server.cli import server
from cloud_sync.server.database import Database
from cloud_sync.server.errors import FolderError, MissingDatabaseError
from cloud_sync.server.folder import ServerFolder, ServerSettings
from cloud_sync.server.options import broker_address
from cloud_sync.server.worker import Delivery, Worker
from tests.cloud_sync.helpers import EXAMPLES, enrol, envelope, received


def run(*arguments: object) -> Result:
    return CliRunner().invoke(server, [str(argument) for argument in arguments], catch_exceptions=False)


def fill(folder: ServerFolder, *messages: dict[str, object]) -> None:
    database = Database.in_file(folder.database)
    worker = Worker(database, queue.Queue(), lambda _device, _answers: None)
    worker.process([Delivery(received(message), lambda: None) for message in messages])
    database.close()


def test_every_command_has_help_with_an_example() -> None:
    for name, command in server.commands.items():
        context = click.Context(command, info_name=name)
        assert re.search(rf"Examples?: pomona server {name} ", " ".join(command.get_help(context).split())), name


def test_init_and_enroll_lead_a_device_to_its_identity(tmp_path: Path) -> None:
    folder = tmp_path / "server"
    made = run("init", folder, "--host", "sync.example.org", "--host", "192.0.2.7", "--port", 9000)
    assert made.exit_code == 0
    assert f"mosquitto -c {folder}/broker/mosquitto.conf" in made.output
    assert "pomona server run" in made.output
    request = create_request(tmp_path / "device", "jetson-1")
    enrolled = run("enroll", request, "--folder", folder, "--out", tmp_path / "out.json")
    assert f"pomona sync accept {tmp_path}/out.json" in enrolled.output
    identity = install_enrolment(tmp_path / "device", tmp_path / "out.json")
    assert (identity.broker_host, identity.broker_port) == ("sync.example.org", 9000)
    assert "PRIVATE" not in (tmp_path / "out.json").read_text()
    again = run("enroll", request, "--folder", folder, "--out", tmp_path / "again.json")
    assert again.exit_code == 0
    first, second = (json.loads((tmp_path / name).read_text()) for name in ("out.json", "again.json"))
    assert first["certificate"] == second["certificate"]


def test_replacing_a_device_says_to_restart_the_broker(tmp_path: Path, server_folder: ServerFolder) -> None:
    """SYNC-005."""
    for place in ("old", "new"):
        create_request(tmp_path / place, "jetson-1")
    arguments = ["--folder", server_folder.path, "--out", tmp_path / "out.json"]
    first = run("enroll", tmp_path / "old/identity/device.csr", *arguments)
    assert "restart it now" not in first.output
    with pytest.raises(IdentityError, match="--replace"):
        run("enroll", tmp_path / "new/identity/device.csr", *arguments)
    second = run("enroll", tmp_path / "new/identity/device.csr", *arguments, "--replace")
    assert "restart it now" in second.output


def test_a_revoked_device_is_forgotten_and_the_broker_must_be_restarted(
    tmp_path: Path, server_folder: ServerFolder
) -> None:
    """SYNC-007."""
    identity = enrol(server_folder, tmp_path / "device", "kiwi-07")
    revoked = run("revoke", "kiwi-07", "--folder", server_folder.path)
    assert (revoked.exit_code, "restart it now" in revoked.output) == (0, True)
    serial = keys.read_certificate(identity.certificate).serial_number
    listed = x509.load_pem_x509_crl(server_folder.revoked.read_bytes())
    assert [entry.serial_number for entry in listed] == [serial]
    for name in ("kiwi-07", "never-was"):
        with pytest.raises(IdentityError, match=rf"'{name}' is not enrolled; the enrolled devices are in"):
            run("revoke", name, "--folder", server_folder.path)
    again = enrol(server_folder, tmp_path / "new-device", "kiwi-07")
    assert keys.read_certificate(again.certificate).serial_number != serial


@pytest.mark.parametrize("name", ["../root", "pomona-server", ""])
def test_only_devices_are_revoked(server_folder: ServerFolder, name: str) -> None:
    with pytest.raises(IdentityError, match="cannot name a device"):
        run("revoke", name, "--folder", server_folder.path)


def test_both_ends_show_the_same_fingerprints(tmp_path: Path) -> None:
    """SYNC-009."""
    folder = ServerFolder(tmp_path / "server")
    made = run("init", folder.path, "--host", "sync.example.org")
    request = create_request(tmp_path / "device", "kiwi-07")
    enrolled = run("enroll", request, "--folder", folder.path, "--out", tmp_path / "out.json")
    authority = keys.fingerprint(keys.read_certificate(folder.root_certificate).public_key())
    key = keys.fingerprint(keys.read_key(tmp_path / "device/identity/device.key").public_key())
    assert f"Authority: {authority}." in made.output
    assert f"Authority: {authority}." in enrolled.output
    assert f"Key of kiwi-07: {key}." in enrolled.output


def test_commands_need_a_server_folder(tmp_path: Path) -> None:
    request = create_request(tmp_path, "jetson-1")
    for arguments in (["enroll", request], ["revoke", "kiwi-07"], ["run"], ["holdings"], ["dead-letters"]):
        with pytest.raises(FolderError, match="pomona server init"):
            run(*arguments, "--folder", tmp_path / "nothing")
    assert not (tmp_path / "nothing").exists()


@pytest.mark.parametrize("broker", ["", "host", "host:", ":1883", "host:0", "host:x", "host:99999"])
def test_a_broker_address_that_is_none_is_wrong_input(server_folder: ServerFolder, broker: str) -> None:
    result = run("run", "--folder", server_folder.path, "--broker", broker)
    assert result.exit_code == 2
    assert "is not HOST:PORT" in result.output


def test_a_broker_that_is_no_host_is_wrong_input(server_folder: ServerFolder) -> None:
    result = run("run", "--folder", server_folder.path, "--broker", "a..b:8883")
    assert result.exit_code == 2
    assert "'a..b' is no host name or IP address" in result.output


@pytest.mark.parametrize(
    ("bind", "host"),
    [
        (None, "localhost"),
        ("0.0.0.0", "localhost"),
        ("::", "localhost"),
        ("192.0.2.7", "192.0.2.7"),
        ("::1", "::1"),
        ("inner.example.org", "inner.example.org"),
    ],
)
def test_the_server_s_client_goes_where_the_broker_listens(tmp_path: Path, bind: str | None, host: str) -> None:
    folder = ServerFolder(tmp_path)
    initialise(folder, ServerSettings(hosts=["sync.example.org"], bind=bind))
    assert broker_address(folder, None) == (host, 8883)
    certificate = keys.read_certificate(folder.broker / "broker.pem")
    names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert host in [str(name.value) for name in names]


@pytest.mark.parametrize("host", ["two words", "sync.example.org:8883", "a..b"])
def test_a_host_that_is_none_is_wrong_input(tmp_path: Path, host: str) -> None:
    for arguments in (["--host", host], ["--host", "sync.example.org", "--bind", host]):
        result = run("init", tmp_path / "server", *arguments)
        assert result.exit_code == 2
        assert f"{host!r} is no host name or IP address" in result.output
    assert not (tmp_path / "server").exists()


@pytest.mark.parametrize("command", ["holdings", "dead-letters"])
def test_reading_makes_no_database(tmp_path: Path, server_folder: ServerFolder, command: str) -> None:
    missing = tmp_path / "mistyped.sqlite"
    for arguments in (["--database", f"sqlite:///{missing}"], ["--folder", server_folder.path]):
        with pytest.raises(MissingDatabaseError, match=r"\.sqlite is not there; .*pomona server run") as caught:
            run(command, *arguments)
        assert caught.value.exit_code == 2
    assert not missing.exists()
    assert not server_folder.database.exists()


def test_reading_another_program_s_database_changes_nothing(tmp_path: Path) -> None:
    other = tmp_path / "other.sqlite"
    with contextlib.closing(sqlite3.connect(other)) as connection:
        connection.execute("CREATE TABLE record (mine)")
    before = other.read_bytes()
    with pytest.raises(MissingDatabaseError, match="has no tables of a Pomona server") as caught:
        run("holdings", "--database", f"sqlite:///{other}")
    assert caught.value.exit_code == 2
    assert other.read_bytes() == before


def test_holdings_as_json_and_as_a_table(server_folder: ServerFolder) -> None:
    fill(server_folder, *[envelope(kind) for kind in EXAMPLES])
    held = json.loads(run("holdings", "--folder", server_folder.path, "--json").output)
    assert held["records"] == dict.fromkeys(sorted(EXAMPLES), 1)
    table = run("holdings", "--folder", server_folder.path).output
    for text in ("Dongshan", "apple 131", "28830", "1 devices, 0 dead letters"):
        assert text in table


def test_dead_letters_tell_the_reason(server_folder: ServerFolder) -> None:
    """SYNC-048."""
    fill(server_folder, envelope(version=7))
    assert "newer" in run("dead-letters", "--folder", server_folder.path).output
    (line,) = run("dead-letters", "--folder", server_folder.path, "--json").output.splitlines()
    letter = json.loads(line)
    assert letter["reason"] == "tree version 7 is newer than 1, which is known here"
    assert letter["device"] == "jetson-1"


def test_names_from_devices_cannot_steer_the_terminal(server_folder: ServerFolder) -> None:
    nasty = {**EXAMPLES["tree"], "block": "[bold]b[/bold]"}
    refused = {**EXAMPLES["tree"], "block": "\x1b[31mred"}
    fill(server_folder, envelope(body=nasty), envelope(body=refused))
    table = run("holdings", "--folder", server_folder.path).output
    assert "\x1b" not in table
    assert "\x1b" not in run("dead-letters", "--folder", server_folder.path).output
    assert "[bold]" in table


def test_dead_letters_are_replayed_and_deleted_as_chosen(
    server_folder: ServerFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    """SYNC-053."""
    place = ["--folder", server_folder.path]
    fill(
        server_folder,
        envelope("tree", version=2),
        envelope("tree", version=7),
        envelope("visit", device="b", version=9),
    )
    for command in ("replay", "delete"):
        wrong = run("dead-letters", command, *place)
        assert (wrong.exit_code, "say which: --id N, --device NAME or --all" in wrong.output) == (2, True)
    monkeypatch.setattr(BODIES["tree"], "VERSION", 2)
    done = run("dead-letters", "replay", "--all", *place)
    assert "1 stored now, 2 still refused." in done.output
    assert "1 x tree version 7 is newer than 2, which is known here" in done.output
    # there is no broker here
    assert "The devices are not told: broker 127.0.0.1:8883 cannot be reached" in done.output
    assert "1 dead letters deleted" in run("dead-letters", "delete", "--device", "b", *place).output
    (left,) = run("dead-letters", "--json", *place).output.splitlines()
    assert "1 dead letters deleted" in run("dead-letters", "delete", "--id", json.loads(left)["id"], *place).output


def test_pruning_says_what_went(server_folder: ServerFolder) -> None:
    place = ["--folder", server_folder.path]
    fill(server_folder, envelope("tree"), envelope("tree", version=7))
    kept = run("prune", "--older-than", "400d", *place).output
    assert kept == "0 notes of replaced revisions, 0 dead letters, 0 records deleted.\n"
    would = run("prune", "--older-than", "0h", "--records", "tree", "--pretend", *place).output
    assert would == "0 notes of replaced revisions, 1 dead letters, 1 records would go.\n"
    gone = run("prune", "--older-than", "0h", "--records", "tree", *place).output
    assert gone == "0 notes of replaced revisions, 1 dead letters, 1 records deleted.\n"
    for wrong, said in ((["--older-than", "soon"], "is no age"), (["--older-than", "1d", "--records", "x"], "no type")):
        result = run("prune", *wrong, *place)
        assert (result.exit_code, said in result.output) == (2, True)


def test_records_are_exported_to_a_folder(server_folder: ServerFolder, tmp_path: Path) -> None:
    fill(server_folder, envelope("tree"), envelope("visit"))
    said = run("export", tmp_path / "out", "--folder", server_folder.path).output
    assert said == f"{tmp_path}/out/tree.parquet: 1 records\n{tmp_path}/out/visit.parquet: 1 records\n"
    later = run("export", tmp_path / "later", "--since", "2199-01-01", "--folder", server_folder.path).output
    assert later.count(": 0 records") == 2
