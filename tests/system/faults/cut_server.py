"""A server whose power is cut: what it answered for must be there, as a record or among the dead letters."""

from __future__ import annotations

import json
import os
import random
import signal
import sqlite3
import sys
import time
from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import paho.mqtt.client as mqtt
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties

from cloud_sync import topics
from cloud_sync.connection import Connection, Terms
from cloud_sync.messages import Answers
from cloud_sync.server.database import Database
from cloud_sync.server.errors import DatabaseError
from tests.cloud_sync.helpers import enrol, envelope
from tests.system.conftest import Site, wait_until
from tests.system.faults.cuts import CutReport, cut_traced_power, last_sending
from tests.system.faults.tracing import Op, strace
from tests.system.faults.world import DEVICE

_FILE = "pomona.sqlite"
# one in so many is a record that was sent before and has changed, and one a message that is none
_CHANGED, _WRONG = 4, 10


@dataclass
class _Asker:
    """Sends records as a device does, and notes when the server answered for which.

    Attributes:
        sent: the envelopes by message id.
        answers: when an answer came, the message and the result.
    """

    connection: Connection | None = None
    sent: dict[str, dict[str, Any]] = field(default_factory=dict)
    answers: list[tuple[float, str, str]] = field(default_factory=list)

    def note(self, message: mqtt.MQTTMessage) -> None:
        """In the network's thread: note what came, and when."""
        now = time.time()
        for answer in Answers.model_validate_json(bytes(message.payload)).answers:
            self.answers.append((now, answer.message, answer.result))

    def send(self, chance: random.Random) -> None:
        """Send one record more, or a change of one, or something wrong."""
        known = [fields for fields in self.sent.values() if "record" in fields]
        fields = envelope(device=DEVICE, body={**envelope()["body"], "tree": str(len(self.sent))})
        if known and chance.randrange(_CHANGED) == 0:
            former = chance.choice(known)
            fields.update(record=former["record"], revision=former["revision"] + chance.randint(1, 2))
        elif chance.randrange(_WRONG) == 0:
            fields["version"] = 99
        self._publish(fields)
        if chance.random() < 0.1:
            self._publish(fields)  # as after a lost answer

    def _publish(self, fields: dict[str, Any]) -> None:
        assert self.connection is not None
        self.sent[fields["message"]] = fields
        properties = Properties(PacketTypes.PUBLISH)  # type: ignore[no-untyped-call]
        properties.CorrelationData = f"{fields['message']}:{fields['version']}".encode()
        topic = topics.up(DEVICE, fields["type"])
        self.connection.client.publish(topic, json.dumps(fields).encode(), qos=1, properties=properties)

    def unanswered(self) -> set[str]:
        """What the server has still to answer for."""
        return self.sent.keys() - {message for _, message, _ in self.answers}


def cut_server_power(folder: Path, cuts: int, seed: int, records: int = 300) -> CutReport:
    """Trace a server that receives, is killed once and goes on, and cut its power.

    Raises:
        LostError: something the server has answered for was lost.
    """
    site = Site(folder / "site")
    root = folder / "server"
    root.mkdir()
    asker = _Asker()
    try:
        site.start_broker()
        run = [sys.executable, "-m", "pomona", "server", "run", "--folder", str(site.server_folder.path)]
        run += ["--database", f"sqlite:///{root / _FILE}"]
        # once more after it was killed, which leaves the log of its database behind
        traced = site.start(strace(folder / "trace", ["sh", "-c", '"$@"; "$@"', "sh", *run]))
        site.await_ready(traced)
        asker.connection = Connection(
            enrol(site.server_folder, folder / "device", DEVICE),
            Terms(session_expiry_s=60),
            subscriptions=[topics.acknowledgements(DEVICE)],
            on_message=asker.note,
        )
        asker.connection.begin(threaded=True)
        asker.connection.wait_open(10)
        _ask(asker, random.Random(seed), records // 2)
        os.kill(_server(traced.pid), signal.SIGKILL)
        _ask(asker, random.Random(seed + 1), records - records // 2)
        wait_until(lambda: not asker.unanswered(), "every message is answered", 60)
        asker.connection.end()
        os.kill(_server(traced.pid), signal.SIGTERM)
        assert traced.wait(timeout=60) == 0, site.log(traced)
    finally:
        site.close()
    return cut_traced_power(folder, root, partial(ServerCheck, asker), cuts, seed)


def _ask(asker: _Asker, chance: random.Random, number: int) -> None:
    """Send in bursts, as devices do that come back from the field."""
    while number > 0:
        for _ in range(burst := min(number, chance.randint(1, 15))):
            asker.send(chance)
        number -= burst
        time.sleep(chance.uniform(0, 0.06))


def _server(tracer: int) -> int:
    """Number of the server's process, below strace and the shell."""
    wait_until(lambda: _descendants(tracer)[1:], "the server is there")
    return _descendants(tracer)[1]


def _descendants(process: int) -> list[int]:
    children = Path(f"/proc/{process}/task/{process}/children").read_text().split()
    return [found for child in map(int, children) for found in (child, *_descendants(child))]


class ServerCheck:
    """Opens what is left of a server's database as the server would.

    Args:
        asker: what was sent and answered.
        ops: the trace.
    """

    def __init__(self, asker: _Asker, ops: Sequence[Op]) -> None:
        self._sent = asker.sent
        self._answers = [(last_sending(ops, came), message, result) for came, message, result in asker.answers]

    def __call__(self, folder: Path, moment: int) -> list[str]:
        """What is wrong after so many ops."""
        file = folder / _FILE
        try:
            Database.in_file(file).close()
        except DatabaseError as error:
            return [f"the database does not open: {error}"]
        with closing(sqlite3.connect(file)) as database:
            (integrity,) = database.execute("PRAGMA integrity_check").fetchone()
            held = {
                record: (revision, message, json.loads(body))
                for record, revision, message, body in database.execute(
                    "SELECT record, revision, message, body FROM record"
                )
            }
            dead = {message for (message,) in database.execute("SELECT message FROM dead_letter")}
        found = [] if integrity == "ok" else [f"the database is damaged: {integrity}"]
        for number, message, result in self._answers:
            if number <= moment and not self._is_kept(self._sent[message], result, held, dead):
                found.append(f"{message} was answered {result}, and is lost")
        return found

    @staticmethod
    def _is_kept(
        fields: dict[str, Any], result: str, held: dict[str, tuple[int, str, dict[str, Any]]], dead: set[str]
    ) -> bool:
        if result == "rejected":
            return fields["message"] in dead
        revision, message, body = held.get(fields["record"], (0, "", {}))
        if result == "stored" and revision == fields["revision"]:
            return (message, body) == (fields["message"], fields["body"])
        return result == "retry" or revision >= fields["revision"]
