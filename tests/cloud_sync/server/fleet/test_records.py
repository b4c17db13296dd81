"""Records and dead letters a page at a time: nothing skipped, nothing twice, whatever is stored meanwhile."""

from __future__ import annotations

import queue
import random
from collections.abc import Iterator
from typing import Any

import pytest
from sqlalchemy import event

from cloud_sync.outbox import new_id
from cloud_sync.server.database import Database
from cloud_sync.server.fleet.records import (
    PlaceError,
    RecordFilter,
    group_dead_letters,
    list_dead_letters,
    list_records,
)
from cloud_sync.server.worker import Delivery, Worker
from tests.cloud_sync.helpers import EXAMPLES, envelope, received

NO_ID = "01997a00-0000-7000-8000-000000000001"


def store(database: Database, *messages: dict[str, Any]) -> None:
    worker = Worker(database, queue.Queue(), lambda _device, _answers: None)
    worker.process([Delivery(received(message), lambda: None) for message in messages])


def trees(number: int, device: str) -> list[dict[str, Any]]:
    return [envelope("tree", device=device) for _ in range(number)]


def pages(database: Database, wanted: RecordFilter, at_most: int) -> Iterator[list[tuple[str, str]]]:
    """Every page of a listing, each in a transaction of its own as a program would ask for it."""
    after = None
    while True:
        with database.read() as session:
            records, after = list_records(session, wanted, after, at_most)
            yield [(record.device, record.record) for record in records]
        if after is None:
            return


def test_a_listing_holds_every_record_once_in_a_fixed_order(each_database: Database) -> None:
    messages = [*trees(7, "b"), *trees(5, "a"), envelope("count", device="a")]
    random.Random(1).shuffle(messages)
    store(each_database, *messages)
    expected = sorted((message["device"], message["record"]) for message in messages if message["type"] == "tree")
    for at_most in (1, 5, 6, 11, 12, 100):
        listed = list(pages(each_database, RecordFilter(type="tree"), at_most))
        assert [record for page in listed for record in page] == expected
        assert all(len(page) == at_most for page in listed[:-1])
        assert listed[-1]


def test_what_is_stored_while_a_listing_is_read_neither_hides_nor_repeats_anything(each_database: Database) -> None:
    before = [*trees(10, "b"), *trees(10, "d")]
    store(each_database, *before)
    listed: list[tuple[str, str]] = []
    for number, page in enumerate(pages(each_database, RecordFilter(), 3)):
        listed += page
        device = "acez"[number % 4]
        store(
            each_database,
            *trees(2, device),
            envelope("tree", device="b", record=before[0]["record"], revision=2 + number),
        )
    assert len(listed) == len(set(listed))
    assert set(listed) >= {(message["device"], message["record"]) for message in before}
    assert listed == sorted(listed)


@pytest.mark.parametrize(
    ("wanted", "number"),
    [
        (RecordFilter(), 6),
        (RecordFilter(device="a"), 4),
        (RecordFilter(orchard="North"), 2),
        (RecordFilter(orchard="North", block="A"), 1),
        (RecordFilter(type="visit", device="a"), 1),
        (RecordFilter(type="nothing"), 0),
    ],
)
def test_records_are_chosen_by_type_device_and_place(
    each_database: Database, wanted: RecordFilter, number: int
) -> None:
    bodies = ("tree", "North", "A"), ("tree", "North", "B"), ("tree", "South", "A"), ("visit", "South", "A")
    for kind, orchard, block in bodies:
        store(each_database, envelope(kind, device="a", body={**EXAMPLES[kind], "orchard": orchard, "block": block}))
    store(each_database, *trees(2, "b"))
    assert sum(map(len, pages(each_database, wanted, 2))) == number


@pytest.mark.parametrize("after", ["", "a", "a/", "a/b/c", f"A/{NO_ID}", "a/" + 36 * "g", f"a/{NO_ID}\x00"])
def test_a_place_that_no_page_ended_at_is_an_error(each_database: Database, after: str) -> None:
    with each_database.read() as session, pytest.raises(PlaceError, match="take `next` of the page before"):
        list_records(session, RecordFilter(), after, 10)


def test_a_page_is_found_by_the_key_and_not_by_reading_what_comes_before(database: Database) -> None:
    plans: list[str] = []

    def explain(connection: Any, cursor: Any, statement: str, parameters: Any, *_rest: object) -> None:
        if statement.startswith("SELECT record."):
            rows = connection.connection.cursor().execute(f"EXPLAIN QUERY PLAN {statement}", parameters).fetchall()
            plans.extend(row[-1] for row in rows)

    event.listen(database.engine, "before_cursor_execute", explain)
    with database.read() as session:
        list_records(session, RecordFilter(), f"b/{new_id()}", 100)
    assert len(plans) == 1, plans
    assert plans[0].startswith("SEARCH record USING INDEX"), plans
    assert "(device,record)>(?,?)" in plans[0]


def bad(device: str, version: int) -> dict[str, Any]:
    return envelope("tree", device=device, version=version)


def test_dead_letters_come_newest_first_and_a_page_at_a_time(each_database: Database) -> None:
    for number in range(7):
        store(each_database, bad("ab"[number % 2], 2 + number))
    listed: list[str] = []
    after = None
    while True:
        with each_database.read() as session:
            letters, after = list_dead_letters(session, None, after, 3)
            listed += [letter.reason for letter in letters]
        store(each_database, bad("c", 99))
        if after is None:
            break
    assert listed == [f"tree version {version} is newer than 1, which is known here" for version in range(8, 1, -1)]
    with each_database.read() as session:
        letters, _ = list_dead_letters(session, "b", None, 100)
    assert [letter.device for letter in letters] == ["b"] * 3


def test_dead_letters_of_the_same_reason_are_one_line(each_database: Database) -> None:
    store(each_database, *[bad("a", 7) for _ in range(5)], bad("b", 7), bad("a", 8))
    with each_database.read() as session:
        groups = group_dead_letters(session)
        own = group_dead_letters(session, "b")
    assert [(group.reason.split()[2], group.number, group.devices) for group in groups] == [("8", 1, 1), ("7", 6, 2)]
    assert groups[1].newest.device == "b"
    assert [(group.number, group.devices) for group in own] == [(1, 1)]
