"""What the uplink sends over a connection and what it makes of the answers: between outbox, window and broker."""

from __future__ import annotations

import contextlib
import logging
import sqlite3
import time
from collections.abc import Callable, Iterator

from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties
from paho.mqtt.reasoncodes import ReasonCode
from pydantic import ValidationError

from cloud_sync import topics
from cloud_sync.connection import RefusedError
from cloud_sync.messages import MOST_BYTES, Answers
from cloud_sync.outbox import Outbox, Waiting
from cloud_sync.window import SendWindow

_log = logging.getLogger(__name__)

_NOT_AUTHORISED = 0x87
# What a packet holds besides its payload: headers, topic, correlation data, content type.
_OVERHEAD_BYTES = 512
# MQTT reason codes about the message itself: implementation specific error, topic name invalid, payload format
# invalid. Sending it again would not change them.
_UNACCEPTABLE = (0x83, 0x90, 0x99)

Publish = Callable[[str, bytes, Properties], int]
"""Publishes a payload on a topic at QoS 1; returns the packet id."""


class OutboxError(RuntimeError):
    """The outbox cannot be read or written, for instance because the disk is full."""

    exit_code = 1


class Sender:
    """Keeps the window filled from the outbox and settles what the server has answered.

    The network's callbacks only note what came (:meth:`note_puback`, :meth:`note_answers`); :meth:`settle` acts on it.

    Args:
        outbox: the store's outbox.
        device: name of the device.
        window: the unanswered messages.

    Attributes:
        stored: messages that left because the server has stored them, or a later revision of their record.
        rejected: messages that were refused.
        progress_at: monotonic time when a message last left the queue, in seconds.
        trouble: why messages may be waiting although the broker is there.
    """

    def __init__(self, outbox: Outbox, device: str, window: SendWindow) -> None:
        self.stored = 0
        self.rejected = 0
        self.progress_at = time.monotonic()
        self.trouble = "the broker accepts messages, but the server does not answer"
        self._outbox = outbox
        self._device = device
        self._window = window
        self._on_way: dict[int, Waiting] = {}  # by packet id
        self._pubacks: list[tuple[int, ReasonCode]] = []
        self._answers: list[bytes] = []
        self._read_up_to = 0
        self._most_bytes = MOST_BYTES

    def attach(self, *, session_present: bool, most_packet_bytes: int | None = None) -> None:
        """Begin with a new connection.

        Args:
            session_present: whether the broker still had our session.
            most_packet_bytes: longest packet the broker takes; sending more would end the connection each time.
        """
        self._most_bytes = min(MOST_BYTES, (most_packet_bytes or 2**28) - _OVERHEAD_BYTES)
        self._on_way.clear()
        self._pubacks.clear()
        self._window.reconnected(time.monotonic(), session_present=session_present)

    def note_puback(self, packet: int, reason: ReasonCode) -> None:
        """Note what the broker said to a packet."""
        self._pubacks.append((packet, reason))

    def note_answers(self, payload: bytes) -> None:
        """Note a message from the server."""
        self._answers.append(payload)

    def settle(self) -> bool:
        """Act on what was noted.

        Returns:
            Whether the server has answered anything.

        Raises:
            RefusedError: the broker does not let this device write its own topics.
            OutboxError: the outbox cannot be written; nothing is forgotten, the server will answer again.
        """
        pubacks, self._pubacks = self._pubacks, []
        for packet, reason in pubacks:
            self._judge_puback(packet, reason)
        payloads, self._answers = self._answers, []
        read = [self._judge_answers(payload) for payload in payloads]
        return any(read)

    def send(self, publish: Publish) -> None:
        """Send again what is due and fill the window with what is new.

        Raises:
            OutboxError: the outbox cannot be read.
        """
        for message, sequence in self._window.due(time.monotonic()):
            found = [waiting for waiting in self._read(sequence - 1, 1) if waiting.message == message]
            if found:
                self._publish(publish, found[0])
            else:
                self._window.answered(message)  # settled by someone else
        if len(self._window) == 0:
            self._read_up_to = 0  # messages put back after a refusal have low numbers
        if self._window.room > 0:
            for waiting in self._read(self._read_up_to, self._window.room):
                self._read_up_to = waiting.sequence
                self._publish(publish, waiting)

    def waiting(self) -> int:
        """How many messages the server has not answered for.

        Raises:
            OutboxError: the outbox cannot be read.
        """
        with _outbox_errors():
            return self._outbox.state().waiting

    def _read(self, after: int, at_most: int) -> list[Waiting]:
        with _outbox_errors():
            return self._outbox.waiting(self._device, after, at_most)

    def _publish(self, publish: Publish, waiting: Waiting) -> None:
        if len(waiting.payload) > self._most_bytes:
            self._reject(waiting.message, f"it has {len(waiting.payload)} bytes, more than {self._most_bytes}")
            return
        properties = Properties(PacketTypes.PUBLISH)  # type: ignore[no-untyped-call]
        properties.CorrelationData = f"{waiting.message}:{waiting.version}".encode()
        properties.ContentType = "application/json"
        packet = publish(topics.up(self._device, waiting.type), waiting.payload, properties)
        self._on_way[packet] = waiting
        self._window.sent(waiting.message, waiting.sequence, time.monotonic())

    def _judge_puback(self, packet: int, reason: ReasonCode) -> None:
        waiting = self._on_way.pop(packet, None)
        if reason.value == _NOT_AUTHORISED:
            topic = topics.up(self._device, waiting.type) if waiting else topics.state(self._device)
            raise RefusedError(
                f"the broker does not let {self._device!r} write {topic} (Not authorized); check its access list, "
                "which `pomona server init` writes, and restart it"
            )
        if waiting is None:
            return
        if reason.value in _UNACCEPTABLE:
            self._reject(waiting.message, f"the broker refused it: {reason}")
        else:
            # also after 'quota exceeded' and the like: the message stays ours, and its timer runs
            self._window.taken(waiting.message)

    def _judge_answers(self, payload: bytes) -> bool:
        try:
            answers = Answers.model_validate_json(payload).answers
        except ValidationError:
            _log.warning("an answer of %d bytes from the server cannot be read and is ignored", len(payload))
            return False
        self._window.heard(time.monotonic())
        self._forget([answer.message for answer in answers if answer.result == "stored"])
        for answer in answers:
            # an answer to an earlier run may be about a message that has left; a `retry` is left to its timer
            if answer.result == "rejected" and answer.message in self._window:
                self._reject(answer.message, answer.reason)
            elif answer.result == "outdated" and answer.revision is not None:
                self._settle_outdated(answer.message, answer.revision)
            elif answer.result == "retry":
                self.trouble = f"the server asks to send again later ({answer.reason})"
        return bool(answers)

    def _forget(self, messages: list[str]) -> None:
        with _outbox_errors():
            left = self._outbox.stored(messages)
        for message in messages:
            self._window.answered(message)
        if left:
            self.stored += left
            self.progress_at = time.monotonic()

    def _settle_outdated(self, message: str, held: int) -> None:
        with _outbox_errors():
            queued_anew = self._outbox.outdated(message, held)
        self._window.answered(message)
        if queued_anew:
            _log.warning(
                "message %s is sent again above revision %d, which the server holds and this store does not know; "
                "was it restored from a backup?",
                message,
                held,
            )
        else:
            self.progress_at = time.monotonic()

    def _reject(self, message: str, reason: str) -> None:
        _log.warning("message %s was refused and is kept: %s", message, reason)
        with _outbox_errors():
            self._outbox.rejected(message, reason)
        self._window.answered(message)
        self.rejected += 1
        self.progress_at = time.monotonic()


@contextlib.contextmanager
def _outbox_errors() -> Iterator[None]:
    try:
        yield
    except sqlite3.OperationalError as error:
        raise OutboxError(f"the outbox cannot be used: {error}; free some disk space or stop what locks it") from error
