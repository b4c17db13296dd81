"""Fixtures for the tests of both ends of the wire: a device's store, a server's folder and database."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from cloud_sync import clock
from cloud_sync.server.database import Base, Database
from cloud_sync.server.folder import ServerFolder
from device.store.database import Store
from tests.cloud_sync.helpers import make_server
from tests.postgresql import PostgreSQL


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    opened = Store(tmp_path / "device")
    yield opened
    opened.close()


@pytest.fixture
def up_for_an_hour(monkeypatch: pytest.MonkeyPatch) -> None:
    """What was recorded since the machine was started is recent, however long this one has been up."""
    monkeypatch.setattr(clock, "uptime_s", lambda: 3600)


@pytest.fixture
def server_folder(tmp_path: Path) -> ServerFolder:
    return make_server(tmp_path / "server")


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Database]:
    opened = Database(f"sqlite:///{tmp_path / 'pomona.sqlite'}", busy_timeout_s=0.1)
    yield opened
    opened.close()


@pytest.fixture(scope="session")
def postgresql_url(postgresql: PostgreSQL) -> str:
    """A database with the tables, used by one test after the other."""
    url = postgresql.make_database()
    Database(url).close()
    return url


@pytest.fixture
def postgresql_database(postgresql_url: str) -> Iterator[Database]:
    """PostgreSQL, empty."""
    opened = Database(postgresql_url, busy_timeout_s=0.5)
    with opened.write() as session:
        for table in Base.metadata.sorted_tables:
            session.execute(table.delete())
    yield opened
    opened.close()


@pytest.fixture(params=["sqlite", "postgresql"])
def each_database(request: pytest.FixtureRequest) -> Database:
    """Both databases, one after the other, empty."""
    opened: Database = request.getfixturevalue("database" if request.param == "sqlite" else "postgresql_database")
    return opened
