"""The broker's files, and making them again."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from pydantic import ValidationError

from cloud_sync.messages import MOST_BYTES
from cloud_sync.server.broker import access_list, configuration, initialise
from cloud_sync.server.errors import FolderError
from cloud_sync.server.folder import ServerFolder, ServerSettings
from tests.cloud_sync.helpers import enrol, make_server


def settings_of(text: str) -> dict[str, str]:
    lines = [line for line in text.splitlines() if line and not line.startswith("#")]
    return dict(line.split(" ", 1) for line in lines)


def test_a_certificate_is_required_and_is_the_identity(server_folder: ServerFolder) -> None:
    """SYNC-006."""
    found = settings_of(configuration(server_folder, ServerSettings(hosts=["h"], port=1234)))
    assert found["listener"] == "1234"
    for name in ("require_certificate", "use_identity_as_username", "use_username_as_clientid"):
        assert found[name] == "true"
    assert found["allow_anonymous"] == "false"
    for name in ("cafile", "certfile", "keyfile", "crlfile", "acl_file"):
        assert Path(found[name]).is_absolute()
        assert Path(found[name]).exists()


def test_a_message_a_little_too_long_still_reaches_the_server(server_folder: ServerFolder) -> None:
    """SYNC-008."""
    found = settings_of(configuration(server_folder, ServerSettings(hosts=["h"])))
    assert MOST_BYTES < int(found["max_packet_size"]) < 2 * MOST_BYTES
    assert int(found["max_queued_messages"]) > 0
    assert int(found["memory_limit"]) == 2**30
    assert found["persistence"] == "false"


def test_access_list_gives_each_its_own_topics() -> None:
    """SYNC-006."""
    rules = [line for line in access_list().splitlines() if line and not line.startswith("#")]
    assert rules == [
        "pattern write pomona/v1/%u/up/#",
        "pattern write pomona/v1/%u/state",
        "pattern read pomona/v1/%u/down/#",
    ] + [
        line
        for name in ("pomona-server-0", "pomona-server", *(f"pomona-server-{number}" for number in range(2, 9)))
        for line in (
            f"user {name}",
            "topic read pomona/v1/+/up/#",
            "topic read pomona/v1/+/state",
            "topic write pomona/v1/+/down/#",
            "topic write pomona/v1/+/stored/#",
        )
    ]


def test_making_it_again_keeps_keys_and_devices_and_takes_new_settings(tmp_path: Path) -> None:
    folder = make_server(tmp_path / "server")
    device = enrol(folder, tmp_path / "device", "jetson-1")
    kept = [*folder.path.rglob("*.key"), folder.root_certificate, folder.enrolled / "jetson-1.pem"]
    before = [file.read_bytes() for file in kept]
    initialise(folder, ServerSettings(hosts=["new.example.org"], port=9999))
    assert [file.read_bytes() for file in kept] == before
    assert device.certificate.read_bytes().endswith((folder.enrolled / "jetson-1.pem").read_bytes())
    assert "listener 9999\n" in (folder.broker / "mosquitto.conf").read_text()
    assert folder.read_settings().hosts == ["new.example.org"]


@pytest.mark.parametrize("host", ["", "a b", "a\nlistener 1883", "fe80::1%a\nlistener 1883", "x" * 300])
def test_a_host_cannot_smuggle_settings_in(host: str) -> None:
    with pytest.raises(ValidationError):
        ServerSettings(hosts=[host])
    with pytest.raises(ValidationError):
        ServerSettings(hosts=["h"], bind=host)


def test_a_folder_name_cannot_smuggle_settings_in(tmp_path: Path) -> None:
    folder = ServerFolder(tmp_path / "a\nlistener 1883")
    with pytest.raises(FolderError, match="choose a plainer folder name"):
        initialise(folder, ServerSettings(hosts=["h"]))


def test_a_folder_that_was_never_made_says_how(tmp_path: Path) -> None:
    with pytest.raises(FolderError, match=re.escape(f"pomona server init {tmp_path}")):
        ServerFolder(tmp_path).read_settings()


def test_damaged_settings_are_named(server_folder: ServerFolder) -> None:
    server_folder.settings_file.write_text("{}")
    with pytest.raises(FolderError, match=r"server\.json is damaged"):
        server_folder.read_settings()
