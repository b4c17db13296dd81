"""Telling the running broker what has changed, where it runs on this machine."""

from __future__ import annotations

import os
import signal
import tempfile
from datetime import timedelta
from pathlib import Path

from cloud_sync import keys, topics
from cloud_sync.connection import Connection, Terms
from cloud_sync.errors import BrokerError
from cloud_sync.files import write_whole
from cloud_sync.identity import Identity
from cloud_sync.server.certificates import Authority
from cloud_sync.server.folder import ServerFolder
from cloud_sync.server.signing import pem

_CONNECT_WITHIN_S = 5.0
_MOMENT = timedelta(minutes=10)


def reload_broker(folder: ServerFolder) -> bool:
    """Have the broker read certificates and revocations again; connections that are there stay.

    Returns:
        Whether it was found and told.
    """
    try:
        process = int(folder.broker_process.read_text(encoding="ascii"))
        command = Path(f"/proc/{process}/cmdline").read_bytes().split(b"\0")
        # the number in a file that a broker left behind may be another program's by now
        if os.fsencode(folder.broker.resolve() / "mosquitto.conf") not in command:
            return False
        os.kill(process, signal.SIGHUP)
    except (OSError, ValueError):
        return False
    return True


def end_connection(folder: ServerFolder, device: str) -> bool:
    """End the connection a device has, by taking its place for a moment.

    The broker knows a client by its name and lets the last one in; who was revoked does not come back.

    Returns:
        Whether the broker was reached.

    Raises:
        IdentityError: the authority cannot be used.
        FolderError: the server's folder cannot be read.
    """
    settings = folder.read_settings()
    with tempfile.TemporaryDirectory() as name:
        home = Path(name)
        key = keys.make_key(home / "key")
        write_whole(home / "certificate", pem(Authority(folder).sign_for_a_moment(device, key.public_key(), _MOMENT)))
        double = Identity(
            device, home / "key", home / "certificate", folder.trusted, settings.local_host, settings.port
        )
        answers = [topics.acknowledgements(device)]
        connection = Connection(double, Terms(session_expiry_s=0), subscriptions=answers, on_message=lambda _: None)
        try:
            connection.begin()
            connection.wait_open(_CONNECT_WITHIN_S)
            connection.end()
        except BrokerError:
            return False
        finally:
            connection.abandon()
    return True
