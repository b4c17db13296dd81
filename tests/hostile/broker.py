"""Hostile messages through a real broker into a real server, with honest ones between them."""

from __future__ import annotations

import json
import random
import time
import zlib
from dataclasses import dataclass, field, replace
from typing import Any

import paho.mqtt.client as mqtt
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties

from cloud_sync import topics
from cloud_sync.connection import Connection, Terms
from cloud_sync.identity import Identity
from cloud_sync.messages import MOST_BYTES, Answers
from cloud_sync.outbox import new_id
from cloud_sync.server.screening import Accepted, Refused, StateChange, screen, unfold
from cloud_sync.server.storing import MOST_DEAD_LETTERS
from tests.cloud_sync.helpers import enrol, envelope
from tests.hostile.judging import delivered
from tests.hostile.mutations import Hostile, lines_of, mutate, recorded
from tests.system.conftest import Site, wait_until

# a device may have so many dead letters; it sends no more, so that each can be looked for
_DEAD_A_DEVICE = MOST_DEAD_LETTERS * 4 // 5
_AT_A_TIME = 50
_HONEST_EVERY = 10


@dataclass
class Sender:
    """A device that sends what it is told and keeps the answers."""

    identity: Identity
    answers: dict[str, set[str]] = field(default_factory=dict)
    sent: int = 0
    confirmed: int = 0

    def __post_init__(self) -> None:
        self.connection = self._connect()

    def _connect(self) -> Connection:
        connection = Connection(
            self.identity,
            Terms(session_expiry_s=600),
            subscriptions=[topics.acknowledgements(self.identity.name)],
            on_message=self._on_message,
            on_puback=lambda _packet, _reason: self._on_puback(),
        )
        connection.begin(threaded=True)
        connection.wait_open(30)
        return connection

    def _on_message(self, message: mqtt.MQTTMessage) -> None:
        for answer in Answers.model_validate_json(message.payload).answers:
            self.answers.setdefault(answer.message, set()).add(answer.result)

    def _on_puback(self) -> None:
        self.confirmed += 1

    def send(self, message: Hostile) -> None:
        """Publish, and wait while the broker has many that it has not confirmed."""
        properties = Properties(PacketTypes.PUBLISH)  # type: ignore[no-untyped-call]
        if message.correlation:
            properties.CorrelationData = message.correlation
        self.connection.client.publish(message.topic, message.payload, qos=1, properties=properties)
        self.sent += 1
        wait_until(lambda: self.sent - self.confirmed < _AT_A_TIME, "the broker confirms", 60)

    def close(self) -> None:
        """Leave."""
        self.connection.end()


@dataclass
class Expected:
    """What the server must hold in the end.

    Attributes:
        records: bodies by device and record.
        dead: payloads that are refused.
        refused: the same by device and message, of those that can be answered; one of each is a dead letter.
        unanswerable: payloads of the others, each a dead letter.
        stored: messages by device and id, which are dead letters no longer.
        answered: ids that something was said of.
    """

    records: dict[tuple[str, str], dict[str, Any]] = field(default_factory=dict)
    dead: set[bytes] = field(default_factory=set)
    refused: dict[tuple[str, str], set[bytes]] = field(default_factory=dict)
    unanswerable: set[bytes] = field(default_factory=set)
    stored: set[tuple[str, str]] = field(default_factory=set)
    answered: set[str] = field(default_factory=set)


def _own_topic(message: Hostile, name: str) -> Hostile:
    """The message on a topic that the broker lets this device write; what names the recorded device names this one."""
    kind = message.topic.rsplit("/", 1)[-1][:64].translate({ord(sign): "x" for sign in "+#\0"}) or "x"
    topic = topics.state(name) if message.topic.endswith("/state") else topics.up(name, kind)
    payload = message.payload.replace(b'"device":"orchard-07"', f'"device":"{name}"'.encode())
    return Hostile(topic, message.correlation[:1000], payload[:MOST_BYTES])


def _with_fresh_ids(message: Hostile, chance: random.Random) -> Hostile:
    """The message under ids that no other has: which dead letter it becomes is then no matter of the order."""
    lines = lines_of(message.payload)
    payload = b"\n".join(lines) or message.payload
    for number in range(0x40):
        known = f"01997a00-0000-7000-8000-{number:012x}".encode()
        if known in payload or known in message.correlation:
            fresh = f"{chance.randrange(2**32):08x}-0000-7000-8000-{chance.randrange(2**48):012x}".encode()
            payload = payload.replace(known, fresh)
            message = replace(message, correlation=message.correlation.replace(known, fresh))
    return replace(message, payload=zlib.compress(payload, 1) if lines else payload)


def _note(message: Hostile, expected: Expected) -> int:
    """What this message makes of what the server must hold; returns how many dead letters."""
    dead = 0
    for part in unfold(delivered(message)):
        item = part if isinstance(part, Refused) else screen(part)
        if isinstance(item, Refused):
            dead += 1
            expected.dead.add(item.received.payload)
            if item.message is None or item.device is None:
                expected.unanswerable.add(item.received.payload)
            else:
                expected.refused.setdefault((item.device, item.message), set()).add(item.received.payload)
                expected.answered.add(item.message)
        elif isinstance(item, Accepted):
            key = item.envelope.device, item.envelope.record
            expected.records[key] = item.body
            expected.stored.add((item.envelope.device, item.envelope.message))
            expected.answered.add(item.envelope.message)
        else:
            assert item is None or isinstance(item, StateChange)
    return dead


def campaign(site: Site, seed: int, messages: int) -> dict[str, object]:
    """Send so many hostile messages, and an honest one after every tenth, and hold the server's database to them.

    Args:
        site: broker and server, running.
        seed: of the random numbers.
        messages: hostile messages.

    Returns:
        What was sent and what became of it.

    Raises:
        AssertionError: something was lost, altered, not refused, or the server stopped.
    """
    chance = random.Random(seed)
    begin = [message for message in recorded() if len(message.payload) < 20_000]
    expected = Expected()
    honest = Sender(enrol(site.server_folder, site.folder / "honest", "honest"))
    begun = time.monotonic()
    sent = devices = 0
    while sent < messages:
        name = f"hostile-{devices}"
        devices += 1
        sender = Sender(enrol(site.server_folder, site.folder / name, name))
        dead = 0
        while sent < messages and dead < _DEAD_A_DEVICE:
            base = _with_fresh_ids(chance.choice(begin), chance)
            message = _own_topic(mutate(base, chance, begin), name)
            dead += _note(message, expected)
            sender.send(message)
            sent += 1
            if sent % _HONEST_EVERY == 0:
                fields = envelope("count", "honest", sequence=sent)
                good = Hostile(topics.up("honest", "count"), f"{new_id()}:1".encode(), json.dumps(fields).encode())
                _note(good, expected)
                honest.send(good)
        _check_answers(sender, expected, name)
        sender.close()
    sent_honestly = {record for device, record in expected.records if device == "honest"}
    wait_until(lambda: _stored_of(site, "honest") == sent_honestly, "honest records are stored", 60)
    honest.close()
    tally = _check_database(site, expected)
    return {"seed": seed, "hostile": messages, "devices": devices, **tally, "seconds": round(time.monotonic() - begun)}


def _stored_of(site: Site, device: str) -> set[str]:
    return {record for (record,) in site.rows("SELECT record FROM record WHERE device = ?", device)}


def _check_answers(sender: Sender, expected: Expected, name: str) -> None:
    """The last message was answered, so the server has come through all before it."""
    last = envelope("tree", name)
    message = Hostile(topics.up(name, "tree"), f"{last['message']}:1".encode(), json.dumps(last).encode())
    _note(message, expected)
    sender.send(message)
    wait_until(lambda: last["message"] in sender.answers, "the server answers the last message", 60)
    assert sender.answers[last["message"]] == {"stored"}
    for identifier, results in sender.answers.items():
        assert "retry" not in results, identifier
        assert identifier in expected.answered, f"{identifier} was answered {results} and never sent"


def _check_database(site: Site, expected: Expected) -> dict[str, int]:
    rows = site.rows("SELECT device, record, body FROM record")
    held = {(device, record): json.loads(body) for device, record, body in rows}
    assert held.keys() == expected.records.keys()
    honest = [key for key in held if key[0] == "honest"]
    assert all(held[key] == expected.records[key] for key in honest)
    letters = [bytes(payload) for (payload,) in site.rows("SELECT payload FROM dead_letter")]
    dead = set(letters)
    assert dead <= expected.dead
    assert expected.unanswerable <= dead
    for message, payloads in expected.refused.items():
        assert message in expected.stored or payloads & dead, f"{message} was refused and is no dead letter"
    return {"honest": len(honest), "records": len(held), "dead_letters": len(letters)}
