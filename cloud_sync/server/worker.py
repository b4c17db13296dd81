"""The one thread that writes: drains the inbox in batches, one transaction each, and answers after the commit."""

from __future__ import annotations

import logging
import queue
import threading
import time
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from itertools import chain, islice
from typing import TypeVar

from cloud_sync.messages import Answer, Answers
from cloud_sync.server import backends
from cloud_sync.server.announcing import Announcer
from cloud_sync.server.database import Database
from cloud_sync.server.ingest_metrics import IngestMetrics
from cloud_sync.server.reconcile import Reconciler
from cloud_sync.server.screening import Accepted, Received, Refused, StateChange, screen, unfold
from cloud_sync.server.storing import Reply, Screened, store

T = TypeVar("T")
_log = logging.getLogger(__name__)

_MOST_ANSWERS = 1000
# Far below what the broker takes: a longer packet would end the server's connection, again and again.
_MOST_ANSWER_BYTES = 64 * 1024
_SHORT_ANSWER_BYTES = 200  # at most, without a reason
# between looks for documents that were published
_LOOK_S = 5.0


@dataclass(frozen=True)
class Delivery:
    """A message and how to confirm it to the broker.

    Attributes:
        received: the message.
        confirm: tells the broker that it need not deliver it again.
    """

    received: Received
    confirm: Callable[[], object]


class Inbox(queue.Queue[Delivery]):
    """What has been received and waits to be stored.

    Attributes:
        waiting_bytes: length of all that waits.
    """

    def __init__(self) -> None:
        super().__init__()
        self.waiting_bytes = 0

    def _put(self, item: Delivery) -> None:
        self.waiting_bytes += len(item.received.payload)
        super()._put(item)

    def _get(self) -> Delivery:
        item = super()._get()
        self.waiting_bytes -= len(item.received.payload)
        return item


class Worker:
    """Stores what comes in and answers for it.

    Args:
        database: where to.
        inbox: what the network brought.
        answer: publishes answers to a device.
        announcer: knows trees by the server's codes, and tells devices which documents they should have.
        metrics: counts what is done.
        on_stored: told of records after they were committed and answered; a message may come again.
        reconciler: compares what is held with what devices have sent; None leaves that to another process.
        batch: most messages in one transaction, the lines of batches counted singly.
    """

    def __init__(
        self,
        database: Database,
        inbox: queue.Queue[Delivery],
        answer: Callable[[str, Answers], None],
        announcer: Announcer | None = None,
        metrics: IngestMetrics | None = None,
        *,
        on_stored: Callable[[Sequence[Accepted]], object] | None = None,
        reconciler: Reconciler | None = None,
        batch: int = 500,
    ) -> None:
        self._metrics = metrics or IngestMetrics()
        self._database = database
        self._inbox = inbox
        self._answer = answer
        self._announcer = announcer
        self._look_at = 0.0
        self._on_stored = on_stored
        self._reconciler = reconciler
        self._batch = batch
        self._in_trouble = False

    def run(self, stop: threading.Event) -> None:
        """Work until told to stop; what is then still in the inbox is delivered or sent again later."""
        try:
            while not stop.is_set():
                deliveries = self._drain()
                if deliveries:
                    self.process(deliveries)
                self._look_for_documents()
                if self._reconciler is not None:
                    self._aside(self._reconciler.ask_for_gaps)
                self._metrics.save(self._inbox.qsize())
        finally:
            stop.set()  # a server that receives and does not store must not look alive

    def _drain(self) -> list[Delivery]:
        deliveries = []
        try:
            deliveries.append(self._inbox.get(timeout=0.5))
            while len(deliveries) < self._batch:
                deliveries.append(self._inbox.get_nowait())
        except queue.Empty:
            pass
        return deliveries

    def process(self, deliveries: Sequence[Delivery]) -> None:
        """Screen, store, answer and confirm what was delivered, whatever was sent."""
        screened = chain.from_iterable(_screened(delivery.received) for delivery in deliveries)
        # a few batches can unfold to more than the memory holds, so no more of them is unfolded than is stored at once
        while some := list(islice(screened, self._batch)):
            if self._reconciler is not None:
                self._aside(partial(self._reconciler.greet, some))
            started = time.perf_counter()
            replies = self._store([self._renamed(item) for item in some])
            self._metrics.count_batch(some, replies, time.perf_counter() - started)
            self._reply(replies)
            self._greet(some)
            self._pass_on(list(_stored(some, replies)))
            if self._reconciler is not None:
                self._aside(partial(self._reconciler.follow, some))
        for delivery in deliveries:
            delivery.confirm()

    def _renamed(self, item: Screened) -> Screened:
        """The same, about the tree that the server knows by another code."""
        # asked first, for to look into the body it has to be parsed once more
        if (
            self._announcer is None
            or not isinstance(item, Accepted)
            or not self._announcer.codes.concern(item.envelope.type)
        ):
            return item
        key = self._announcer.codes.natural_key(item.envelope.type, item.body, item.natural_key)
        return item if key == item.natural_key else replace(item, natural_key=key)

    def _greet(self, batch: Iterable[Screened]) -> None:
        """Tell devices that have come online which documents they should have."""
        came = {item.device for item in batch if isinstance(item, StateChange) and item.state.online}
        if self._announcer is not None and came:
            self._documents(partial(self._announcer.greet, sorted(came)))

    def _look_for_documents(self) -> None:
        if self._announcer is not None and time.monotonic() >= self._look_at:
            self._look_at = time.monotonic() + _LOOK_S
            self._documents(self._announcer.look)

    def _documents(self, action: Callable[[], None]) -> None:
        error = _guarded(action)
        if isinstance(error, Exception):
            _log.error("devices are not told of documents, which is tried again: %s", error)

    @staticmethod
    def _aside(action: Callable[[], None]) -> None:
        """What no message depends on: devices ask again."""
        if isinstance(error := _guarded(action), Exception):
            _log.error("what is held cannot be compared with what devices have sent: %s", error)

    def _reply(self, replies: Iterable[Reply]) -> None:
        by_device: dict[str, list[Answer]] = defaultdict(list)
        for device, answer in replies:
            by_device[device].append(answer)
        for device, answers in by_device.items():
            for portion in portions(answers):
                self._answer(device, portion)

    def _pass_on(self, stored: Sequence[Accepted]) -> None:
        if self._on_stored is None or not stored:
            return
        error = _guarded(partial(self._on_stored, stored))
        if isinstance(error, Exception):
            _log.error("%d stored records cannot be passed on: %s", len(stored), error)

    def _store(self, batch: Sequence[Screened]) -> list[Reply]:
        """Store a batch, or what of it can be stored, and say what became of each message."""
        replies = _guarded(lambda: self._commit(batch))
        if isinstance(replies, Exception) and backends.is_worth_repeating(replies):
            replies = _guarded(lambda: self._commit(batch))
        if isinstance(replies, Exception) and backends.is_passing(replies):
            return self._retry(batch, replies)
        if isinstance(replies, Exception):
            if len(batch) == 1:
                return self._bury(batch[0], replies)
            _log.error("a batch of %d messages cannot be stored, so each half is stored: %s", len(batch), replies)
            half = len(batch) // 2
            return self._store(batch[:half]) + self._store(batch[half:])
        if self._in_trouble:
            self._in_trouble = False
            _log.warning("the database takes messages again")
        return replies

    def _commit(self, batch: Sequence[Screened]) -> list[Reply]:
        with self._database.write() as session:
            return store(session, batch)

    def _bury(self, item: Screened, error: Exception) -> list[Reply]:
        """Put a message that the database cannot hold among the dead letters."""
        device, message = _sender(item)
        _log.error("message %s of %s cannot be stored: %s", message, device, error)
        refused = Refused(item.received, device, message, f"the server cannot store it: {type(error).__name__}")
        replies = _guarded(lambda: self._commit([refused]))
        if isinstance(replies, Exception):
            return self._retry([item], replies)  # not even that can be stored: the fault is not the message's
        return replies

    def _retry(self, batch: Sequence[Screened], error: Exception) -> list[Reply]:
        if not self._in_trouble:
            self._in_trouble = True
            _log.error("the database does not take messages, devices will send them again: %s", error)
        return [
            (device, Answer(message=message, result="retry", reason="the server's database does not take it now"))
            for device, message in map(_sender, batch)
            if device is not None and message is not None
        ]


def portions(answers: Iterable[Answer]) -> Iterator[Answers]:
    """Split answers into messages that the broker takes."""
    portion: list[Answer] = []
    length = 0
    for answer in answers:
        more = len(answer.model_dump_json().encode()) if answer.reason else _SHORT_ANSWER_BYTES
        if portion and (len(portion) == _MOST_ANSWERS or length + more > _MOST_ANSWER_BYTES):
            yield Answers(answers=portion)
            portion, length = [], 0
        portion.append(answer)
        length += more
    if portion:
        yield Answers(answers=portion)


def _guarded(action: Callable[[], T]) -> T | Exception:
    """The boundary of the server: nothing a device sends may stop the others' messages.

    Returns:
        What the action returned, or what it raised.
    """
    try:
        return action()
    except Exception as error:  # noqa: BLE001  (this is the one place that catches everything)
        return error


def _stored(batch: Iterable[Screened], replies: Iterable[Reply]) -> Iterator[Accepted]:
    """The records of a batch that were answered ``stored``."""
    told = {(device, answer.message) for device, answer in replies if answer.result == "stored"}
    for item in batch:
        if isinstance(item, Accepted) and (item.envelope.device, item.envelope.message) in told:
            yield item


def _screened(received: Received) -> Iterator[Screened]:
    parts = _guarded(partial(unfold, received))
    if isinstance(parts, Exception):
        parts = [_unreadable(received, parts)]
    for part in parts:
        item = part if isinstance(part, Refused) else _guarded(partial(screen, part))
        if isinstance(item, Exception):
            item = _unreadable(received if isinstance(part, Refused) else part, item)
        if item is not None:
            yield item


def _unreadable(received: Received, error: Exception) -> Refused:
    _log.error("a message on %s cannot be screened: %s", received.topic, error)
    return Refused(received, None, None, f"the server cannot read it: {type(error).__name__}")


def _sender(item: Screened) -> tuple[str | None, str | None]:
    """Device and message to answer for."""
    if isinstance(item, Accepted):
        return item.envelope.device, item.envelope.message
    return item.device, item.message if isinstance(item, Refused) else None
