"""A site of real processes: Mosquitto with the written configuration, the server, and devices' uplinks."""

from __future__ import annotations

import json
import os
import queue
import shutil
import signal
import socket
import sqlite3
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser

from cloud_sync import clock, timekeeping
from cloud_sync.files import identity_folder
from cloud_sync.identity import Identity
from cloud_sync.server.database import Database
from cloud_sync.server.holdings import Holdings, read_holdings
from cloud_sync.timekeeping import Timekeeper
from cloud_sync.uplink import Uplink, UplinkResult, UplinkSettings
from device.store.database import Store
from tests.cloud_sync.helpers import enqueue, enrol, free_port, make_server, tree
from tests.system.page_process import chromium

_ROOT = Path(__file__).parents[2]

# timers short enough for a test, and a window that fills at once
QUICK = UplinkSettings(
    window=20,
    resend_s=0.5,
    poll_s=0.1,
    least_backoff_s=0.1,
    most_backoff_s=0.5,
    spread_s=0.5,
    ask_again_s=1.0,
    metered=False,
)

# a device's uplink as a process of its own: folder and settings as arguments, runs until it is stopped
_UPLINK = """
import json, logging, signal, sys, threading
from pathlib import Path
from cloud_sync.identity import read_identity
from cloud_sync.timekeeping import Timekeeper
from cloud_sync.uplink import Uplink, UplinkSettings
from device.store.database import Store
logging.basicConfig(level=logging.INFO)
stop = threading.Event()
signal.signal(signal.SIGTERM, lambda *_: stop.set())
folder = Path(sys.argv[1])
store = Store(folder)
Uplink(store.outbox, read_identity(folder), UplinkSettings(**json.loads(sys.argv[2]))).run(stop, until_empty=False)
store.close()
"""


def wait_until(condition: Callable[[], object], what: str, timeout_s: float = 30.0) -> None:
    deadline = time.monotonic() + timeout_s
    while not condition():
        assert time.monotonic() < deadline, f"not within {timeout_s:g} s: {what}"
        time.sleep(0.02)


class Device:
    """A device with a store and, once enrolled, an identity."""

    def __init__(self, site: Site, name: str) -> None:
        self.site = site
        self.name = name
        self.folder = site.folder / "devices" / name
        self.store = Store(self.folder)
        self.identity: Identity = site.enrol(self.folder, name)

    def record(self, count: int, prefix: str = "tree") -> list[str]:
        """Make so many trees of a block that is named like the device; returns their natural keys."""
        bodies = [tree(f"{prefix}-{number}").model_copy(update={"block": self.name}) for number in range(count)]
        enqueue(self.store, bodies)
        return [body.natural_key() for body in bodies]

    def learn_time(self) -> None:
        """As from the server, so that it does not matter what this machine knows of its clock or how long it is up."""
        Timekeeper(identity_folder(self.folder)).learn(clock.now(), timekeeping.uptime_s())

    def waiting(self) -> int:
        return self.store.outbox.state().waiting

    def sync(self, settings: UplinkSettings = QUICK, time_limit_s: float = 30.0) -> UplinkResult:
        """Send until nothing waits, in this process."""
        return Uplink(self.store.outbox, self.identity, settings).run(threading.Event(), True, time_limit_s)

    def start_uplink(self, settings: UplinkSettings = QUICK) -> subprocess.Popen[str]:
        return self.site.start([sys.executable, "-c", _UPLINK, str(self.folder), json.dumps(asdict(settings))])


class Site:
    """A server folder, a broker's port and all processes started on it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.port, self.https_port = free_port(), free_port()
        self.server_folder = make_server(folder / "server", self.port, self.https_port)
        self._processes: list[subprocess.Popen[str]] = []
        self._logs: dict[int, Path] = {}
        self._devices: list[Device] = []

    def start(self, command: list[str]) -> subprocess.Popen[str]:
        log = self.folder / f"process-{len(self._logs)}.log"  # a file, since a pipe that nobody reads blocks its writer
        with log.open("w") as stderr:
            process = subprocess.Popen(
                command,
                cwd=self.folder,
                env={**os.environ, "PYTHONPATH": str(_ROOT)},
                stdout=subprocess.PIPE,
                stderr=stderr,
                text=True,
            )
        self._processes.append(process)
        self._logs[process.pid] = log
        return process

    def log(self, process: subprocess.Popen[str]) -> str:
        """What a process has written to stderr so far."""
        return self._logs[process.pid].read_text()

    def kill(self, process: subprocess.Popen[str]) -> None:
        """As a power cut would: no handler runs."""
        process.send_signal(signal.SIGKILL)
        self._reap(process)

    def stop(self, process: subprocess.Popen[str]) -> tuple[int, str]:
        """End a process as systemd would; returns its exit code and what it wrote to stderr."""
        process.terminate()
        self._reap(process)
        return process.returncode, self.log(process)

    def _reap(self, process: subprocess.Popen[str]) -> None:
        if process in self._processes:
            self._processes.remove(process)
        process.communicate(timeout=20)

    def start_broker(self) -> subprocess.Popen[str]:
        command = ["mosquitto", "-c", str(self.server_folder.broker / "mosquitto.conf")]
        broker = self.start(command)
        wait_until(lambda: self.is_listening() or broker.poll() is not None, "the broker listens")
        assert broker.poll() is None, self.log(broker)
        return broker

    def is_listening(self) -> bool:
        with socket.socket() as probe:
            return probe.connect_ex(("127.0.0.1", self.port)) == 0

    def start_server(self, *options: str, wait: bool = True) -> subprocess.Popen[str]:
        """Start `pomona server run`."""
        folder = str(self.server_folder.path)
        command = [sys.executable, "-m", "pomona", "server", "run", "--folder", folder, *options]
        server = self.start(command)
        if wait:
            self.await_ready(server)
        return server

    def start_sync(self, device: Device) -> subprocess.Popen[str]:
        """Start `pomona sync`, which runs until it is stopped."""
        return self.start([sys.executable, "-m", "pomona", "sync", "--home", str(device.folder), "--verbose"])

    def pomona(self, *arguments: str) -> str:
        """Run the command line; returns what it printed."""
        process = self.start([sys.executable, "-m", "pomona", *arguments])
        said, _ = process.communicate(timeout=60)
        self._processes.remove(process)
        assert process.returncode == 0, self.log(process)
        return said

    def await_ready(self, server: subprocess.Popen[str]) -> None:
        """Wait until the server says that it is ready."""
        lines: queue.Queue[str] = queue.Queue()
        assert server.stdout is not None
        stdout = server.stdout
        threading.Thread(target=lambda: lines.put(stdout.readline()), daemon=True).start()
        assert lines.get(timeout=30) == "ready\n", self.log(server)

    def device(self, name: str) -> Device:
        made = Device(self, name)
        self._devices.append(made)
        return made

    def enrol(self, folder: Path, name: str) -> Identity:
        return enrol(self.server_folder, folder, name)

    def holdings(self) -> Holdings:
        database = Database.in_file(self.server_folder.database)
        with database.read() as session:
            held = read_holdings(session)
        database.close()
        return held

    def rows(self, query: str, *parameters: object) -> list[tuple[Any, ...]]:
        """Ask the server's database, without any code of ours between."""
        connection = sqlite3.connect(self.server_folder.database)
        found = connection.execute(query, parameters).fetchall()
        connection.close()
        return found

    def keys_of(self, device: str) -> list[str]:
        return [key for (key,) in self.rows("SELECT natural_key FROM record WHERE device = ?", device)]

    def close(self) -> None:
        for device in self._devices:
            device.store.close()
        for process in list(self._processes):
            self.kill(process)


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """Chromium; of one module, since no asyncio can run beside it."""
    with chromium() as running:
        yield running


@pytest.fixture(scope="session")
def mosquitto() -> None:
    os.environ["PATH"] += os.pathsep + "/usr/sbin"  # where Debian puts it, not in every user's path
    if shutil.which("mosquitto") is None:
        pytest.fail("the system tests need the broker: apt-get install mosquitto, or run make test, which does so")


@pytest.fixture
def site(tmp_path: Path, mosquitto: None) -> Iterator[Site]:
    """A site of this test alone, nothing started."""
    made = Site(tmp_path)
    yield made
    made.close()


@pytest.fixture(scope="module")
def running_site(tmp_path_factory: pytest.TempPathFactory, mosquitto: None) -> Iterator[Site]:
    """Broker and server, running, shared by tests that leave them so; each test uses devices of its own."""
    made = Site(tmp_path_factory.mktemp("site"))
    made.start_broker()
    made.start_server()
    yield made
    made.close()
