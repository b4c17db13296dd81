"""Records a second through a real broker with TLS into a real database, beside a bare publisher and subscriber.

    python -m tests.benchmarks.ingest [--database sqlite|postgresql] [--ingest N] [--batch N] [--records N] [--rounds N]

One device publishes counts as fast as a window of unanswered messages lets it. The server has stored and answered each
of them, its commit being on the disk, when the clock stops. The bare pair is paho-mqtt as it comes: the same process
publishes the same messages with the same window, of messages the broker has not confirmed, and a subscriber counts
them. Both take turns, with the same Mosquitto and its own configuration. `--batch 1` sends every record as a message of
its own, more packs so many into one.

Beside records a second it shows what each part computed for a record. Where other programs take the processor, that
says more: a core has a million microseconds a second to give.
"""

from __future__ import annotations

import argparse
import multiprocessing
import os
import signal
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from multiprocessing.connection import Connection as Pipe
from pathlib import Path
from typing import Any

import paho.mqtt.client as mqtt
import psutil
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties

from cloud_sync import topics
from cloud_sync.batch import CONTENT_TYPE, encode_batch
from cloud_sync.connection import Connection, Terms
from cloud_sync.identity import Identity
from cloud_sync.messages import Answer, Answers
from cloud_sync.outbox import new_id
from tests.benchmarks.ingest_messages import counts
from tests.cloud_sync.helpers import enrol, free_port, make_server
from tests.postgresql import PostgreSQL

DEVICE = "kiwi-07"
WINDOW_RECORDS = 4000
_ROOT = Path(__file__).parents[2]
_MQTT_WINDOW = 1000


@dataclass(frozen=True)
class Packet:
    """A message ready to be published."""

    topic: str
    payload: bytes
    properties: Properties
    records: int


def packets(records: int, batch: int) -> list[Packet]:
    """Counts of one device, so many to a message."""
    made = []
    lines = counts(DEVICE, records)
    for start in range(0, records, batch):
        some = lines[start : start + batch]
        properties = Properties(PacketTypes.PUBLISH)  # type: ignore[no-untyped-call]
        properties.CorrelationData = f"{new_id()}:1".encode()
        if batch > 1:
            properties.ContentType = CONTENT_TYPE
            made.append(Packet(topics.batch(DEVICE), encode_batch(some), properties, len(some)))
        else:
            made.append(Packet(topics.up(DEVICE, "count"), some[0], properties, 1))
    return made


class Publisher:
    """Publishes as a device does: so many records unanswered, or unconfirmed by the broker, and no more."""

    def __init__(self, identity: Identity, window: int, *, wait_for_answers: bool) -> None:
        self._room = threading.Semaphore(window)
        self._done = 0
        self._refused: list[Answer] = []
        self._changed = threading.Event()
        self._answered = wait_for_answers
        self._sizes: deque[int] = deque()  # the broker confirms in the order of publishing
        self._connection = Connection(
            identity,
            Terms(session_expiry_s=0),
            subscriptions=[topics.acknowledgements(DEVICE)],
            on_message=self._on_answer,
            on_puback=self._on_puback,
        )
        self._connection.client.max_inflight_messages_set(_MQTT_WINDOW)
        self._connection.begin(threaded=True)
        self._connection.wait_open(20)

    def _on_answer(self, message: mqtt.MQTTMessage) -> None:
        answers = Answers.model_validate_json(message.payload).answers
        self._refused += [answer for answer in answers if answer.result != "stored"]
        self._finish(len(answers))

    def _on_puback(self, _mid: int, _reason: Any) -> None:
        records = self._sizes.popleft()
        if not self._answered:
            self._finish(records)

    def _finish(self, records: int) -> None:
        self._done += records
        self._room.release(records)
        self._changed.set()

    def send(self, some: Sequence[Packet]) -> None:
        """Publish them and wait until all is done."""
        total = sum(packet.records for packet in some)
        for packet in some:
            for _ in range(packet.records):
                assert self._room.acquire(timeout=60), "no answer for a minute"
            self._sizes.append(packet.records)
            self._connection.client.publish(packet.topic, packet.payload, qos=1, properties=packet.properties)
        while self._done < total:
            assert self._changed.wait(60), f"no answer for a minute; {self._done} of {total}"
            self._changed.clear()
        assert not self._refused, f"{len(self._refused)} were not stored: {self._refused[0]}"

    def close(self) -> None:
        """Disconnect."""
        self._connection.end()


def _publish(identity: Identity, records: int, batch: int, wait_for_answers: bool, pipe: Pipe) -> None:
    made = packets(records, batch)
    publisher = Publisher(identity, max(WINDOW_RECORDS, batch), wait_for_answers=wait_for_answers)
    pipe.send("ready")
    pipe.recv()
    before = time.process_time()
    publisher.send(made)
    pipe.send(time.process_time() - before)
    publisher.close()


def _subscribe(identity: Identity, messages: int, pipe: Pipe) -> None:
    heard = 0
    all_heard = threading.Event()

    def count(_message: mqtt.MQTTMessage) -> None:
        nonlocal heard
        heard += 1
        if heard == messages:
            all_heard.set()

    connection = Connection(
        identity, Terms(session_expiry_s=0), subscriptions=[topics.EVERY_UPWARD_MESSAGE], on_message=count
    )
    connection.begin(threaded=True)
    connection.wait_open(20)
    pipe.send("ready")
    assert all_heard.wait(300), f"{heard} of {messages} messages"
    pipe.send("heard")
    connection.end()


@dataclass(frozen=True)
class Run:
    """How fast it was, and what each part computed."""

    records_per_s: float
    computed_us: dict[str, float]


class Bench:
    """A broker, a device's identity, and what runs beside them."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.port = free_port()
        self.server = make_server(folder / "server", self.port)
        self.device = enrol(self.server, folder / "device", DEVICE)
        key, certificate = self.server.ingest_key(1), self.server.ingest_certificate(1)
        self.subscriber = Identity(
            topics.SERVER_NAME, key, certificate, self.server.root_certificate, "localhost", self.port
        )
        self.broker = subprocess.Popen(
            ["mosquitto", "-c", str(self.server.broker / "mosquitto.conf")], stderr=subprocess.DEVNULL
        )
        self._context = multiprocessing.get_context("spawn")
        time.sleep(1.0)

    def close(self) -> None:
        """End the broker."""
        self.broker.terminate()
        self.broker.wait(20)

    def bare(self, records: int, batch: int) -> Run:
        """The bare pair."""
        own, theirs = self._context.Pipe()
        subscriber = self._context.Process(target=_subscribe, args=(self.subscriber, -(-records // batch), theirs))
        subscriber.start()
        assert own.recv() == "ready"
        assert subscriber.pid is not None
        run = self._run(records, batch, {"subscriber": [subscriber.pid]}, wait_for=own.recv, wait_for_answers=False)
        subscriber.join(20)
        return run

    def ingest(self, records: int, batch: int, processes: int, postgresql: PostgreSQL | None) -> Run:
        """The server."""
        command = [sys.executable, "-m", "pomona", "server", "run", "--folder", str(self.server.path)]
        command += ["--ingest", str(processes)]
        if postgresql is not None:
            command += ["--database", postgresql.make_database()]
        else:
            command += ["--database", f"sqlite:///{self.folder}/{new_id()}.sqlite"]
        log = (self.folder / "server.log").open("w")
        environment = {**os.environ, "PYTHONPATH": str(_ROOT)}
        with (
            log,
            subprocess.Popen(command, cwd=self.folder, env=environment, stdout=subprocess.PIPE, stderr=log) as server,
        ):
            assert server.stdout is not None
            assert server.stdout.readline() == b"ready\n", (self.folder / "server.log").read_text()
            members = [server.pid, *(child.pid for child in psutil.Process(server.pid).children())]
            parts = {"ingest": members}
            if postgresql is not None:
                parts["PostgreSQL"] = [postgresql.pid]
            try:
                return self._run(records, batch, parts, wait_for=lambda: None, wait_for_answers=True)
            finally:
                server.send_signal(signal.SIGTERM)
                server.wait(30)

    def _run(
        self,
        records: int,
        batch: int,
        parts: dict[str, list[int]],
        *,
        wait_for: Callable[[], Any],
        wait_for_answers: bool,
    ) -> Run:
        own, theirs = self._context.Pipe()
        publisher = self._context.Process(target=_publish, args=(self.device, records, batch, wait_for_answers, theirs))
        publisher.start()
        assert own.recv() == "ready"
        parts = {**parts, "broker": [self.broker.pid]}
        before = {name: _computed_s(pids) for name, pids in parts.items()}
        started = time.perf_counter()
        own.send("go")
        published_s = own.recv()
        wait_for()
        took_s = time.perf_counter() - started
        computed = {name: (_computed_s(pids) - before[name]) / records * 1e6 for name, pids in parts.items()}
        publisher.join(20)
        return Run(records / took_s, {"publisher": published_s / records * 1e6, **computed})


def _computed_s(pids: Sequence[int]) -> float:
    """Processor time of processes and their children, those that have ended too."""
    total = 0.0
    for pid in pids:
        process = psutil.Process(pid)
        family = [process, *process.children(recursive=True)] if process.name() == "postgres" else [process]
        for member in family:
            times = member.cpu_times()
            total += times.user + times.system
    return total


def _show(name: str, runs: Sequence[Run]) -> None:
    rates = [run.records_per_s for run in runs]
    parts = {part: statistics.median(run.computed_us[part] for run in runs) for part in runs[0].computed_us}
    computed = ", ".join(f"{part} {us:.0f}" for part, us in parts.items())
    print(
        f"{name:28} {statistics.median(rates):8,.0f} records/s ({min(rates):,.0f} to {max(rates):,.0f})   "
        f"us a record: {computed}",
        flush=True,
    )


def main() -> None:
    """Parse the arguments and run."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--database", choices=("sqlite", "postgresql"), default="sqlite")
    parser.add_argument("--ingest", type=int, nargs="+", default=[1], help="numbers of processes, each in its turn")
    parser.add_argument("--batch", type=int, nargs="+", default=[1, 100], help="records to a message, each in its turn")
    parser.add_argument("--records", type=int, default=20_000)
    parser.add_argument("--rounds", type=int, default=3)
    arguments = parser.parse_args()
    os.environ["PATH"] += os.pathsep + "/usr/sbin"  # where Debian keeps the broker
    with tempfile.TemporaryDirectory() as folder, ExitStack() as stack:
        postgresql = None
        if arguments.database == "postgresql":
            postgresql = PostgreSQL()
            stack.callback(postgresql.remove)
        bench = Bench(Path(folder))
        stack.callback(bench.close)
        for batch in arguments.batch:
            bare: list[Run] = []
            own: dict[int, list[Run]] = {number: [] for number in arguments.ingest}
            for _ in range(arguments.rounds):
                bare.append(bench.bare(arguments.records, batch))
                for number, runs in own.items():
                    runs.append(bench.ingest(arguments.records, batch, number, postgresql))
            print(f"{batch} records to a message, {arguments.records} records, {arguments.rounds} rounds")
            _show("bare publisher, subscriber", bare)
            for number, runs in own.items():
                _show(f"{arguments.database}, {number} processes", runs)
                ratios = [a.records_per_s / b.records_per_s for a, b in zip(runs, bare, strict=True)]
                spread = f"({min(ratios):.2f} to {max(ratios):.2f})"
                print(f"{'':28} {statistics.median(ratios):8.2f} of the bare pair {spread}")


if __name__ == "__main__":
    main()
