"""Two processes that store the same messages at the same moment: what is held, and what each of them answered."""

from __future__ import annotations

import multiprocessing
import queue
import random
import time
from collections import defaultdict
from collections.abc import Iterable
from multiprocessing.synchronize import Barrier
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select
from sqlalchemy.orm import Session

from cloud_sync.messages import Answers
from cloud_sync.outbox import new_id
from cloud_sync.server import statements
from cloud_sync.server.database import Database, DeadLetter, Device, Record, ReplacedRevision
from cloud_sync.server.statements import Key, find_records
from cloud_sync.server.worker import Delivery, Worker
from tests.cloud_sync.helpers import EXAMPLES, envelope, received
from tests.postgresql import PostgreSQL

DEVICES = ("a", "b")
RECORDS, REVISIONS = 4, 20  # few records and short batches, so that both often want the same one
PROCESSES = 2
Said = tuple[int, str, str, str, int | None]
"""Process, device, message, result, revision held."""


@pytest.fixture(params=["sqlite", "postgresql"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path / 'pomona.sqlite'}"
    server: PostgreSQL = request.getfixturevalue("postgresql")
    return server.make_database()


def messages() -> list[dict[str, Any]]:
    """Of each record some revisions, one of them claimed by two messages; and what is refused."""
    made = []
    for device in DEVICES:
        for _ in range(RECORDS):
            record = new_id()
            for revision in [*range(1, REVISIONS + 1), 2]:
                body = {**EXAMPLES["tree"], "latitude": float(revision)}
                made.append(envelope(device=device, record=record, revision=revision, body=body))
        made += [envelope(device=device, version=99) for _ in range(10)]
    return made


def work(
    url: str, number: int, sent: list[dict[str, Any]], at_once: Barrier, said: multiprocessing.Queue[Said]
) -> None:
    """A process: stores all messages in an order of its own, in batches of odd sizes."""
    order = random.Random(number)
    order.shuffle(sent)

    def note(device: str, answers: Answers) -> None:
        for answer in answers.answers:
            said.put((number, device, answer.message, answer.result, answer.revision))

    def find_slowly(session: Session, keys: Iterable[Key]) -> list[Any]:
        found = list(find_records(session, keys))
        time.sleep(0.01)  # in which the other process would change what was found, if it could
        return found

    statements.find_records = find_slowly
    database = Database(url, busy_timeout_s=30)
    worker = Worker(database, queue.Queue(), note)
    at_once.wait(30)
    while sent:
        batch = [sent.pop() for _ in range(min(len(sent), order.randint(1, 12)))]
        worker.process([Delivery(received(fields), lambda: None) for fields in batch])
    database.close()


def run_processes(url: str, sent: list[dict[str, Any]]) -> list[Said]:
    context = multiprocessing.get_context("spawn")
    at_once = context.Barrier(PROCESSES)
    said: multiprocessing.Queue[Said] = context.Queue()
    processes = [context.Process(target=work, args=(url, number, sent, at_once, said)) for number in range(PROCESSES)]
    for process in processes:
        process.start()
    heard = [said.get(timeout=60) for _ in range(PROCESSES * len(sent))]
    for process in processes:
        process.join(30)
        assert process.exitcode == 0
    assert said.empty()
    return heard


def test_each_record_is_held_once_with_its_highest_revision_and_every_answer_is_true(url: str) -> None:
    """SYNC-040, SYNC-041, SYNC-048, SYNC-050, SYNC-052."""
    Database(url).close()
    sent = messages()
    highest: dict[tuple[str, str], int] = defaultdict(int)
    for fields in sent:
        if fields["version"] == 1:
            key = (fields["device"], fields["record"])
            highest[key] = max(highest[key], fields["revision"])
    heard = run_processes(url, sent)
    database = Database(url)
    with database.read() as session:
        held = list(session.scalars(select(Record)))
        stored = {(row.device, row.message) for row in held}
        replaced = list(session.scalars(select(ReplacedRevision)))
        letters = list(session.scalars(select(DeadLetter)))
        assert sorted(session.scalars(select(Device.name))) == sorted(DEVICES)
    database.close()
    assert {(row.device, row.record): row.revision for row in held} == highest
    assert all(row.body["latitude"] == row.revision for row in held)
    # a revision is noted as replaced by whoever replaced it, once
    assert all(row.revision < highest[row.device, row.record] for row in replaced)
    stored |= {(row.device, row.message) for row in replaced}
    refused = sorted(fields["message"] for fields in sent if fields["version"] == 99)
    assert sorted(str(letter.message) for letter in letters) == refused
    of_message = {fields["message"]: fields for fields in sent}
    for _, device, message, result, revision in heard:
        fields = of_message[message]
        assert fields["device"] == device
        if fields["version"] == 99:
            assert result == "rejected"
        elif result == "stored":
            assert (device, message) in stored
        else:
            assert (result, (device, message) in stored) == ("outdated", False)
            assert revision is not None
            assert fields["revision"] <= revision <= highest[device, fields["record"]]
    # both answered for each message, in the same sense
    senses: dict[str, set[str]] = defaultdict(set)
    for _, _, message, result, _ in heard:
        senses[message].add(result)
    assert len(heard) == PROCESSES * len(sent)
    assert all(len(sense) == 1 for sense in senses.values())
