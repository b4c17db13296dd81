"""The database's versions: both ways, on both databases, with what they hold."""

from __future__ import annotations

import json
import queue
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import pytest
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext
from sqlalchemy import create_engine, select, text
from sqlalchemy.engine import Connection, make_url

from cloud_sync.digests import digest_of
from cloud_sync.messages import Answers
from cloud_sync.server import backends, upgrading
from cloud_sync.server.database import Base, Database, Record
from cloud_sync.server.documents import Document
from cloud_sync.server.errors import DatabaseError, MissingDatabaseError
from cloud_sync.server.tree_codes import TreeCode
from cloud_sync.server.worker import Delivery, Worker
from tests.cloud_sync.helpers import EXAMPLES, envelope, received
from tests.postgresql import PostgreSQL

# what each version before the last has no place for
NEWER: dict[str, dict[str, set[str]]] = {
    "5": {"record": {"position"}},
    "4": {"record": {"position"}},
    "3": {"record": {"position", "historical", "digest"}},
    "2": {"record": {"position", "historical", "digest"}, "replaced_revision": {"replaced_at"}},
    "1": {
        "record": {"position", "historical", "digest"},
        "replaced_revision": {"replaced_at"},
        "device": {"clock_error_s", "clock_synchronised", "health", "health_at"},
    },
}
TABLES = {
    "5": ("record", "replaced_revision", "dead_letter", "device", "health_sample", "document", "tree_code"),
    "4": ("record", "replaced_revision", "dead_letter", "device", "health_sample", "document", "tree_code"),
    "3": ("record", "replaced_revision", "dead_letter", "device", "health_sample", "document", "tree_code"),
    "2": ("record", "replaced_revision", "dead_letter", "device", "health_sample", "document", "tree_code"),
    "1": ("record", "replaced_revision", "dead_letter", "device"),
}


@pytest.fixture(params=["sqlite", "postgresql"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """Where there is no database yet, or an empty one."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path / 'pomona.sqlite'}"
    server: PostgreSQL = request.getfixturevalue("postgresql")
    return server.make_database()


def change(database: Database, action: Callable[[Connection], object]) -> None:
    with database.write() as session:
        action(session.connection())


def give(database: Database, *messages: dict[str, Any]) -> None:
    def ignore(_device: str, _answers: Answers) -> None:
        pass

    Worker(database, queue.Queue(), ignore).process([Delivery(received(one), lambda: None) for one in messages])


def fill(database: Database) -> None:
    """A record of each type, one of them with two revisions, a dead letter, a document and a code of a tree."""
    first = envelope("tree")
    give(database, *[envelope(kind) for kind in EXAMPLES], first, envelope(version=99))
    give(database, {**first, "message": envelope()["message"], "revision": 2})
    with database.write() as session:
        session.add(TreeCode(orchard="果园", block="A", code="new-1", tree="A-17"))
        given = {"kind": "plan", "name": "果园/A", "device": "", "version": 1, "sha256": "ab" * 32, "size_bytes": 9}
        session.add(Document(**given, published_at=datetime.now(timezone.utc)))


def contents(database: Database, version: str) -> dict[str, list[dict[str, Any]]]:
    """Every row as a version can hold it; JSON as the values it stands for."""
    found = {}
    with database.read() as session:
        for table in TABLES[version]:
            rows = [dict(row) for row in session.execute(text(f"SELECT * FROM {table}")).mappings()]
            for row in rows:
                for column in NEWER[version].get(table, ()):
                    row.pop(column, None)
                for column in row.keys() & {"body", "health"}:
                    row[column] = json.loads(row[column]) if isinstance(row[column], str) else row[column]
            found[table] = sorted(rows, key=str)
    return found


@pytest.mark.filterwarnings("ignore:Did not recognize type 'geometry'")  # PostGIS's, which the models leave to it
def test_the_versions_lead_to_the_tables_of_the_models(url: str) -> None:
    database = Database(url)
    with database.engine.connect() as connection:
        own = MigrationContext.configure(
            connection,
            opts={
                "compare_type": True,
                "include_name": lambda name, kind, _parents: kind != "table" or name in Base.metadata.tables,
                "include_object": lambda _object, name, _kind, _reflected, _other: "position" not in str(name),
            },
        )
        assert compare_metadata(own, Base.metadata) == []
    database.close()


@pytest.mark.parametrize("version", ["4", "3", "2", "1"])
def test_upgrading_and_downgrading_keep_all_that_is_held(url: str, version: str) -> None:
    database = Database(url)
    fill(database)
    before = contents(database, version)
    numbers = {table: len(rows) for table, rows in before.items()}
    assert numbers == {table: len(EXAMPLES) + 1 if table == "record" else 1 for table in TABLES[version]}
    change(database, lambda connection: upgrading.change_version(connection, version))
    assert contents(database, version) == before
    said = f"has version {version}, .* {upgrading.newest_version()}; start `pomona server run`"
    with pytest.raises(MissingDatabaseError, match=said):
        Database(url, create=False)
    database.close()
    again = Database(url)
    assert contents(again, version) == before
    give(again, envelope(), envelope(version=99))  # it also works
    change(again, lambda connection: upgrading.change_version(connection, "base"))
    with again.engine.connect() as connection:
        assert not upgrading.has_tables(connection)
    again.close()
    empty = Database(url)
    assert contents(empty, version) == {table: [] for table in TABLES[version]}
    empty.close()


def test_a_database_made_before_there_were_versions_is_recognised(url: str) -> None:
    database = Database(url)
    fill(database)
    before = contents(database, "1")
    change(database, lambda connection: upgrading.change_version(connection, "1"))
    change(database, lambda connection: connection.execute(text("DROP TABLE alembic_version")))
    database.close()
    with pytest.raises(MissingDatabaseError, match="has version 0"):
        Database(url, create=False)
    upgraded = Database(url)
    assert contents(upgraded, "1") == before
    with upgraded.engine.connect() as connection:
        assert upgrading.version(connection) == upgrading.newest_version()
        kept = connection.execute(text("SELECT count(*) FROM replaced_revision WHERE replaced_at IS NOT NULL"))
        assert kept.scalar() == 1
    upgraded.close()


def test_a_failed_upgrade_leaves_the_database_as_it_was(url: str) -> None:
    database = Database(url)
    fill(database)
    change(database, lambda connection: upgrading.change_version(connection, "1"))
    before = contents(database, "1")
    change(database, lambda connection: connection.execute(text("DROP INDEX dead_letter_by_message")))
    with pytest.raises(DatabaseError, match="dead_letter_by_message"):
        Database(url)
    with database.engine.connect() as connection:
        assert upgrading.version(connection) == "1"
    assert contents(database, "1") == before
    database.close()


def test_a_newer_pomona_s_database_is_left_alone(url: str) -> None:
    database = Database(url)
    change(database, lambda connection: connection.execute(text("UPDATE alembic_version SET version_num = '77'")))
    database.close()
    with pytest.raises(DatabaseError, match="has version 77, made by a newer Pomona; update this one"):
        Database(url)
    with pytest.raises(MissingDatabaseError, match="has version 77"):
        Database(url, create=False)


def test_two_servers_may_start_at_once(url: str) -> None:
    with ThreadPoolExecutor(4) as pool:
        opened = list(pool.map(lambda _: Database(url, busy_timeout_s=20), range(4)))
    for database in opened:
        database.close()


def has_postgis(url: str) -> bool:
    engine = create_engine(backends.normalised(make_url(url)))
    with engine.connect() as connection:
        found = connection.execute(text("SELECT 1 FROM pg_available_extensions WHERE name = 'postgis'")).first()
    engine.dispose()
    return found is not None


def test_postgis_finds_trees_and_photos_by_their_place(postgresql_url: str, postgresql_database: Database) -> None:
    if not has_postgis(postgresql_url):
        pytest.skip("needs PostGIS: apt-get install postgresql-postgis")
    far = {**EXAMPLES["tree"], "tree": "far", "latitude": 36.0}
    nowhere = {key: value for key, value in EXAMPLES["tree"].items() if key not in {"latitude", "longitude"}}
    # of a type whose model does not look at it
    no_number = {**EXAMPLES["visit"], "latitude": "north", "longitude": []}
    sent = [envelope("tree"), envelope("photo"), envelope(body=far), envelope(body=nowhere)]
    give(postgresql_database, *sent, envelope("visit", body=no_number))
    near = (
        "SELECT type, ST_X(position), ST_Y(position) FROM record WHERE ST_DWithin(position::geography, "
        "ST_SetSRID(ST_MakePoint(109.7, 35.1), 4326)::geography, 1000) ORDER BY type"
    )
    with postgresql_database.read() as session:
        assert session.execute(text(near)).all() == [("photo", 109.7, 35.1), ("tree", 109.7, 35.1)]
        without = session.execute(text("SELECT type FROM record WHERE position IS NULL ORDER BY type")).scalars().all()
    assert without == ["tree", "visit"]


def test_without_postgis_all_else_works_and_the_log_says_what_to_do(
    postgresql: PostgreSQL, caplog: pytest.LogCaptureFixture
) -> None:
    url = make_url(postgresql.make_database())
    role = create_engine(backends.normalised(url))
    with role.begin() as connection:
        connection.execute(text(f"CREATE ROLE {url.database} LOGIN"))
        connection.execute(text(f"GRANT ALL ON SCHEMA public TO {url.database}"))
    role.dispose()
    caplog.set_level("INFO", "cloud_sync")
    database = Database(url.set(username=url.database))
    fill(database)
    with database.read() as session:
        assert session.query(Record).count() == len(EXAMPLES) + 1
    database.close()
    said = "CREATE EXTENSION postgis" if has_postgis(url.render_as_string()) else "postgresql-postgis"
    assert said in caplog.text


def test_records_of_an_older_version_can_be_compared(url: str) -> None:
    """SYNC-108: their digests are made when the database is upgraded."""
    database = Database(url)
    fill(database)
    change(database, lambda connection: upgrading.change_version(connection, "3"))
    database.close()
    upgraded = Database(url)
    with upgraded.read() as session:
        rows = session.execute(select(Record.message, Record.digest, Record.historical)).all()
    assert len(rows) == len(EXAMPLES) + 1
    assert all(digest == digest_of(message) and not historical for message, digest, historical in rows)
    upgraded.close()
