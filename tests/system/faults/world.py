"""One device, one broker, one server as real processes that work while faults are done to them."""

from __future__ import annotations

import contextlib
import os
import random
import signal
import subprocess
import sys
import time
from collections import Counter as Tally
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from cloud_sync.enrolment import Address
from cloud_sync.server.broker import initialise
from cloud_sync.server.folder import ServerFolder, ServerSettings
from cloud_sync.uplink import UplinkSettings
from device.orchards import BlockSettings, register_block
from device.store import Store
from tests.cloud_sync.helpers import enrol, free_port
from tests.disc_bundle import make_disc_bundle
from tests.drawing import TAKEN_AT
from tests.postgresql import PostgreSQL
from tests.processes import ROOT
from tests.system.faults.card import OTHER_RECORDS, RECORDS_A_TREE, TREES_AT_ONCE, Card
from tests.system.faults.moments import AtSystemCall, Moment, dying_command
from tests.system.faults.starter import Process, Starter
from tests.system.faults.truth import check_card, compare, keep_journal, queued, waiting

DEVICE = "kiwi-07"
# The rules of the wire as they are, at another scale: what waits half a minute in the field waits a moment here.
QUICK = UplinkSettings(
    window=50,
    resend_s=0.3,
    most_resend_s=2.0,
    poll_s=0.05,
    least_backoff_s=0.02,
    most_backoff_s=0.2,
    connect_timeout_s=2.0,
    keepalive_s=1,
    compare_s=2.0,
    spread_s=0.3,
    ask_again_s=1.0,
)
# what makes no progress for so long is as good as lost
_CALM_S = 120.0
IMPORT, BY_HAND, UPLINK, SERVER, BROKER = "import", "by-hand", "uplink", "server", "broker"
# of a server with several processes one, and a database that is a process of its own
SHARE, DATABASE = "share", "database"


class DifferenceError(AssertionError):
    """Server, device and orchard do not agree, or a process ended as none may."""


@dataclass(frozen=True)
class Places:
    """Where a world's data lie and its ends listen.

    Attributes:
        folder: holds everything that is not named elsewhere.
        home: the device's store.
        database: SQLAlchemy URL of the server's database.
        broker_port: where the broker listens.
        device_port: where the device finds it.
        server_port: where the server finds it.
        host: address the broker listens on.
        enter: words before a command that make it run on the host of ``device``, ``broker`` or ``server``.
        options: further words of ``pomona server run``.
    """

    folder: Path
    home: Path
    database: str
    broker_port: int
    device_port: int
    server_port: int
    host: str = "127.0.0.1"
    enter: Callable[[str], Sequence[str]] = lambda _host: ()
    options: Sequence[str] = ()

    @classmethod
    def below(cls, folder: Path) -> Places:
        """Everything in one folder, nothing between the ends and the broker."""
        port = free_port()
        return cls(folder, folder / "home", f"sqlite:///{folder / 'server' / 'pomona.sqlite'}", port, port, port)


class World:
    """The processes and their work.

    Args:
        places: where everything is.
        records: how many records the device makes in all, or a few more.
        may_end: whether a process may end so: its name, exit code and what it said. Otherwise only a kill and an
            orderly end are right.
        trees_at_once: trees whose sides a come before their sides b.
        postgresql: the server of the database, where it is one.
        is_restored: the server forgets at times, so what was sent may have to be sent again.

    Attributes:
        places: as given.
        card: the photos.
        ended: how processes ended, by name and exit code.
    """

    def __init__(
        self,
        places: Places,
        records: int,
        may_end: Callable[[str, int, str], bool] = lambda *_: False,
        trees_at_once: int = TREES_AT_ONCE,
        postgresql: PostgreSQL | None = None,
        is_restored: bool = False,
    ) -> None:
        self.places = places
        self.ended: Tally[tuple[str, int]] = Tally()
        self._may_end = may_end
        self._postgresql = postgresql
        self._is_restored = is_restored
        self._running: dict[str, Process | subprocess.Popen[bytes]] = {}
        self._database_is_up = postgresql is not None
        self._importing: list[Path] = []
        self._counted: list[str] = []
        self._to_note: dict[str, int] = {}
        self._logs = places.folder / "logs"
        self._logs.mkdir(parents=True)
        self._server_folder = ServerFolder(places.folder / "server")
        initialise(self._server_folder, ServerSettings(hosts=[places.host], port=places.broker_port, bind=places.host))
        self._bundle = make_disc_bundle(places.folder / "bundle")
        trees = -(-(records - OTHER_RECORDS) // RECORDS_A_TREE)
        self._inbox = places.folder / "inbox"
        self.card = Card(self._inbox / "B1" / "ripening", trees, trees_at_once)
        self._make_device()
        self._device = Starter(self._logs, places.enter("device"))
        self._server = Starter(self._logs, places.enter("server")) if places.enter("server") else self._device

    def _make_device(self) -> None:
        home = self.places.home
        store = Store(home)
        enrol(self._server_folder, home, DEVICE)
        (home / "identity" / "broker.json").write_text(
            Address(host=self.places.host, port=self.places.device_port).model_dump_json()
        )
        keep_journal(home)
        register_block(store, "B1", "North farm", BlockSettings(trees=10_000, area_m2=100_000))
        store.close()

    def is_running(self, name: str) -> bool:
        """Whether a process is there."""
        self._look(name)
        return name in self._running

    def mend(self) -> None:
        """Start what ought to run for ever and does not."""
        if self._postgresql is not None and not self._database_is_up:
            self._postgresql.start()
            self._database_is_up = True
        for name in (BROKER, SERVER, UPLINK):
            self.start(name)

    def work(self, photos: int, chance: random.Random) -> None:
        """Have new photos brought in, and at times trees counted by hand; what was begun and killed is begun again."""
        self.card.put(photos)
        if not self._to_note and self._counted and chance.random() < 0.5:
            self.note({chance.choice(self._counted): chance.randrange(1000) for _ in range(3)})
        self._carry_on(watching=chance.random() < 0.3)

    def note(self, counts: dict[str, int]) -> None:
        """Have somebody count trees by hand, with the next :meth:`work` or :meth:`start`."""
        self._to_note = counts

    def _carry_on(self, *, watching: bool) -> None:
        # looked at first: one that has just ended has cleared the card
        if not self.is_running(IMPORT) and self.card.waiting():
            self.start(IMPORT, watching=watching)
        if not self.is_running(BY_HAND) and self._to_note:
            self.start(BY_HAND)

    def start(self, name: str, until: Moment | None = None, *, watching: bool = False) -> None:
        """Start a process that is not there.

        Args:
            name: which.
            until: the moment at which it is killed.
            watching: import as the folder watcher does it.
        """
        if self.is_running(name):
            return
        if name == IMPORT:
            self._importing = self.card.waiting()
        if name == BROKER:
            self._running[name] = self._start_broker()
        elif isinstance(until, AtSystemCall):
            self._running[name] = self._start_traced(name, until)
        elif name == UPLINK:
            self._running[name] = self._device.uplink(self.places.home, QUICK, until)
        else:
            starter = self._server if name == SERVER else self._device
            self._running[name] = starter.pomona(*self._words(name, watching=watching), name=name, until=until)

    def die(self, name: str, until: Moment, *, watching: bool = False) -> None:
        """Start a process and wait until it was killed at that moment.

        Raises:
            DifferenceError: it was not.
        """
        self.start(name, until, watching=watching)
        process, deadline = self._running[name], time.monotonic() + _CALM_S
        while process.poll() is None:
            if time.monotonic() > deadline:
                raise DifferenceError(f"{name} did not come to {until}")
            time.sleep(0.01)
        self._look(name)
        if process.poll() != -signal.SIGKILL:
            raise DifferenceError(f"{name} ended with {process.poll()} before {until}")

    def kill(self, name: str) -> bool:
        """End a process with SIGKILL; returns whether that is what ended it."""
        if name == DATABASE:
            return self._kill_database()
        if name == SHARE:
            return self._kill_share()
        if not self.is_running(name):
            return False
        process = self._running[name]
        process.kill()
        code = process.wait()
        self._look(name)
        return code == -signal.SIGKILL

    def _kill_database(self) -> bool:
        if self._postgresql is None or not self._database_is_up:
            return False
        self._postgresql.kill()
        self._database_is_up = False
        return True

    def _kill_share(self) -> bool:
        server = self._running.get(SERVER)
        with contextlib.suppress(OSError, IndexError):  # what ends by itself meanwhile
            os.kill(_children(server.pid if server else 0, of="spawn_main")[-1], signal.SIGKILL)
            return True
        return False

    def settle(self) -> int:
        """Let everything come right, without faults, and compare; returns how many records were the same.

        Raises:
            DifferenceError: it does not come right, or something differs.
        """
        until = self._come_to_rest()
        while True:
            result = compare(self.places.home, self.places.database, DEVICE, thumbnails_remade=self._is_restored)
            found = [*result.found, *check_card(self.places.home, self.card), *self._read_logs()]
            if not found:
                return result.records
            if not self._is_restored or time.monotonic() > until:
                told = "\n  ".join(found[:20])
                raise DifferenceError(f"{len(found)} differences, data in {self.places.folder}:\n  {told}")
            time.sleep(0.2)
            self._come_to_rest()

    def _read_logs(self) -> list[str]:
        """Tracebacks, also of processes that outlived the one that started them."""
        return [f"a traceback in {log}" for log in self._logs.glob("*.log") if b"Traceback" in log.read_bytes()]

    def _come_to_rest(self) -> float:
        """Wait until all photos are in and nothing waits to be sent; returns until when the rest may take."""
        made, least, until = -1, 0, 0.0
        while self.card.waiting() or self._to_note or waiting(self.places.home):
            self.mend()
            self._carry_on(watching=False)
            now, number, left = time.monotonic(), queued(self.places.home), waiting(self.places.home)
            if number > made or left < least:
                made, least, until = number, left, now + _CALM_S
            if now > until:
                raise DifferenceError(
                    f"no progress for {_CALM_S:g} s: {len(self.card.waiting())} photos on the card, "
                    f"{left} messages in the outbox; logs in {self._logs}"
                )
            time.sleep(0.02)
        return time.monotonic() + _CALM_S

    def close(self) -> None:
        """End all processes, whatever became of them."""
        for process in self._running.values():
            process.kill()
            process.wait()
        for starter in {self._device, self._server}:
            starter.close()

    def _look(self, name: str) -> None:
        """Note how a process ended, if it has."""
        process = self._running.get(name)
        if process is None or (code := process.poll()) is None:
            return
        del self._running[name]
        self.ended[name, code] += 1
        said = process.log.read_text() if isinstance(process, Process) else ""
        if name == UPLINK and "no longer has" in said and not self._is_restored:
            raise DifferenceError(f"the server has lost what it had stored: {said}")
        if "Traceback" in said or (code not in {0, -signal.SIGKILL} and not self._may_end(name, code, said)):
            raise DifferenceError(f"{name} ended with {code}: {said}")
        if code == 0 and name == IMPORT:
            self._counted += [path.parent.name for path in self._importing]
            self.card.take_away(self._importing)
        elif code == 0 and name == BY_HAND:
            self.card.by_hand.update(self._to_note)
            self._to_note = {}

    def _start_broker(self) -> subprocess.Popen[bytes]:
        log = (self._logs / "broker.log").open("ab")
        command = [*self.places.enter(BROKER), "mosquitto", "-c", str(self._server_folder.broker / "mosquitto.conf")]
        with log:
            return subprocess.Popen(command, stdout=log, stderr=log)

    def _start_traced(self, name: str, until: AtSystemCall) -> subprocess.Popen[bytes]:
        folder = Path(self.places.database.partition("///")[2]).parent if name == SERVER else self.places.home
        words = [sys.executable, "-m", "pomona", *map(str, self._words(name))]
        with (self._logs / f"{name}-traced.log").open("ab") as log:
            return subprocess.Popen(
                dying_command(until, str(folder / until.file), words), cwd=ROOT, stdout=log, stderr=log
            )

    def _words(self, name: str, *, watching: bool = False) -> list[object]:
        """The command line of a process."""
        home = ["--home", self.places.home]
        visit = ["--block", "B1", "--stage", "ripening"]
        counter = ["--threads", 1, "--bundle", self._bundle.folder]
        match name:
            case "server":
                options = [
                    "--database",
                    self.places.database,
                    "--broker",
                    f"{self.places.host}:{self.places.server_port}",
                    *self.places.options,
                ]
                return ["server", "run", "--folder", self._server_folder.path, *options]
            case "uplink":
                return ["sync", *home]
            case "by-hand":
                return ["visit", "by-hand", self._hand_counts(), *visit, "--day", TAKEN_AT.date(), *home]
            case _ if watching:
                return ["visit", "watch", self._inbox, "--once", *counter, *home]
        return ["visit", "import", self.card.folder, *visit, *counter, *home]

    def _hand_counts(self) -> Path:
        table = self.places.folder / "by-hand.csv"
        table.write_text("tree,by_hand\n" + "".join(f"{tree},{count}\n" for tree, count in self._to_note.items()))
        return table


def _children(process: int, of: str) -> list[int]:
    """Processes that a process has started, with a word in their command line."""
    children = [Path("/proc", child) for tasks in _tasks(process) for child in tasks.read_text().split()]
    return sorted(int(child.name) for child in children if of.encode() in (child / "cmdline").read_bytes())


def _tasks(process: int) -> list[Path]:
    return list(Path(f"/proc/{process}/task").glob("*/children"))
