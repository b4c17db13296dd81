"""What an ingest process counts of itself, and the file through which the fleet's ``/metrics`` reads it.

Each process has a number, the lowest that is free, and a file of its own, so that a process that is started again goes
on in the same series from 0, as Prometheus expects of one. prometheus_client's own way for several processes is not
used: it keeps counters in mapped files, and a disk that is full ends the process at the next count (SIGBUS).
"""

from __future__ import annotations

import contextlib
import fcntl
import logging
import time
from collections import Counter as Tally
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import IO

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, ProcessCollector, generate_latest

from cloud_sync.messages import Answer
from cloud_sync.server.screening import Accepted, Asked, Refused, StateChange

_log = logging.getLogger(__name__)

_MOST_PROCESSES = 1000
_SAVE_EVERY_S = 5.0


class IngestMetrics:
    """Counts what one process does. Used by the thread that writes, but for :attr:`connected`.

    Args:
        folder: where processes put their figures; None keeps them to this process.

    Attributes:
        registry: the metrics.
        connected: 1 while the broker passes messages on.
    """

    def __init__(self, folder: Path | None = None) -> None:
        self.registry = CollectorRegistry()
        ProcessCollector(namespace="pomona_ingest", registry=self.registry)
        self.connected = Gauge(
            "pomona_ingest_connected", "1 while the broker passes messages on.", registry=self.registry
        )
        self._records = Counter(
            "pomona_ingest_records",
            "Records answered as stored, those that came again too.",
            ["type"],
            registry=self.registry,
        )
        self._answers = Counter("pomona_ingest_answers", "Answers to devices.", ["result"], registry=self.registry)
        self._dead = Counter("pomona_ingest_dead_letters", "Messages that were refused.", registry=self.registry)
        self._batch = Histogram(
            "pomona_ingest_batch_messages",
            "Messages in one transaction.",
            buckets=(1, 2, 5, 10, 20, 50, 100, 200, 500, 1000),
            registry=self.registry,
        )
        self._commit = Histogram(
            "pomona_ingest_commit_seconds",
            "Time until a batch was in the database, or was given up.",
            buckets=(0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10),
            registry=self.registry,
        )
        self._queue = Gauge(
            "pomona_ingest_queue_messages", "Messages received that wait for the database.", registry=self.registry
        )
        self._saved_at = 0.0
        self._trouble = ""
        self._file, self._lock = _take_number(folder) if folder is not None else (None, None)

    def count_batch(
        self,
        batch: Sequence[Accepted | Refused | StateChange | Asked],
        replies: Iterable[tuple[str, Answer]],
        seconds: float,
    ) -> None:
        """Count a batch that was worked through.

        Args:
            batch: screened messages.
            replies: devices and what they are told.
            seconds: how long the database took.
        """
        self._batch.observe(len(batch))
        self._commit.observe(seconds)
        self._dead.inc(sum(isinstance(item, Refused) for item in batch))
        results = {(device, answer.message): answer.result for device, answer in replies}
        for result, number in Tally(results.values()).items():
            self._answers.labels(result).inc(number)
        stored = Tally(
            item.envelope.type
            for item in batch
            if isinstance(item, Accepted) and results.get((item.envelope.device, item.envelope.message)) == "stored"
        )
        for kind, number in stored.items():
            self._records.labels(kind).inc(number)

    def save(self, waiting: int, *, at_once: bool = False) -> None:
        """Put the figures where the fleet's page reads them, every few seconds; a full disk stops nothing.

        Args:
            waiting: messages in the inbox.
            at_once: do not wait for the seconds to pass.
        """
        self._queue.set(waiting)
        if self._file is None or (not at_once and time.monotonic() - self._saved_at < _SAVE_EVERY_S):
            return
        self._saved_at = time.monotonic()
        fresh = self._file.with_suffix(".new")
        try:
            fresh.write_bytes(generate_latest(self.registry))
            fresh.replace(self._file)  # not brought to the disk: after a power cut they count from 0 anyway
            self._trouble = ""
        except OSError as error:
            if str(error) != self._trouble:
                self._trouble = str(error)
                _log.warning("metrics of ingest cannot be written: %s", error)

    def close(self) -> None:
        """Give the number back."""
        if self._lock is not None:
            self._lock.close()


def read_processes(folder: Path) -> Iterator[tuple[str, str]]:
    """Number and metrics, in Prometheus' text format, of each ingest process that runs."""
    for file in sorted(folder.glob("ingest-*.prom")):
        with contextlib.suppress(OSError), file.with_suffix(".lock").open("a") as lock:
            if not _take(lock, fcntl.LOCK_SH):  # whoever holds it lives
                yield file.stem.removeprefix("ingest-"), file.read_text(encoding="utf-8")


def _take_number(folder: Path) -> tuple[Path | None, IO[str] | None]:
    """The file for the lowest number that no other process has, and the lock that keeps it ours."""
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        for number in range(1, _MOST_PROCESSES + 1):
            file = folder / f"ingest-{number}.prom"
            lock = file.with_suffix(".lock").open("a")
            if _take(lock, fcntl.LOCK_EX):
                file.unlink(missing_ok=True)  # of one that has died
                return file, lock
            lock.close()
    except OSError as error:
        _log.warning("metrics of ingest cannot be written: %s", error)
    return None, None


def _take(lock: IO[str], how: int) -> bool:
    try:
        fcntl.flock(lock, how | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
