"""What the uplink sends over a connection and what it makes of the answers: between outbox, window and broker."""

from __future__ import annotations

import logging
import time
from collections import deque
from collections.abc import Callable, Sequence

from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties
from paho.mqtt.reasoncodes import ReasonCode
from pydantic import ValidationError

from cloud_sync import topics
from cloud_sync.connection import RefusedError
from cloud_sync.gathering import Gatherer
from cloud_sync.lanes import Lane
from cloud_sync.line import Line
from cloud_sync.messages import MOST_BYTES, Answer, Answers
from cloud_sync.outbox import Outbox, Waiting, outbox_errors
from cloud_sync.packets import Packet, pack
from cloud_sync.window import SendWindow

_log = logging.getLogger(__name__)

_NOT_AUTHORISED = 0x87
# What a packet holds besides its payload: headers, topic, correlation data, content type.
_OVERHEAD_BYTES = 512
# MQTT reason codes about the message itself: implementation specific error, topic name invalid, payload format
# invalid. Sending it again would not change them.
_UNACCEPTABLE = (0x83, 0x90, 0x99)
# A batch that is not answered this often may be what silences the other end; its messages then go one by one.
_MOST_TIMES_TOGETHER = 2

Publish = Callable[[str, bytes, Properties], int]
"""Publishes a payload on a topic at QoS 1; returns the packet id."""


class Sender:
    """Keeps the window filled from the outbox and settles what the server has answered.

    The network's callbacks only note what came (:meth:`note_puback`, :meth:`note_answers`); :meth:`settle` acts on it.

    Args:
        outbox: the store's outbox.
        device: name of the device.
        window: the unanswered messages.
        clock: a monotonic clock in seconds.

    Attributes:
        stored: messages that left because the server has stored them, or a later revision of their record.
        rejected: messages that were refused.
        progress_at: monotonic time when a message last left the queue, in seconds.
        trouble: why messages may be waiting although the broker is there.
        gatherer: what takes messages out of the lanes.
        has_room: whether the line has become free since the last :meth:`send`.
    """

    def __init__(
        self, outbox: Outbox, device: str, window: SendWindow, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._clock = clock
        self.stored = 0
        self.rejected = 0
        self.progress_at = self._clock()
        self.trouble = "the broker accepts messages, but the server does not answer"
        self.gatherer = Gatherer(outbox, window)
        self.has_room = True
        self._outbox = outbox
        self._device = device
        self._window = window
        self._line = Line()
        self._answers: list[bytes] = []
        self._batches: dict[str, tuple[str, ...]] = {}  # messages of batches that may still be refused as such
        self._one_by_one: set[str] = set()  # messages of batches that were
        self._takes_batches = True
        self._most_bytes = MOST_BYTES

    def attach(
        self, *, session_present: bool, most_packet_bytes: int | None = None, receive_maximum: int | None = None
    ) -> None:
        """Begin with a new connection.

        Args:
            session_present: whether the broker still had our session.
            most_packet_bytes: longest packet the broker takes; sending more would end the connection each time.
            receive_maximum: most unconfirmed packets it takes.
        """
        self._most_bytes = min(MOST_BYTES, (most_packet_bytes or 2**28) - _OVERHEAD_BYTES)
        self._takes_batches = True
        self.has_room = True
        self._line.attach(receive_maximum)
        self._window.reconnected(self._clock(), session_present=session_present)

    def note_puback(self, number: int, reason: ReasonCode) -> None:
        """Note what the broker said to a packet."""
        self._line.note_puback(number, reason)

    def note_answers(self, payload: bytes) -> None:
        """Note a message from the server."""
        self._answers.append(payload)

    def note_other(self, number: int, topic: str) -> None:
        """Note a packet that carries nothing of the outbox, so that it is counted as on its way."""
        self._line.put(number, Packet(topic, b"", "", b"", ()))

    def settle(self) -> bool:
        """Act on what was noted.

        Returns:
            Whether the server has answered anything.

        Raises:
            RefusedError: the broker does not let this device write its own topics.
            OutboxError: the outbox cannot be written; nothing is forgotten, the server will answer again.
        """
        with outbox_errors():
            for packet, reason in self._line.confirmed():
                self.has_room = True
                self._judge_puback(packet, reason)
            payloads, self._answers = self._answers, []
            answers = [answer for payload in payloads for answer in _read_answers(payload)]
            if answers:
                self._window.heard(self._clock())
                self._judge_answers(answers)
            return bool(answers)

    def send(self, publish: Publish) -> None:
        """Send again what is due and fill the window with what is new.

        Raises:
            OutboxError: the outbox cannot be read.
        """
        now = self._clock()
        self.has_room = False
        with outbox_errors():
            if self._line.is_free:
                self._send_again(publish, now)
            if self._line.is_free:
                self._send_new(publish, now)

    def waiting(self, *, also_what_is_held_back: bool = False) -> int:
        """How many messages the server has not answered for.

        Args:
            also_what_is_held_back: count bulk also where it is not sent.

        Raises:
            OutboxError: the outbox cannot be read.
        """
        with outbox_errors():
            return self._outbox.count_waiting(
                with_bulk=also_what_is_held_back or self.gatherer.settings.with_bulk,
            )

    @property
    def is_quiet(self) -> bool:
        """Whether no message is without an answer."""
        return len(self._window) == 0

    def _send_again(self, publish: Publish, now: float) -> None:
        due = [(self._window.lane_of(message), sequence, message) for message, sequence in self._window.due(now)]
        queue = deque(sorted(due))
        while queue and self._line.is_free:
            lane = queue[0][0]
            together: list[Waiting] = []
            while queue and queue[0][0] is lane:
                _, sequence, message = queue[0]
                waiting = self._read(sequence)
                if waiting is None or waiting.message != message:
                    self._window.answered(message)  # settled by someone else
                elif not self._joins(together, waiting):
                    break
                queue.popleft()
            self._publish(publish, together, lane)

    def _send_new(self, publish: Publish, now: float) -> None:
        self.gatherer.look(now)
        while self._line.is_free and (lane := self.gatherer.next_lane()) is not None:
            queue = self.gatherer.queue(lane)
            room = self._window.room(lane)
            together: list[Waiting] = []
            while queue and len(together) < room:
                waiting = self._read(queue[0])
                if waiting is not None and not self._joins(together, waiting):
                    break
                queue.popleft()
            self._publish(publish, together, lane)

    def _read(self, sequence: int) -> Waiting | None:
        found = self._outbox.waiting(self._device, sequence - 1, 1)
        return found[0] if found and found[0].sequence == sequence else None

    def _joins(self, together: list[Waiting], waiting: Waiting) -> bool:
        """Put a message to those that are sent together; false when it has to go without them."""
        if not waiting.payload:
            self._reject(waiting.message, "what it was made from is no longer on this device")
            return True
        if len(waiting.payload) > self._most_bytes:
            self._reject(waiting.message, f"it has {len(waiting.payload)} bytes, more than {self._most_bytes}")
            return True
        alone = self._goes_alone(waiting) or (together and self._goes_alone(together[0]))
        if together and (alone or not self.gatherer.fits(together, waiting)):
            return False
        together.append(waiting)
        return True

    def _goes_alone(self, waiting: Waiting) -> bool:
        return (
            not self._takes_batches
            or waiting.message in self._one_by_one
            or self._window.times_sent(waiting.message) >= _MOST_TIMES_TOGETHER
        )

    def _publish(self, publish: Publish, together: Sequence[Waiting], lane: Lane) -> None:
        sequences = {waiting.message: waiting.sequence for waiting in together}
        for packet in pack(self._device, together, self._most_bytes):
            if not self._line.is_free:
                return  # the rest is found in the outbox again
            properties = Properties(PacketTypes.PUBLISH)  # type: ignore[no-untyped-call]
            properties.CorrelationData = packet.correlation
            properties.ContentType = packet.content_type
            self._line.put(publish(packet.topic, packet.payload, properties), packet)
            self.gatherer.sent(lane, len(packet.payload))
            if packet.batch is not None:
                self._batches[packet.batch] = packet.messages
            for message in packet.messages:
                self._window.sent(message, sequences[message], self._clock(), lane)

    def _judge_puback(self, packet: Packet | None, reason: ReasonCode) -> None:
        if reason.value == _NOT_AUTHORISED:
            topic = packet.topic if packet else topics.state(self._device)
            raise RefusedError(
                f"the broker does not let {self._device!r} write {topic} (Not authorized); check its access list, "
                "which `pomona server init` writes, and restart it"
            )
        if packet is None:
            return
        if reason.value not in _UNACCEPTABLE:
            # also after 'quota exceeded' and the like: the messages stay ours, and their timers run
            for message in packet.messages:
                self._window.taken(message)
        elif packet.batch is not None:
            self._part(packet.batch, f"the broker: {reason}")
        else:
            for message in packet.messages:
                self._reject(message, f"the broker refused it: {reason}")

    def _judge_answers(self, answers: Sequence[Answer]) -> None:
        for answer in answers:
            if answer.result == "stored" and answer.revision is not None and answer.message in self._window:
                self._outbox.sent.overtaken.add(answer.message)
        self._forget([answer.message for answer in answers if answer.result == "stored"])
        for answer in answers:
            # an answer to an earlier run may be about a message that has left; a `retry` is left to its timer
            if answer.result == "rejected" and answer.message in self._batches:
                self._part(answer.message, answer.reason)
            elif answer.result == "rejected" and answer.message in self._window:
                self._reject(answer.message, answer.reason)
            elif answer.result == "outdated" and answer.revision is not None:
                self._settle_outdated(answer.message, answer.revision)
            elif answer.result == "retry":
                self.trouble = f"the server asks to send again later ({answer.reason})"
        self._batches = {
            batch: messages
            for batch, messages in self._batches.items()
            if any(message in self._window for message in messages)
        }
        self._one_by_one = {message for message in self._one_by_one if message in self._window}

    def _part(self, batch: str, reason: str) -> None:
        """A batch was refused as such, which says nothing of the messages in it: they go one by one."""
        _log.warning("a batch was refused, its messages are sent one by one: %s", reason)
        self._takes_batches = False
        for message in self._batches.pop(batch, ()):
            self._one_by_one.add(message)
            self._window.returned(message)

    def _forget(self, messages: list[str]) -> None:
        left = self._outbox.stored(messages)
        for message in messages:
            self._window.answered(message)
        if left:
            self.stored += left
            self.progress_at = self._clock()

    def _settle_outdated(self, message: str, held: int) -> None:
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
            self.progress_at = self._clock()

    def _reject(self, message: str, reason: str) -> None:
        _log.warning("message %s was refused and is kept: %s", message, reason)
        self._outbox.rejected(message, reason)
        self._window.answered(message)
        self.rejected += 1
        self.progress_at = self._clock()


def _read_answers(payload: bytes) -> list[Answer]:
    try:
        return Answers.model_validate_json(payload).answers
    except ValidationError:
        _log.warning("an answer of %d bytes from the server cannot be read and is ignored", len(payload))
        return []
