"""A connection that cannot be made; all others are tested with a real broker."""

from __future__ import annotations

import contextlib
import socket
import threading
from dataclasses import replace
from pathlib import Path

import pytest

from cloud_sync.connection import Connection, RefusedError, Terms
from cloud_sync.errors import BrokerError
from cloud_sync.identity import Identity
from cloud_sync.server.folder import ServerFolder
from tests.cloud_sync.helpers import enrol


class ConnectionToNobody(Connection):
    def __init__(self, identity: Identity) -> None:
        super().__init__(identity, Terms(session_expiry_s=0), subscriptions=[], on_message=lambda _message: None)

    def close(self) -> None:
        self.abandon()


@pytest.mark.parametrize("host", ["a..b", "x" * 64, "a" * 300])
def test_a_host_that_is_none_cannot_be_reached(tmp_path: Path, server_folder: ServerFolder, host: str) -> None:
    """SYNC-034: such a name is no OSError but a UnicodeError."""
    identity = replace(enrol(server_folder, tmp_path, "jetson-1"), broker_host=host)
    with (
        contextlib.closing(ConnectionToNobody(identity)) as connection,
        pytest.raises(BrokerError, match=rf"broker {host}:8883 cannot be reached: its host is no host name"),
    ):
        connection.begin()


def test_a_link_that_is_cut_during_the_handshake_is_no_refusal(tmp_path: Path, server_folder: ServerFolder) -> None:
    """SYNC-034: a refusal ends `sync --once` and a server that starts, a cut must not."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]

        def cut() -> None:
            accepted, _ = listener.accept()
            with accepted:
                accepted.recv(65_536)

        thread = threading.Thread(target=cut)
        thread.start()
        identity = replace(enrol(server_folder, tmp_path, "jetson-1"), broker_port=port)
        with contextlib.closing(ConnectionToNobody(identity)) as connection:
            with pytest.raises(
                BrokerError, match=rf"broker localhost:{port} was lost during the TLS handshake"
            ) as said:
                connection.begin()
            assert not isinstance(said.value, RefusedError)
        thread.join()
