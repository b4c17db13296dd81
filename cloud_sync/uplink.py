"""The device's end of the wire: sends what waits in the outbox and forgets only what the server has stored.

Everything here happens in the thread that calls :meth:`Uplink.run`, the network loop too, so that the database is
touched by one thread and there is never more than one connection attempt.
"""

from __future__ import annotations

import contextlib
import fcntl
import logging
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from paho.mqtt.properties import Properties

from cloud_sync import clock, topics
from cloud_sync.backoff import Backoff
from cloud_sync.connection import Connection, RefusedError, Terms
from cloud_sync.device_state import DeviceState
from cloud_sync.errors import BrokerError, IdentityError
from cloud_sync.identity import Identity
from cloud_sync.outbox import Outbox
from cloud_sync.sender import OutboxError, Sender
from cloud_sync.window import SendWindow

_log = logging.getLogger(__name__)

# A connection that lasted so long was no part of a storm: the next attempt may come soon.
_STEADY_S = 60.0


@dataclass(frozen=True)
class UplinkSettings:
    """How the uplink behaves.

    Attributes:
        window: most messages sent and not answered by the server.
        resend_s: seconds without the server's answer after which a message is sent again; doubles each time.
        most_resend_s: longest such wait.
        poll_s: seconds between looks for new messages in the outbox.
        least_backoff_s: upper end of the wait before the first connection attempt.
        most_backoff_s: upper end of the longest wait before an attempt.
        connect_timeout_s: how long the broker may take to accept us.
        keepalive_s: seconds of silence after which the connection is probed.
        session_expiry_s: how long the broker keeps answers for us while we are away.
    """

    window: int = 100
    resend_s: float = 30.0
    most_resend_s: float = 600.0
    poll_s: float = 1.0
    least_backoff_s: float = 1.0
    most_backoff_s: float = 300.0
    connect_timeout_s: float = 15.0
    keepalive_s: int = 60
    session_expiry_s: int = 3600


@dataclass(frozen=True)
class UplinkNews:
    """How the uplink fares while it runs.

    Attributes:
        connected: whether the broker has accepted us.
        condition: the same in words, with the cause where there is no connection.
        stored: messages that left since the run began.
        rejected: messages that were refused since.
    """

    connected: bool
    condition: str
    stored: int
    rejected: int


@dataclass(frozen=True)
class UplinkResult:
    """What became of the messages.

    Attributes:
        stored: messages that left because the server has stored them, or a later revision of their record.
        rejected: messages the server or the broker refused; the outbox keeps them with the reason.
        waiting: messages still in the outbox, without the refused ones.
    """

    stored: int
    rejected: int
    waiting: int


class Uplink:
    """Sends one outbox through one broker.

    Args:
        outbox: the store's outbox; only :meth:`run` touches it.
        identity: the enrolled device.
        settings: timers and limits.
        watch: is told how the uplink fares, about once a second and in the uplink's thread, where it may use the store.
    """

    def __init__(
        self,
        outbox: Outbox,
        identity: Identity,
        settings: UplinkSettings | None = None,
        watch: Callable[[UplinkNews], None] | None = None,
    ) -> None:
        self._watch = watch
        self._identity = identity
        self._settings = settings or UplinkSettings()
        self._store = outbox.store
        window = SendWindow(self._settings.window, self._settings.resend_s, self._settings.most_resend_s)
        self._sender = Sender(outbox, identity.name, window)
        self._backoff = Backoff(self._settings.least_backoff_s, self._settings.most_backoff_s)
        self._condition = ""

    def run(self, stop: threading.Event, until_empty: bool, time_limit_s: float | None = None) -> UplinkResult:
        """Send until told to stop.

        Args:
            stop: ends the run when set, within about a second.
            until_empty: end when nothing waits any more, and at the first refusal.
            time_limit_s: longest time without a message leaving the queue; None waits for ever.

        Raises:
            BrokerError: the time limit has passed, or another process sends this outbox already.
            IdentityError: key or certificate cannot be used.
            RefusedError: with ``until_empty``, the broker or its certificate says no.
            OutboxError: with ``until_empty``, the outbox cannot be read or written.
        """
        with self._only_one():
            self._sender.progress_at = time.monotonic()
            while not self._is_done(stop, until_empty):
                stop.wait(min(self._backoff.next_s(), self._left_s(time_limit_s)))
                try:
                    self._connect_and_send(stop, until_empty, time_limit_s)
                    cause = self._sender.trouble
                except (BrokerError, OutboxError) as error:
                    if until_empty and isinstance(error, (RefusedError, OutboxError)):
                        raise
                    self._say(logging.WARNING, str(error))
                    self._tell(connected=False)
                    cause = str(error)
                if self._left_s(time_limit_s) <= 0 and not self._is_done(stop, until_empty):
                    raise BrokerError(
                        f"{self._sender.waiting()} messages still wait after {time_limit_s:g} s without progress: "
                        f"{cause}. Nothing was lost, they stay in the outbox; see that the broker and "
                        "`pomona server run` are running, then sync again"
                    )
            return UplinkResult(self._sender.stored, self._sender.rejected, self._sender.waiting())

    @contextlib.contextmanager
    def _only_one(self) -> Iterator[None]:
        """Keep a second uplink of this device away: the two would take the broker's session from each other."""
        file = self._identity.key.parent / "uplink.lock"
        with contextlib.ExitStack() as stack:
            try:
                lock = stack.enter_context(file.open("a"))
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError as error:
                raise BrokerError(
                    f"another `pomona sync` of {self._identity.name!r} is running and sends what waits; "
                    "stop it to run this one"
                ) from error
            except OSError as error:
                raise IdentityError(f"{file}: {error.strerror}; check its permissions and disk") from error
            yield

    def _is_done(self, stop: threading.Event, until_empty: bool) -> bool:
        return stop.is_set() or (until_empty and self._sender.waiting() == 0)

    def _left_s(self, time_limit_s: float | None) -> float:
        """Seconds until the run has gone without progress for too long."""
        if time_limit_s is None:
            return threading.TIMEOUT_MAX
        return max(0.0, self._sender.progress_at + time_limit_s - time.monotonic())

    def _connect_and_send(self, stop: threading.Event, until_empty: bool, time_limit_s: float | None) -> None:
        connection = Connection(
            self._identity,
            Terms(session_expiry_s=self._settings.session_expiry_s, keepalive_s=self._settings.keepalive_s),
            subscriptions=[topics.acknowledgements(self._identity.name)],
            on_message=lambda message: self._sender.note_answers(bytes(message.payload)),
            on_puback=self._sender.note_puback,
            will=(topics.state(self._identity.name), self._state(online=False)),
        )
        opened_at = time.monotonic()
        try:
            connection.begin()
            connection.wait_open(min(self._settings.connect_timeout_s, self._left_s(time_limit_s)))
            self._say(logging.INFO, f"connected to {connection.where} as {self._identity.name}")
            self._sender.attach(
                session_present=connection.session_present, most_packet_bytes=connection.most_packet_bytes
            )
            connection.client.publish(topics.state(self._identity.name), self._state(online=True), qos=1, retain=True)
            self._send(connection, stop, until_empty, time_limit_s)
            connection.end()
        finally:
            connection.abandon()
            if time.monotonic() - opened_at > _STEADY_S:
                self._backoff.reset()

    def _send(self, connection: Connection, stop: threading.Event, until_empty: bool, limit_s: float | None) -> None:
        def publish(topic: str, payload: bytes, properties: Properties) -> int:
            return connection.client.publish(topic, payload, qos=1, properties=properties).mid

        look_at = 0.0
        while not stop.is_set() and self._left_s(limit_s) > 0:
            answered = self._sender.settle()
            if answered:
                self._backoff.reset()
            if answered or time.monotonic() >= look_at:
                look_at = time.monotonic() + self._settings.poll_s
                self._tell(connected=True)
                self._sender.send(publish)
                if self._is_done(stop, until_empty):
                    return
            connection.step(max(0.0, look_at - time.monotonic()))

    def _tell(self, *, connected: bool) -> None:
        if self._watch is not None:
            self._watch(UplinkNews(connected, self._condition, self._sender.stored, self._sender.rejected))

    def _state(self, *, online: bool) -> bytes:
        # the last will is published when nobody knows how late it is
        return DeviceState(online=online, store=self._store, clock=clock.now() if online else None).payload()

    def _say(self, level: int, condition: str) -> None:
        """One log line when the condition changes, not one an attempt."""
        if condition != self._condition:
            self._condition = condition
            _log.log(level, "%s", condition)
