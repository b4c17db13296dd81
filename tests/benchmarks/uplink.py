"""The device's uplink: a month offline, a link that comes back, what recording and waiting cost.

    python -m tests.benchmarks.uplink month [--trees N] [--kbit N]    trees of 150 boxes, over loopback or a slow link
    python -m tests.benchmarks.uplink back [--most-backoff S]         the broker comes back after many attempts
    python -m tests.benchmarks.uplink enqueue                         a record with and without its message
    python -m tests.benchmarks.uplink idle [--seconds N] [--kept N]   processor time of an uplink with nothing to send
    python -m tests.benchmarks.uplink compare [--records N]           what it costs to see that nothing is lost

A rate needs root and `tc`: the device then runs in a network namespace behind a token bucket in both directions.
"""

from __future__ import annotations

import argparse
import contextlib
import logging
import math
import os
import random
import signal
import sqlite3
import statistics
import subprocess
import sys
import tempfile
import threading
import time
import timeit
from collections.abc import Callable, Iterator, Sequence
from datetime import datetime, timedelta, timezone
from pathlib import Path

from cloud_sync.digests import DigestQuestion, digest_of
from cloud_sync.identity import read_identity
from cloud_sync.messages import CountBody
from cloud_sync.outbox import new_id
from cloud_sync.server.broker import initialise
from cloud_sync.server.folder import ServerFolder, ServerSettings
from cloud_sync.server.reconcile import answer
from cloud_sync.uplink import Uplink, UplinkSettings
from device.store import Store
from tests.benchmarks.wire import drawn_messages
from tests.cloud_sync.helpers import enrol, example, free_port
from tests.cloud_sync.test_comparing import Ends, insert_records

_ROOT = Path(__file__).parents[2]
DEVICE = "orchard-07"
_NAMESPACE = "pomona-uplink"
_NEAR, _FAR = "10.211.55.1", "10.211.55.2"


def processor_s(process: int | str = "self") -> float:
    """Seconds a process and the children it has waited for have computed."""
    fields = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()
    return sum(map(int, fields[11:15])) / os.sysconf("SC_CLK_TCK")


@contextlib.contextmanager
def started(*command: str, ready: str | None = None) -> Iterator[subprocess.Popen[str]]:
    """A process of our own, ended afterwards; waits for a line of its output."""
    process = subprocess.Popen(
        command,
        env={**os.environ, "PYTHONPATH": str(_ROOT)},
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    try:
        assert process.stdout is not None
        if ready is not None:
            assert process.stdout.readline() == ready + "\n", command
        yield process
    finally:
        process.terminate()
        process.communicate(timeout=30)


class Site:
    """A server folder and an enrolled device."""

    def __init__(self, folder: Path, host: str = "localhost") -> None:
        self.port = free_port()
        self.server = ServerFolder(folder / "server")
        bind = "127.0.0.1" if host == "localhost" else None
        initialise(self.server, ServerSettings(hosts=[host], port=self.port, bind=bind))
        self.device = folder / "device"
        enrol(self.server, self.device, DEVICE)

    @contextlib.contextmanager
    def broker(self) -> Iterator[subprocess.Popen[str]]:
        """Mosquitto, listening."""
        with started("mosquitto", "-c", str(self.server.broker / "mosquitto.conf")) as process:
            time.sleep(0.5)
            yield process

    @contextlib.contextmanager
    def running(self) -> Iterator[None]:
        """Broker and server."""
        command = (sys.executable, "-m", "pomona", "server", "run", "--folder", str(self.server.path))
        with self.broker(), started(*command, ready="ready"):
            yield

    def held(self) -> int:
        """Records at the server."""
        with contextlib.closing(sqlite3.connect(self.server.database)) as connection:
            (count,) = connection.execute("SELECT count(*) FROM record").fetchone()
        return int(count)


@contextlib.contextmanager
def held_to(kbit: int) -> Iterator[list[str]]:
    """A network namespace behind a link of so many kbit/s each way; yields the words that run a command in it."""
    bucket = ["root", "tbf", "rate", f"{kbit}kbit", "burst", "8kb", "latency", "1s"]
    inside = ["ip", "netns", "exec", _NAMESPACE]
    commands = [
        ["ip", "netns", "add", _NAMESPACE],
        ["ip", "link", "add", "pomona-near", "type", "veth", "peer", "name", "pomona-far", "netns", _NAMESPACE],
        ["ip", "address", "add", f"{_NEAR}/24", "dev", "pomona-near"],
        [*inside, "ip", "address", "add", f"{_FAR}/24", "dev", "pomona-far"],
        [*inside, "ip", "link", "set", "lo", "up"],
        ["ip", "link", "set", "pomona-near", "up"],
        [*inside, "ip", "link", "set", "pomona-far", "up"],
        # full segments only where the kernel would pass on larger ones, which no bucket of this size holds
        ["ip", "link", "set", "pomona-near", "gso_max_size", "1500"],
        [*inside, "ip", "link", "set", "pomona-far", "gso_max_size", "1500"],
        ["tc", "qdisc", "add", "dev", "pomona-near", *bucket],
        [*inside, "tc", "qdisc", "add", "dev", "pomona-far", *bucket],
    ]
    try:
        for command in commands:
            subprocess.run(command, check=True)
        yield inside
    finally:
        subprocess.run(["ip", "netns", "delete", _NAMESPACE], check=False)
        subprocess.run(["ip", "link", "delete", "pomona-near"], check=False, stderr=subprocess.DEVNULL)


def sent_bytes() -> int:
    """Bytes that have left the namespace, with all headers."""
    command = ["ip", "netns", "exec", _NAMESPACE, "cat", "/sys/class/net/pomona-far/statistics/tx_bytes"]
    return int(subprocess.run(command, check=True, capture_output=True, text=True).stdout)


def make_month(folder: Path, trees: int) -> None:
    """A store as a month without a network leaves it: each tree with its photo, boxes and count."""
    store = Store(folder)
    drawn_messages(store, 150, trees)
    now = datetime.now(timezone.utc)
    times = ((now - timedelta(days=30) * (1 - number / (4 * trees))).isoformat() for number in range(1, 4 * trees + 1))
    with store.change() as db:
        db.conn.executemany(
            "UPDATE outbox SET recorded_at = ?, clock_synchronised = 1, boot = ? WHERE sequence = ?",
            ((moment, "of another day", number) for number, moment in enumerate(times, 1)),
        )
    store.close()


def sync(home: Path, inside: Sequence[str]) -> tuple[str, float, float, int]:
    """`pomona sync --once`: what it says, seconds, seconds of processor, KiB of memory at most."""
    command = [*inside, sys.executable, "-m", "pomona", "sync", "--once", "--home", str(home)]
    begun, processor, most_kib = time.monotonic(), 0.0, 0
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env={**os.environ, "PYTHONPATH": str(_ROOT)})
    status = Path(f"/proc/{process.pid}/status")
    # what the system says of a process that has ended would be the memory of this one, whose copy it began as
    while process.poll() is None:
        with contextlib.suppress(OSError, ValueError, IndexError):
            most_kib = int(status.read_text().partition("VmHWM:")[2].split()[0])
            processor = processor_s(process.pid)
        time.sleep(0.1)
    assert process.stdout is not None
    said = process.stdout.read().strip()
    assert process.returncode == 0, said
    return said, time.monotonic() - begun, processor, most_kib


def month(trees: int, kbit: int | None) -> None:
    """A month offline."""
    with contextlib.ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        inside = stack.enter_context(held_to(kbit)) if kbit else []
        site = Site(folder, _NEAR if kbit else "localhost")
        make_month(site.device, trees)
        size = (site.device / "store.sqlite").stat().st_size
        stack.enter_context(site.running())
        said, took, processor, most_kib = sync(site.device, inside)
        print(
            f"{trees:,} trees, store of {size / 1e6:.0f} MB: {took:.0f} s, {processor:.1f} s of processor, "
            f"{most_kib / 1024:.0f} MiB at most. {said}"
        )
        if kbit:
            print(f"{sent_bytes():,} bytes sent at {kbit} kbit/s with all headers: {sent_bytes() / trees:,.0f} a tree")
        kept = (site.device / "store.sqlite").stat().st_size
        print(f"at the server: {site.held():,}; the store has {kept / 1e6:.0f} MB with what was sent kept")


def back(most_backoff_s: float) -> None:
    """How soon after a link is back the uplink is connected, having tried for long."""
    with tempfile.TemporaryDirectory() as name:
        site = Site(Path(name))
        store = Store(site.device)
        uplink = Uplink(store.outbox, read_identity(site.device), UplinkSettings(most_backoff_s=most_backoff_s))
        connected = threading.Event()

        class Handler(logging.Handler):
            def emit(self, record: logging.LogRecord) -> None:
                if record.getMessage().startswith("connected"):
                    connected.set()

        logger = logging.getLogger("cloud_sync.uplink")
        logger.setLevel(logging.INFO)
        logger.addHandler(Handler())
        stop = threading.Event()
        run = threading.Thread(target=lambda: uplink.run(stop, until_empty=False))
        run.start()
        time.sleep(4 * most_backoff_s)
        with site.broker():
            begun = time.monotonic()
            assert connected.wait(2 * most_backoff_s)
            print(
                f"connected {time.monotonic() - begun:.1f} s after the broker was back; a step is {most_backoff_s:g} s"
            )
            stop.set()
            run.join()
        store.close()


def compare(records: int) -> None:
    """What it costs both ends to see that nothing is lost, and to find what is."""
    with tempfile.TemporaryDirectory() as name, contextlib.closing(Ends(Path(name))) as ends:
        messages, now = [new_id() for _ in range(records)], datetime.now(timezone.utc).isoformat()
        body = example("detections")
        with ends.store.change() as db:
            db.conn.executemany(
                "INSERT INTO sent VALUES (?, ?, ?, 1, ?, ?, ?, 1, '', 0, ?, ?, NULL)",
                (
                    (number, one, one, body.TYPE, body.VERSION, now, body.model_dump_json(), digest_of(one))
                    for number, one in enumerate(messages, 1)
                ),
            )
        insert_records(ends.database, ends.store.outbox.store, messages)
        # what is asked in a round, of each end alone
        width = 16 ** math.ceil(math.log(records + 1, 16))
        question = DigestQuestion(store=ends.store.outbox.store, width=width, blocks=[0])
        device_ms = milliseconds(lambda: ends.store.outbox.sent.digests(0, width, width // 16))
        with ends.database.read() as session:
            server_ms = milliseconds(lambda: answer(session, "jetson-1", question))
        print(f"{records:,} records: {device_ms:.1f} ms of the device and {server_ms:.1f} ms of the server a round")
        for what, lost in (
            ("nothing", set()),
            ("the last 1,000", set(range(records - 999, records + 1))),
            ("20 anywhere", set(random.Random(1).sample(range(1, records), 20))),
        ):
            ends.lose(lambda number, lost=lost: number in lost)  # type: ignore[misc]
            ends.bytes = ends.questions = 0
            begun = time.perf_counter()
            found = ends.compare()
            took = time.perf_counter() - begun
            print(
                f"lost {what}: {found} found by {ends.questions} questions, {ends.bytes:,} bytes, {took:.2f} s in all"
            )
            ends.send()


def milliseconds(action: Callable[[], object]) -> float:
    """Median time of an action."""
    return statistics.median(timeit.repeat(action, number=1, repeat=20)) * 1000


def enqueue(rounds: int = 400) -> None:
    """What a message adds to the transaction of its record."""
    body = example("count")
    assert isinstance(body, CountBody)
    with tempfile.TemporaryDirectory(dir=os.environ.get("TMPDIR", "/var/tmp")) as name:
        store = Store(Path(name))
        store.db.execute("CREATE TABLE plain (id TEXT PRIMARY KEY, content TEXT NOT NULL) STRICT")
        content = body.model_dump_json()
        commits: dict[bool, list[float]] = {False: [], True: []}
        inside: list[float] = []
        for number in range(2 * rounds):
            with_message = bool(number % 2)
            begun = time.perf_counter()
            with store.change() as db:
                record = new_id()
                db.execute("INSERT INTO plain VALUES (?, ?)", [record, content])
                if with_message:
                    queued = time.perf_counter()
                    store.outbox.enqueue(record, 1, body)
                    inside.append(time.perf_counter() - queued)
            commits[with_message].append(time.perf_counter() - begun)
        store.close()
    alone, both = (statistics.median(commits[key]) * 1000 for key in (False, True))
    print(
        f"a record {alone:.2f} ms, with its message {both:.2f} ms: {both - alone:.2f} ms more (medians of {rounds}); "
        f"enqueue itself {statistics.median(inside) * 1000:.2f} ms, 99 of 100 within "
        f"{statistics.quantiles(inside, n=100)[-1] * 1000:.2f} ms"
    )


def idle(seconds: float, kept: int) -> None:
    """Processor time of `pomona sync` with nothing to send, connected to broker and server."""
    with tempfile.TemporaryDirectory() as name:
        site = Site(Path(name))
        fill(site.device, kept)
        command = (sys.executable, "-m", "pomona", "sync", "--home", str(site.device))
        with site.running(), started(*command) as uplink:
            deadline = time.monotonic() + 120
            while waiting(site.device):
                assert time.monotonic() < deadline
                time.sleep(0.5)
            time.sleep(5)
            before = processor_s(uplink.pid)
            time.sleep(seconds)
            used = processor_s(uplink.pid) - before
            print(f"{used:.2f} s in {seconds:g} s, {used / seconds:.2%} of a core, {kept:,} records stored before")
            uplink.send_signal(signal.SIGTERM)


def fill(folder: Path, records: int) -> None:
    """Queue so many small records."""
    store = Store(folder)
    body = example("count")
    with store.change():
        for _ in range(records):
            store.outbox.enqueue(new_id(), 1, body)
    store.close()


def waiting(folder: Path) -> int:
    """How many records wait."""
    with contextlib.closing(sqlite3.connect(folder / "store.sqlite")) as connection:
        (count,) = connection.execute("SELECT count(*) FROM outbox").fetchone()
    return int(count)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(dest="command", required=True)
    of_month = commands.add_parser("month")
    of_month.add_argument("--trees", type=int, default=15_000)
    of_month.add_argument("--kbit", type=int)
    of_back = commands.add_parser("back")
    of_back.add_argument("--most-backoff", type=float, default=300.0)
    commands.add_parser("enqueue")
    of_idle = commands.add_parser("idle")
    of_idle.add_argument("--seconds", type=float, default=60.0)
    of_idle.add_argument("--kept", type=int, default=1000)
    of_compare = commands.add_parser("compare")
    of_compare.add_argument("--records", type=int, default=60_000)
    given = parser.parse_args()
    if given.command == "month":
        month(given.trees, given.kbit)
    elif given.command == "back":
        back(given.most_backoff)
    elif given.command == "enqueue":
        enqueue()
    elif given.command == "compare":
        compare(given.records)
    else:
        idle(given.seconds, given.kept)


if __name__ == "__main__":
    main()
