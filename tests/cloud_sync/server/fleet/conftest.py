"""A server that five virtual devices have sent to, and a browser on its pages."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from fastapi.testclient import TestClient

from cloud_sync.server.database import Database
from cloud_sync.server.fleet.application import create_app
from cloud_sync.server.fleet.settings import FleetSettings
from tests.cloud_sync.virtual_fleet import fill, fill_blocks, troubled_five


@pytest.fixture(scope="session", params=["sqlite", "postgresql"])
def five(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Database]:
    """The five devices and two blocks, in both databases; tests that use it change nothing."""
    url = f"sqlite:///{tmp_path_factory.mktemp('fleet')}/pomona.sqlite"
    if request.param == "postgresql":
        url = request.getfixturevalue("postgresql").make_database()
    opened = Database(url)
    fill(opened, troubled_five())
    fill_blocks(opened)
    yield opened
    opened.close()


@pytest.fixture(scope="session")
def reader(five: Database, tmp_path_factory: pytest.TempPathFactory) -> Iterator[TestClient]:
    """A browser on the pages of the five."""
    with browser(five, tmp_path_factory.mktemp("processes")) as client:
        yield client


def browser(database: Database, processes: Path, settings: FleetSettings | None = None) -> TestClient:
    """A browser on a server's pages; use it as a context."""
    return TestClient(create_app(database, processes, settings or FleetSettings()), base_url="http://localhost")
