"""The store: a record and its message commit together, and what the disk does is explained."""

from __future__ import annotations

import contextlib
import json
import sqlite3
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
from sqlite_utils import Database
from sqlite_utils.migrations import Migrations

from cloud_sync.messages import OrchardBody
from device.errors import StoreError
from device.reviewing import BoxChanges, review_photo
from device.store import Store, database, schema
from tests.device.visiting import queued, table


def record_orchard(store: Store, name: str = "North farm", crop: str = "apple", unit: str = "t/ha") -> str:
    """Record an orchard inside a change; its unit is no part of the message."""
    body = OrchardBody(orchard=name, crop=crop)
    return store.record("orchard", {"name": name}, {"crop": crop}, body, unsent={"yield_unit": unit})


def test_a_new_store_is_made_with_its_folder(tmp_path: Path) -> None:
    store = Store(tmp_path / "not" / "yet")
    assert store.path.is_file()
    assert set(store.db.table_names()) >= {"orchard", "block", "tree", "visit", "photo", "detections", "tree_count"}
    store.close()


def test_every_commit_is_synced_to_the_disk(store: Store) -> None:
    settings = {name: store.one(f"PRAGMA {name}") for name in ("journal_mode", "synchronous", "foreign_keys")}
    assert settings == {
        "journal_mode": {"journal_mode": "wal"},
        "synchronous": {"synchronous": 2},
        "foreign_keys": {"foreign_keys": 1},
    }


def test_a_store_opened_again_is_the_same_store(store: Store, home: Path) -> None:
    with store.change():
        record_orchard(store)
    again = Store(home)
    assert again.outbox.store == store.outbox.store
    assert table(again, "orchard") == table(store, "orchard")
    again.close()


def test_a_record_and_its_message_commit_together(store: Store) -> None:
    with store.change():
        identifier = record_orchard(store)
    (message,) = table(store, "outbox")
    assert (message["record"], message["revision"], message["type"]) == (identifier, 1, "orchard")
    assert table(store, "orchard")[0]["id"] == identifier


def test_a_change_that_fails_leaves_nothing(store: Store) -> None:
    def lose_power() -> None:
        with store.change():
            record_orchard(store)
            raise RuntimeError("power cut")

    with pytest.raises(RuntimeError, match="power cut"):
        lose_power()
    assert table(store, "orchard") == []
    assert queued(store) == []


def test_an_unchanged_row_keeps_its_revision_and_queues_nothing(store: Store) -> None:
    for _ in range(3):
        with store.change():
            record_orchard(store)
    assert table(store, "orchard")[0]["revision"] == 1
    assert queued(store) == ["orchard"]


def test_each_change_of_a_row_is_a_revision_of_the_same_record(store: Store) -> None:
    identifiers = set()
    for crop in ("apple", "pear", "apple"):
        with store.change():
            identifiers.add(record_orchard(store, crop=crop))
    assert len(identifiers) == 1
    assert [row["revision"] for row in table(store, "outbox")] == [1, 2, 3]
    assert table(store, "orchard")[0]["revision"] == 3


def test_what_the_message_does_not_carry_is_kept_and_queues_nothing(store: Store) -> None:
    for unit in ("t/ha", "kg/mu"):
        with store.change():
            record_orchard(store, unit=unit)
    (row,) = table(store, "orchard")
    assert (row["yield_unit"], row["revision"]) == ("kg/mu", 1)
    assert queued(store) == ["orchard"]
    with store.change():
        record_orchard(store, crop="pear", unit="t/ha")
    (row,) = table(store, "orchard")
    assert (row["crop"], row["yield_unit"], row["revision"]) == ("pear", "t/ha", 2)


def test_after_a_failed_change_the_store_goes_on(store: Store) -> None:
    with pytest.raises(sqlite3.IntegrityError), store.change():
        store.db.execute("INSERT INTO orchard (id, name, crop, yield_unit) VALUES ('1', NULL, 'apple', 't/ha')")
    with store.change():
        record_orchard(store)
    assert len(table(store, "orchard")) == 1


SOUND: dict[str, dict[str, Any]] = {
    "orchard": {"id": "o", "name": "North farm", "crop": "apple", "yield_unit": "t/ha"},
    "block": {"id": "b", "orchard": "o", "name": "B1"},
    "visit": {"id": "v", "block": "b", "day": "2025-09-24", "stage": "ripening"},
    "harvest": {"id": "h", "block": "b", "day": "2025-10-01", "weight_kg": 0.0},
}


@pytest.mark.parametrize(
    ("name", "nonsense", "refusal"),
    [
        ("orchard", {"area_m2": "large"}, "cannot store TEXT value in REAL column"),
        ("orchard", {"area_m2": -1}, "CHECK constraint failed: area_m2 > 0"),
        ("block", {"orchard": "no such orchard"}, "FOREIGN KEY constraint failed"),
        ("visit", {"block": "no such block"}, "FOREIGN KEY constraint failed"),
        ("visit", {"stage": "harvest"}, "CHECK constraint failed: stage IN"),
        ("visit", {"area_m2": 48.0}, "CHECK constraint failed: .*area_trees IS NULL"),
        ("visit", {"area_m2": 48.0, "area_trees": 0}, "CHECK constraint failed: area_trees > 0"),
        ("visit", {"sides": "largest"}, "CHECK constraint failed: sides IN"),
        ("visit", {"sides": None}, "NOT NULL constraint failed: visit.sides"),
        ("harvest", {"weight_kg": -1.0}, "CHECK constraint failed: weight_kg >= 0"),
        ("harvest", {"trees": 0}, "CHECK constraint failed: trees > 0"),
        ("harvest", {"fruit_weight_g": 0.0}, "CHECK constraint failed: fruit_weight_g > 0"),
        ("harvest", {"block": "no such block"}, "FOREIGN KEY constraint failed"),
    ],
)
def test_the_database_itself_refuses_what_makes_no_sense(
    store: Store, name: str, nonsense: dict[str, object], refusal: str
) -> None:
    with store.change():
        for table_name, row in SOUND.items():
            store.db.table(table_name).insert(row)
    with pytest.raises(sqlite3.IntegrityError, match=refusal), store.change():
        store.db.table(name).update(SOUND[name]["id"], nonsense)


OLD_TREE = {"id": "t", "block": "b", "code": "T01", "provisional": 1}
OLD_COUNT = {
    "id": "c",
    "visit": "v",
    "tree": "t",
    "label": "apple",
    "machine": 5,
    "model": "yolo-a-1.0.0+0123456789ab",
    "sides_rule": "largest",
    "attribution": "whole photo",
    "photos": "[]",
}


OLD_PHOTO: dict[str, Any] = {
    "id": "p",
    "visit": "v",
    "tree": "t",
    "side": "a",
    "sha256": 64 * "0",
    "suffix": ".jpg",
    "file_name": "a.jpg",
    "size_bytes": 1000,
    "width_px": 640,
    "height_px": 480,
}
OLD_DETECTIONS = {
    "id": "d",
    "photo": "p",
    "model": OLD_COUNT["model"],
    "engine": "onnxruntime",
    "labels": '["apple"]',
    "counts": '{"apple": 5}',
    "boxes": b"",
    "milliseconds": 900.0,
}


def open_older(home: Path, migrations: Sequence[Callable[[Database], None]]) -> Store:
    """A store as a Pomona opens it that knows these migrations alone."""
    known = Migrations("device")
    for migration in migrations:
        known()(migration)
    with pytest.MonkeyPatch.context() as older:
        older.setattr(schema, "MIGRATIONS", known)
        return Store(home)


def test_counts_of_the_first_pomona_are_kept_and_can_be_counted_by_hand(home: Path) -> None:
    store = open_older(home, [schema.m001_create_records])
    with store.change():
        for table_name in ("orchard", "block", "visit"):
            store.db.table(table_name).insert(SOUND[table_name])
        store.db.table("tree").insert(OLD_TREE)
        store.db.table("tree_count").insert(OLD_COUNT)
    before = table(store, "tree_count")
    store.close()
    newer = Store(home)
    assert table(newer, "tree_count") == [{**row, "by_hand": None, "own": None, "both": None} for row in before]
    assert [row["sides"] for row in table(newer, "visit")] == ["larger"]
    with pytest.raises(sqlite3.IntegrityError, match="CHECK constraint failed: by_hand >= 0"), newer.change():
        newer.db.execute("UPDATE tree_count SET by_hand = -1")
    with pytest.raises(sqlite3.IntegrityError, match="CHECK constraint failed: both >= 0"), newer.change():
        newer.db.execute("UPDATE tree_count SET both = -1")
    newer.close()


def test_a_store_of_the_first_pomona_can_be_reviewed(home: Path) -> None:
    store = open_older(home, [schema.m001_create_records])
    with store.change():
        for table_name in ("orchard", "block", "visit"):
            store.db.table(table_name).insert(SOUND[table_name])
        store.db.table("tree").insert(OLD_TREE)
        store.db.table("photo").insert(OLD_PHOTO)
        store.db.table("detections").insert(OLD_DETECTIONS)
        store.db.table("tree_count").insert({**OLD_COUNT, "photos": json.dumps([OLD_PHOTO["sha256"]])})
    store.close()
    newer = Store(home)
    review_photo(newer, OLD_PHOTO["sha256"], BoxChanges(added=((10, 10, 30, 30),)))
    assert [row["reviewed"] for row in table(newer, "tree_count")] == [6]
    assert queued(newer) == ["review", "count"]
    newer.close()


BEFORE_HARVESTS_TRAVELLED = (schema.m001_create_records, schema.m002_count_by_hand, schema.m003_create_harvest)


def test_harvests_that_an_older_pomona_kept_to_itself_are_sent_once(home: Path) -> None:
    store = open_older(home, BEFORE_HARVESTS_TRAVELLED)
    with store.change():
        for table_name in ("orchard", "block"):
            store.db.table(table_name).insert(SOUND[table_name])
        store.db.table("harvest").insert({**SOUND["harvest"], "weight_kg": 900.0, "trees": 40, "revision": 3})
    store.close()
    for _ in range(2):
        newer = Store(home)
        (waiting,) = newer.outbox.waiting("jetson-1", 0, 10)
        newer.close()
    envelope = json.loads(waiting.payload)
    assert (envelope["record"], envelope["revision"], envelope["type"]) == ("h", 3, "harvest")
    told = {"orchard": "North farm", "block": "B1", "day": "2025-10-01", "weight_kg": 900.0, "trees": 40}
    assert envelope["body"] == told


def with_another_migration(fails: bool) -> Migrations:
    """The migrations of a Pomona that knows one more."""
    newer = Migrations("device")
    for migration in schema.MIGRATIONS._migrations:
        newer(name=migration.name)(migration.fn)

    def m999_add_note(db: Database) -> None:
        db.execute("ALTER TABLE orchard ADD COLUMN note TEXT")
        if fails:
            raise sqlite3.OperationalError("disk I/O error")

    newer()(m999_add_note)
    return newer


def test_an_older_store_is_brought_up_to_date_with_its_records(
    store: Store, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with store.change():
        record_orchard(store)
    monkeypatch.setattr(schema, "MIGRATIONS", with_another_migration(fails=False))
    newer = Store(home)
    assert table(newer, "orchard")[0] == {**table(store, "orchard")[0], "note": None}
    newer.close()


def test_a_migration_that_fails_leaves_the_store_as_it_was(
    store: Store, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with store.change():
        record_orchard(store)
    with monkeypatch.context() as newer:
        newer.setattr(schema, "MIGRATIONS", with_another_migration(fails=True))
        with pytest.raises(StoreError, match=r"store\.sqlite: disk I/O error"):
            Store(home)
    again = Store(home)
    assert "note" not in table(again, "orchard")[0]
    again.close()


def test_a_store_of_a_newer_pomona_is_refused(store: Store, home: Path) -> None:
    store.db.execute(
        "INSERT INTO _sqlite_migrations (migration_set, name, applied_at) VALUES ('device', 'm999_more', '2030-01-01')"
    )
    with pytest.raises(StoreError, match=r"store\.sqlite was written by a newer Pomona \(m999_more\); upgrade Pomona"):
        Store(home)


def test_a_file_that_is_no_database_is_named_with_the_remedy(home: Path) -> None:
    home.mkdir()
    (home / database.FILE_NAME).write_bytes(b"This is no database. " * 100)
    with pytest.raises(StoreError, match=r"store .*store\.sqlite: file is not a database; restore it from a backup"):
        Store(home)


def test_a_damaged_database_is_named_when_it_is_read(store: Store, home: Path) -> None:
    with store.change():
        for number in range(300):
            record_orchard(store, f"orchard {number}")
    store.close()
    content = bytearray((home / database.FILE_NAME).read_bytes())
    content[8192:] = b"\x55" * (len(content) - 8192)
    (home / database.FILE_NAME).write_bytes(content)

    def read() -> None:
        damaged = Store(home)
        with contextlib.closing(damaged), damaged.explained():
            table(damaged, "orchard")

    with pytest.raises(StoreError, match="malformed; restore it from a backup"):
        read()


def test_a_file_in_the_folders_place_is_named(tmp_path: Path) -> None:
    (tmp_path / "home").touch()
    with pytest.raises(StoreError, match=r"store .*home: File exists; choose a folder you may write to"):
        Store(tmp_path / "home")


def test_a_store_that_another_process_holds_for_long_says_so(
    store: Store, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(database, "_BUSY_TIMEOUT_MS", 50)
    waiting = Store(home)
    with store.change():
        record_orchard(store)
        with pytest.raises(StoreError, match="another Pomona process has held it for long"), waiting.change():
            raise AssertionError("two writers at once")
    with waiting.change():
        record_orchard(waiting, "South farm")
    waiting.close()
    assert len(table(store, "orchard")) == 2


def test_a_full_database_loses_nothing_and_goes_on_once_there_is_room(store: Store) -> None:
    with store.change():
        record_orchard(store)
    pages = store.one("PRAGMA page_count")
    assert pages is not None
    store.db.execute(f"PRAGMA max_page_count = {pages['page_count']}")

    def fill() -> None:
        for number in range(10_000):
            with store.change():
                record_orchard(store, f"orchard {number}")

    with pytest.raises(StoreError, match="database or disk is full; free some space; nothing recorded was lost"):
        fill()
    recorded = len(table(store, "orchard"))
    assert recorded == len(queued(store)) > 0
    store.db.execute("PRAGMA max_page_count = 100000")
    with store.change():
        record_orchard(store, "one more")
    assert len(table(store, "orchard")) == len(queued(store)) == recorded + 1
