"""Fixtures for the tests of both ends of the wire: a device's store, a server's folder and database."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from cloud_sync.server.database import Database
from cloud_sync.server.folder import ServerFolder
from device.store.database import Store
from tests.cloud_sync.helpers import make_server


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    opened = Store(tmp_path / "device")
    yield opened
    opened.close()


@pytest.fixture
def server_folder(tmp_path: Path) -> ServerFolder:
    return make_server(tmp_path / "server")


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Database]:
    opened = Database(f"sqlite:///{tmp_path / 'pomona.sqlite'}", busy_timeout_s=0.1)
    yield opened
    opened.close()
