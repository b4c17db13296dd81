"""``pomona server`` on the command line, without a broker."""

from __future__ import annotations

import json
import queue
from pathlib import Path

import click
import pytest
from click.testing import CliRunner, Result

from cloud_sync.errors import IdentityError
from cloud_sync.identity import create_request, install_enrolment
from cloud_sync.server.cli import server
from cloud_sync.server.database import Database
from cloud_sync.server.errors import FolderError
from cloud_sync.server.folder import ServerFolder
from cloud_sync.server.worker import Delivery, Worker
from tests.cloud_sync.helpers import EXAMPLES, envelope, received


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
        assert f"Example: pomona server {name} " in " ".join(command.get_help(context).split())


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
    assert (tmp_path / "again.json").read_text() == (tmp_path / "out.json").read_text()


def test_replacing_a_device_says_to_restart_the_broker(tmp_path: Path, server_folder: ServerFolder) -> None:
    """SYNC-005."""
    for place in ("old", "new"):
        create_request(tmp_path / place, "jetson-1")
    arguments = ["--folder", server_folder.path, "--out", tmp_path / "out.json"]
    first = run("enroll", tmp_path / "old/identity/device.csr", *arguments)
    assert "restart the broker" not in first.output
    with pytest.raises(IdentityError, match="--replace"):
        run("enroll", tmp_path / "new/identity/device.csr", *arguments)
    second = run("enroll", tmp_path / "new/identity/device.csr", *arguments, "--replace")
    assert "restart the broker" in second.output


def test_commands_need_a_server_folder(tmp_path: Path) -> None:
    request = create_request(tmp_path, "jetson-1")
    for arguments in (["enroll", request], ["run"], ["holdings"], ["dead-letters"]):
        with pytest.raises(FolderError, match="pomona server init"):
            run(*arguments, "--folder", tmp_path / "nothing")
    assert not (tmp_path / "nothing").exists()


@pytest.mark.parametrize("broker", ["", "host", "host:", ":1883", "host:0", "host:x", "host:99999"])
def test_a_broker_address_that_is_none_is_wrong_input(server_folder: ServerFolder, broker: str) -> None:
    result = run("run", "--folder", server_folder.path, "--broker", broker)
    assert result.exit_code == 2
    assert "is not HOST:PORT" in result.output


def test_a_host_that_is_none_is_wrong_input(tmp_path: Path) -> None:
    assert run("init", tmp_path, "--host", "two words").exit_code == 2


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
