"""Holdings: each thing once, whoever sent it, and the right one of several revisions."""

from __future__ import annotations

import json
import queue
from datetime import datetime, timedelta, timezone
from typing import Any

import pytest

from cloud_sync.server.database import Database
from cloud_sync.server.holdings import BlockHoldings, Holdings, read_holdings
from cloud_sync.server.screening import Received
from cloud_sync.server.worker import Delivery, Worker
from tests.cloud_sync.helpers import EXAMPLES, envelope, received

_START = datetime(2024, 9, 1, tzinfo=timezone.utc)


class Server:
    """Stores messages as if each had come a minute after the one before."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._worker = Worker(database, queue.Queue(), lambda _device, _answers: None)
        self._minutes = 0

    def give(self, kind: str, device: str = "a", revision: int = 1, **body: Any) -> None:
        fields = envelope(kind, device=device, revision=revision, body={**EXAMPLES[kind], **body})
        made = received(fields)
        self._minutes += 1
        late = Received(made.topic, made.payload, made.correlation, _START + timedelta(minutes=self._minutes))
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
    assert block.records == {"block": 1, "count": 1, "estimate": 1, "photo": 1, "tree": 1, "visit": 1}
    assert block.counts == {"apple": 131}


def test_counts_are_summed_a_label_and_block_and_the_reviewed_count_replaces_the_machine_s(server: Server) -> None:
    server.give("count", tree="1", machine=100, reviewed=None)
    server.give("count", tree="2", machine=100, reviewed=90)
    server.give("count", tree="3", machine=100, reviewed=0)
    server.give("count", tree="1", label="apple_flower", machine=7, reviewed=None)
    server.give("count", block="B", machine=5, reviewed=None)
    assert server.block("A").counts == {"apple": 190, "apple_flower": 7}
    assert server.block("B").counts == {"apple": 5}


@pytest.mark.parametrize(
    ("sent", "machine"),
    [
        ([("a", 1, 10), ("b", 2, 20)], 20),
        ([("a", 2, 10), ("b", 1, 20)], 10),
        ([("a", 1, 10), ("b", 1, 20)], 20),
        ([("b", 1, 10), ("a", 1, 20)], 20),
    ],
)
def test_of_two_devices_the_highest_revision_counts_and_the_latest_among_equals(
    server: Server, sent: list[tuple[str, int, int]], machine: int
) -> None:
    """SYNC-049."""
    for device, revision, number in sent:
        server.give("count", device, revision, machine=number, reviewed=None)
    assert server.block().counts == {"apple": machine}


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
