"""A connection that cannot be made; all others are tested with a real broker."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from cloud_sync.connection import Connection, Terms
from cloud_sync.errors import BrokerError
from cloud_sync.server.folder import ServerFolder
from tests.cloud_sync.helpers import enrol


@pytest.mark.parametrize("host", ["a..b", "x" * 64, "a" * 300])
def test_a_host_that_is_none_cannot_be_reached(tmp_path: Path, server_folder: ServerFolder, host: str) -> None:
    """SYNC-034: such a name is no OSError but a UnicodeError."""
    identity = replace(enrol(server_folder, tmp_path, "jetson-1"), broker_host=host)
    connection = Connection(identity, Terms(session_expiry_s=0), subscriptions=[], on_message=lambda _message: None)
    with pytest.raises(BrokerError, match=rf"broker {host}:8883 cannot be reached: its host is no host name"):
        connection.begin()
    connection.abandon()
