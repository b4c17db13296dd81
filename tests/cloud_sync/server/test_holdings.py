"""Holdings: each thing once, whoever sent it, and the right one of several revisions."""

from __future__ import annotations

import json
import queue
from datetime import datetime, timedelta, timezone
from typing import Any

import pytest
from sqlalchemy import delete, event, text

from cloud_sync.server import holdings
from cloud_sync.server.database import Database, Record
from cloud_sync.server.holdings import BlockHoldings, BlockReader, Holdings, read_holdings
from cloud_sync.server.screening import Received
from cloud_sync.server.tree_codes import TreeCode, TreeCodes
from cloud_sync.server.worker import Delivery, Worker
from tests.cloud_sync.helpers import EXAMPLES, envelope, received

_START = datetime(2024, 9, 1, tzinfo=timezone.utc)


class Server:
    """Stores messages as if each had come a minute after the one before."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._worker = Worker(database, queue.Queue(), lambda _device, _answers: None)
        self._minutes = 0

    def give(self, kind: str, device: str = "a", *, head: dict[str, Any] | None = None, **body: Any) -> None:
        fields = envelope(kind, device=device, body={**EXAMPLES[kind], **body}, **(head or {}))
        sent = received(fields)
        self._minutes += 1
        late = Received(sent.topic, sent.payload, sent.correlation, _START + timedelta(minutes=self._minutes))
        self._worker.process([Delivery(late, lambda: None)])

    def holdings(self) -> Holdings:
        with self._database.read() as session:
            return read_holdings(session)

    def block(self, name: str = "A") -> BlockHoldings:
        (found,) = [block for block in self.holdings().blocks if block.block == name]
        return found


@pytest.fixture
def server(database: Database) -> Server:
    return Server(database)


def test_an_empty_server_holds_nothing(server: Server) -> None:
    assert server.holdings() == Holdings(records={}, blocks=(), devices=0, dead_letters=0)


def test_one_sd_card_read_on_two_devices_counts_once(server: Server) -> None:
    """SYNC-049."""
    for device in ("a", "b"):
        for kind in EXAMPLES:
            server.give(kind, device)
    held = server.holdings()
    assert held.records == dict.fromkeys(sorted(EXAMPLES), 1)
    assert held.devices == 2
    block = server.block()
    of_a_block = ("block", "count", "estimate", "harvest", "photo", "review", "tree", "visit")
    assert block.records == dict.fromkeys(of_a_block, 1)
    assert block.counts == {"apple": 131}


def test_counts_are_summed_a_label_and_block_and_the_reviewed_count_replaces_the_machine_s(server: Server) -> None:
    server.give("count", tree="1", machine=100, reviewed=None)
    server.give("count", tree="2", machine=100, reviewed=90)
    server.give("count", tree="3", machine=100, reviewed=0)
    server.give("count", tree="1", label="apple_flower", machine=7, reviewed=None)
    server.give("count", block="B", machine=5, reviewed=None)
    assert server.block("A").counts == {"apple": 190, "apple_flower": 7}
    assert server.block("B").counts == {"apple": 5}


def made(hour: int, *, synchronised: bool = True, revision: int = 1) -> dict[str, Any]:
    """Made at an hour of the day before the server received anything."""
    return {
        "recorded_at": f"2024-08-31T{hour:02}:00:00Z",
        "clock_synchronised": synchronised,
        "revision": revision,
    }


@pytest.mark.parametrize(
    ("first", "second", "machine"),
    [
        (made(8), made(9), 2),
        (made(9), made(8), 1),
        (made(8), made(8), 2),
        (made(9, synchronised=False), made(8), 1),
        (made(8), made(7, synchronised=False), 2),
        ({**made(8), "recorded_at": "2100-01-01T00:00:00Z"}, made(9, synchronised=False), 2),
    ],
    ids=["later-made", "sent-late", "the-same-time", "received-later", "clock-unknown", "clock-far-ahead"],
)
@pytest.mark.parametrize("device", ["a", "b"])
def test_of_several_records_about_one_thing_the_one_made_last_counts(
    server: Server, first: dict[str, Any], second: dict[str, Any], machine: int, device: str
) -> None:
    """SYNC-049."""
    server.give("count", "a", head=first, machine=1, reviewed=None)
    server.give("count", device, head=second, machine=2, reviewed=None)
    assert server.block().counts == {"apple": machine}


def test_a_record_made_again_in_a_new_store_is_not_held_back_by_its_predecessor_s_revision(server: Server) -> None:
    """SYNC-049: revisions are counted anew for each record."""
    server.give("count", head=made(8, revision=3), machine=100, reviewed=None)
    server.give("count", head=made(9, revision=1), machine=200, reviewed=None)
    assert server.block().counts == {"apple": 200}


def test_the_estimate_shown_is_that_of_the_latest_day(server: Server) -> None:
    server.give("estimate", day="2024-09-20", corrected_kg_per_ha=3.0)
    server.give("estimate", day="2024-09-01", corrected_kg_per_ha=2.0)
    estimate = server.block().estimate
    assert estimate is not None
    assert estimate["corrected_kg_per_ha"] == 3.0


def test_blocks_of_the_same_name_in_two_orchards_are_two(server: Server) -> None:
    server.give("tree", orchard="North")
    server.give("tree", orchard="South")
    assert [(block.orchard, block.block) for block in server.holdings().blocks] == [("North", "A"), ("South", "A")]


def test_holdings_are_json(server: Server) -> None:
    for kind in EXAMPLES:
        server.give(kind)
    values = json.loads(json.dumps(server.holdings().as_dict()))
    assert values["blocks"][0]["estimate"]["corrected_kg_per_ha"] == 28_830.0
    assert values["records"]["tree"] == 1


def test_only_blocks_that_have_changed_are_looked_into(server: Server, database: Database) -> None:
    reader = BlockReader()
    statements: list[str] = []

    def note(_connection: Any, _cursor: Any, statement: str, *_rest: Any) -> None:
        statements.append(statement)

    def read() -> tuple[dict[str, dict[str, int]], int]:
        statements.clear()
        with database.read() as session:
            found = reader.read(session)
        assert found == server.holdings().blocks
        return {block.block: block.counts for block in found}, len(statements)

    event.listen(database.engine, "before_cursor_execute", note)
    for name in ("A", "B"):
        server.give("count", block=name, reviewed=10)
    first, looked = read()
    assert first == {"A": {"apple": 10}, "B": {"apple": 10}}
    again, looked_again = read()
    assert again == first
    assert looked_again == looked - 3
    server.give("count", block="B", reviewed=12)
    server.give("count", block="C", reviewed=1)
    assert read()[0] == {"A": {"apple": 10}, "B": {"apple": 12}, "C": {"apple": 1}}
    with database.write() as session:
        session.execute(delete(Record).where(Record.block == "A"))
    assert read()[0] == {"B": {"apple": 12}, "C": {"apple": 1}}


def test_what_a_registry_merges_counts_anew(server: Server, database: Database) -> None:
    reader = BlockReader()
    for number, tree in enumerate(("new-1", "A-1")):
        server.give("count", tree=tree, reviewed=10 + number)
    with database.read() as session:
        assert reader.read(session)[0].counts == {"apple": 21}
    with database.write() as session:
        session.add(TreeCode(orchard="Dongshan", block="A", code="new-1", tree="A-1"))
        session.flush()
        assert TreeCodes(session).apply(session) == 1
    with database.read() as session:
        assert reader.read(session)[0].counts == {"apple": 11}


def test_more_blocks_than_are_looked_up_singly(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    for number in range(4):
        server.give("count", block=f"B{number}", reviewed=number)
        server.give("estimate", block=f"B{number}")
    few = server.holdings()
    monkeypatch.setattr(holdings, "_FEW", 3)
    assert server.holdings() == few


def test_whether_blocks_have_changed_an_index_tells(server: Server, database: Database) -> None:
    server.give("count")
    with database.read() as session:
        plan = session.execute(text(f"EXPLAIN QUERY PLAN {holdings._STATES}")).all()
    assert "COVERING INDEX record_by_place" in plan[0][3], plan
