"""Several ingest processes that share what devices send, watched over by the one that started them."""

from __future__ import annotations

import contextlib
import gc
import logging
import multiprocessing
import signal
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from multiprocessing.connection import Connection as Pipe
from multiprocessing.connection import wait
from multiprocessing.context import SpawnProcess
from pathlib import Path

from cloud_sync.backoff import Backoff
from cloud_sync.errors import BrokerError, IdentityError
from cloud_sync.identity import Identity
from cloud_sync.server.errors import DatabaseError, FolderError, IngestError
from cloud_sync.server.feed import Feed
from cloud_sync.server.folder import ServerFolder
from cloud_sync.server.ingest import Ingest, Share
from cloud_sync.server.ingest_metrics import IngestMetrics
from cloud_sync.server.options import opened_database
from cloud_sync.topics import server_name

_log = logging.getLogger(__name__)

_END_TIMEOUT_S = 20.0
_READY = "ready"


def log_to_stderr(who: str = "") -> None:
    """Say what happens.

    Args:
        who: stands before each message.
    """
    logging.basicConfig(level=logging.INFO, format=f"%(asctime)s %(levelname)s {who}%(message)s")
    logging.getLogger("alembic").setLevel(logging.WARNING)  # it announces what it finds, not what it does


@dataclass(frozen=True)
class Work:
    """What all of them work on.

    Attributes:
        folder: the server's folder.
        host: host name or address of the broker.
        port: its TCP port.
        database: where records go, as SQLAlchemy writes it; None for the SQLite file in the folder.
        processes: how many share the work.
        feed: whether stored records are published once more, for readers.
    """

    folder: Path
    host: str
    port: int
    database: str | None
    processes: int = 1
    feed: bool = False

    def run_one(self, number: int, stop: threading.Event, on_ready: Callable[[], None]) -> None:
        """Receive, store and answer one share until told to stop.

        Args:
            number: which share, from 1.
            stop: ends the run when set.
            on_ready: called once, when the broker passes messages on.

        Raises:
            BrokerError: the broker refuses the server at the first contact, or its certificate is not the server's.
            DatabaseError: the database cannot be opened.
            FolderError: the folder was made for fewer processes.
        """
        home = ServerFolder(self.folder)
        key, certificate = home.ingest_key(number), home.ingest_certificate(number)
        if not certificate.exists():
            raise FolderError(
                f"server folder {self.folder} was made for fewer processes than {number}; run `pomona server init` "
                "again, with its hosts and port, and restart the broker"
            )
        identity = Identity(server_name(number), key, certificate, home.trusted, self.host, self.port)
        share = Share(home.ingest_group(), number, self.processes)
        _collect_seldom()
        with (
            contextlib.closing(IngestMetrics(home.metrics)) as metrics,
            opened_database(home, self.database, create=True) as database,
        ):
            Ingest(identity, database, share, metrics, Feed() if self.feed else None).run(stop, on_ready)


def run(work: Work, stop: threading.Event, on_ready: Callable[[], None]) -> None:
    """Receive, store and answer until told to stop, with as many processes as the work says.

    Args:
        work: what to work on.
        stop: ends the run when set.
        on_ready: called once, when the broker passes messages on to all of them.

    Raises:
        IngestError: one of several ended before it was ready; the text is its error's.
        BrokerError, DatabaseError, FolderError: as :meth:`Work.run_one`, where there is but one.
    """
    if work.processes == 1:
        work.run_one(1, stop, on_ready)
        return
    home = ServerFolder(work.folder)
    with opened_database(home, work.database, create=True):
        pass  # upgraded once, before any of them works with it
    home.ingest_group()
    _Watch(work).run(stop, on_ready)


@dataclass
class _Member:
    """One of the processes, as the one that watches sees it.

    Attributes:
        process: the process.
        news: what it says comes in here.
        backoff: how long it waits before it is started again.
        was_ready: whether it has ever been ready, in this life or an earlier one.
        error: its last words and exit code.
    """

    process: SpawnProcess
    news: Pipe
    backoff: Backoff
    was_ready: bool = False
    error: tuple[str, int] | None = None

    def listen(self) -> None:
        """Take in what it has said."""
        with contextlib.suppress(EOFError):
            while self.news.poll():
                said = self.news.recv()
                if said == _READY:
                    self.was_ready = True
                    self.backoff.reset()
                else:
                    self.error = said


class _Watch:
    """Starts the processes, starts again what ends unasked, and ends them."""

    def __init__(self, work: Work) -> None:
        self._work = work
        self._members: dict[int, _Member] = {}

    def run(self, stop: threading.Event, on_ready: Callable[[], None]) -> None:
        """As :func:`run`."""
        due = dict.fromkeys(range(1, self._work.processes + 1), 0.0)
        told = False
        try:
            while not stop.is_set():
                for number in [number for number, at in due.items() if at <= time.monotonic()]:
                    del due[number]
                    self._start(number)
                wait([member.process.sentinel for member in self._members.values() if member.process.is_alive()], 0.3)
                for number, member in self._members.items():
                    if number in due:
                        continue
                    member.listen()
                    if not member.process.is_alive():
                        due[number] = time.monotonic() + self._mourn(number, member)
                if not told and all(member.was_ready for member in self._members.values()):
                    on_ready()
                    told = True
        finally:
            self._end()

    def _start(self, number: int) -> None:
        context = multiprocessing.get_context("spawn")  # a fork would share the locks of our threads
        news, tell = context.Pipe(duplex=False)
        process = context.Process(target=_member, args=(self._work, number, tell), name=f"ingest-{number}")
        process.start()
        tell.close()
        former = self._members.get(number)
        backoff = former.backoff if former else Backoff(least_s=1.0, most_s=30.0)
        self._members[number] = _Member(process, news, backoff, was_ready=former is not None)

    @staticmethod
    def _mourn(number: int, member: _Member) -> float:
        """Say that a process has ended unasked. Returns after how many seconds it is to be started again.

        Raises:
            IngestError: it never was ready: what is wrong then is not going to pass.
        """
        member.listen()  # its last words
        member.news.close()
        ended = f"ingest process {number} ended with exit code {member.process.exitcode}"
        if not member.was_ready:
            raise IngestError(*(member.error or (f"{ended} before it was ready", 1)))
        wait_s = member.backoff.next_s()
        _log.error("%s: %s; it starts again in %.1f s", ended, member.error[0] if member.error else "killed", wait_s)
        return wait_s

    def _end(self) -> None:
        for member in self._members.values():
            member.process.terminate()
        for member in self._members.values():
            member.process.join(_END_TIMEOUT_S)
            if member.process.is_alive():
                member.process.kill()
                member.process.join()
            member.news.close()


def _member(work: Work, number: int, tell: Pipe) -> None:
    """What a process of its own runs."""
    log_to_stderr(f"[{number}] ")
    stop = threading.Event()
    for signal_number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(signal_number, lambda *_: stop.set())
    threading.Thread(target=_outlive_nobody, args=(stop,), daemon=True).start()

    def say(news: str | tuple[str, int]) -> None:
        with contextlib.suppress(BrokenPipeError):  # nobody watches any more, and this one is about to end too
            tell.send(news)

    try:
        work.run_one(number, stop, on_ready=lambda: say(_READY))
    except (BrokerError, DatabaseError, FolderError, IdentityError) as error:
        say((str(error), error.exit_code))
        raise SystemExit(error.exit_code) from error


def _collect_seldom() -> None:
    """Look for garbage in cycles less often, and not among what lives as long as the process.

    A record makes hundreds of objects that die by themselves; looking through all others for each few of them took a
    quarter of the time.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(20_000, 20, 20)


def _outlive_nobody(stop: threading.Event) -> None:
    """End with the process that watches: a stray one would fight with its successor for the name they share."""
    parent = multiprocessing.parent_process()
    assert parent is not None
    parent.join()
    stop.set()
