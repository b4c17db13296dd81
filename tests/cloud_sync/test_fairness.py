"""A month's backlog, pictures and today's records over a slow link, on a clock of the test's own."""

from __future__ import annotations

import base64
import os
from collections import deque
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest
from paho.mqtt.properties import Properties

from cloud_sync import clock
from cloud_sync.messages import Body, OrchardBody
from cloud_sync.sender import Sender
from cloud_sync.window import SendWindow
from device.store.database import Store
from tests.cloud_sync.helpers import enqueue, example
from tests.cloud_sync.wire import Wire, answers, puback

BYTES_A_S = 32_000  # 256 kbit/s
STEP_S = 0.25
ANSWER_S = 0.5


class SlowLine:
    """A link that carries so many bytes a second in order, a broker and a server that answers for all that comes."""

    def __init__(self, store: Store) -> None:
        self.now = 0.0
        self.stored_at: dict[int, float] = {}
        self._sender = Sender(store.outbox, "jetson-1", SendWindow(400, 30.0, 600.0), lambda: self.now)
        self._carried: deque[tuple[float, int, list[int], list[str]]] = deque()
        self._answers: deque[tuple[float, list[int], list[str]]] = deque()
        self._free_at = 0.0
        self._packets = 0

    def publish(self, topic: str, payload: bytes, properties: Properties) -> int:
        read = Wire()
        read(topic, payload, properties)
        self._packets += 1
        self._free_at = max(self._free_at, self.now) + len(payload) / BYTES_A_S
        messages = [envelope["message"] for envelope in read.envelopes]
        self._carried.append((self._free_at, self._packets, read.sequences, messages))
        return self._packets

    def step(self) -> None:
        """Let time go by."""
        self.now += STEP_S
        while self._carried and self._carried[0][0] <= self.now:
            arrived, packet, sequences, messages = self._carried.popleft()
            self._sender.note_puback(packet, puback())
            self._answers.append((arrived + ANSWER_S, sequences, messages))
        while self._answers and self._answers[0][0] <= self.now:
            _, sequences, messages = self._answers.popleft()
            self._sender.note_answers(answers(messages, "stored"))
            self.stored_at.update(dict.fromkeys(sequences, self.now))
        self._sender.settle()
        self._sender.send(self.publish)


def counted() -> Body:
    """A record of half a kilobyte that compression hardly shortens."""
    return OrchardBody.model_validate({"orchard": "o", "crop": "apple", "note": os.urandom(500).hex()})


def pictured() -> Body:
    return example("thumbnail", jpeg=base64.b64encode(b"\xff\xd8\xff" + os.urandom(14_000)).decode())


@pytest.fixture
def store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Store]:
    monkeypatch.setattr(clock, "is_synchronised", lambda: True)
    opened = Store(tmp_path)
    opened.db.execute("PRAGMA synchronous = OFF")  # power cuts are not what is tested here
    yield opened
    opened.close()


@pytest.mark.parametrize("today_s", [10.0, 0.25])
def test_none_starves(store: Store, today_s: float) -> None:
    """SYNC-103: today's records are at the server within seconds, and the others move all the while.

    With a record each quarter of a second today's have a twentieth of what the line carries; with one in ten seconds,
    next to nothing.
    """
    line = SlowLine(store)
    enqueue(store, [counted() for _ in range(4000)])
    then = (clock.now() - timedelta(days=30)).isoformat()
    store.db.execute("UPDATE outbox SET recorded_at = ?, clock_synchronised = 1, boot = 'earlier'", [then])
    enqueue(store, [pictured() for _ in range(20)])
    made_at: dict[int, float] = {}
    while line.now < 40.0:
        if line.now % today_s == 0:
            enqueue(store, [example("count")])
            made_at[store.outbox.newest()] = line.now
        line.step()
    waits = [line.stored_at.get(number, line.now) - made for number, made in made_at.items() if made < 30.0]
    assert max(waits) < 6.0
    backlog = sum(number <= 4000 for number in line.stored_at)
    pictures = sum(4000 < number <= 4020 for number in line.stored_at)
    assert 650 * backlog > 0.6 * 40.0 * BYTES_A_S, "the backlog has what today's records leave"
    assert pictures >= 2, "pictures move too"


def test_today_s_flood_leaves_the_backlog_its_share(store: Store) -> None:
    """SYNC-103."""
    line = SlowLine(store)
    enqueue(store, [counted() for _ in range(1000)])
    then = (clock.now() - timedelta(days=30)).isoformat()
    store.db.execute("UPDATE outbox SET recorded_at = ?, clock_synchronised = 1, boot = 'earlier'", [then])
    enqueue(store, [counted() for _ in range(3000)])
    while line.now < 30.0:
        line.step()
    old = sum(number <= 1000 for number in line.stored_at)
    assert old / len(line.stored_at) == pytest.approx(0.2, abs=0.06)
