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
from dataclasses import dataclass, replace

import paho.mqtt.client as mqtt
from paho.mqtt.properties import Properties
from pydantic import ValidationError

from cloud_sync import clock, topics
from cloud_sync.backoff import Backoff
from cloud_sync.comparing import Comparison
from cloud_sync.connection import Connection, RefusedError, Terms
from cloud_sync.device_state import DeviceState
from cloud_sync.errors import BrokerError, IdentityError
from cloud_sync.gathering import Gathering
from cloud_sync.greeting import Greeting
from cloud_sync.identity import Identity
from cloud_sync.metered import is_metered
from cloud_sync.outbox import Outbox, OutboxError, outbox_errors
from cloud_sync.sender import Sender
from cloud_sync.window import SendWindow

_log = logging.getLogger(__name__)

# A connection that lasted so long was no part of a storm: the next attempt may come soon.
_STEADY_S = 60.0
# The server greets a device that has come within so long; what it says later is that it has come itself.
_GREETING_S = 10.0
# A run that shall end does not wait longer for it, which an older server never sends.
_GREETED_WITHIN_S = 2.0
# Where bytes are paid for: fewer and larger batches, for the same records.
_SPARING = Gathering(most_bytes=256 * 1024, most_wait_s=300.0, with_bulk=False)


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
        compare_s: about how often what the server holds is compared with what it has stored.
        spread_s: within so long it is compared when the server has come back.
        ask_again_s: seconds without an answer after which a question about that is asked again.
        metered: whether bytes are paid for; None asks NetworkManager.
    """

    window: int = 400
    resend_s: float = 30.0
    most_resend_s: float = 600.0
    poll_s: float = 1.0
    least_backoff_s: float = 1.0
    most_backoff_s: float = 300.0
    connect_timeout_s: float = 15.0
    keepalive_s: int = 60
    session_expiry_s: int = 3600
    compare_s: float = 3600.0
    spread_s: float = 30.0
    ask_again_s: float = 10.0
    metered: bool | None = None


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
        waiting: messages still in the outbox, without the refused ones; bulk too that a metered link held back.
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
        on_documents: is given what the server publishes on ``down/document``, in the uplink's thread; must not wait.
    """

    def __init__(
        self,
        outbox: Outbox,
        identity: Identity,
        settings: UplinkSettings | None = None,
        watch: Callable[[UplinkNews], None] | None = None,
        on_documents: Callable[[bytes], None] | None = None,
    ) -> None:
        self._watch = watch
        self._on_documents = on_documents
        self._identity = identity
        self._settings = settings or UplinkSettings()
        self._outbox = outbox
        window = SendWindow(self._settings.window, self._settings.resend_s, self._settings.most_resend_s)
        self._sender = Sender(outbox, identity.name, window)
        timers = self._settings.compare_s, self._settings.spread_s, self._settings.ask_again_s
        self._comparison = Comparison(outbox.store, outbox.sent, *timers)
        self._heard: list[tuple[str, bytes]] = []
        self._backoff = Backoff(self._settings.least_backoff_s, self._settings.most_backoff_s)
        self._condition = ""
        self._connected_at = 0.0
        self._greeted = False
        # the server has not said which documents it has, nor had the time to
        self._is_curious = on_documents is not None

    def run(self, stop: threading.Event, until_empty: bool, time_limit_s: float | None = None) -> UplinkResult:
        """Send until told to stop.

        Args:
            stop: ends the run when set, within about a second.
            until_empty: end when nothing waits any more, and the server has said which documents it has where somebody
                wants to know; and at the first refusal.
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
                    waiting = self._sender.waiting()
                    what = f"{waiting} messages still wait" if waiting else "the server has not been heard"
                    raise BrokerError(
                        f"{what} after {time_limit_s:g} s without progress: {cause}. "
                        "Nothing was lost, what waits stays in the outbox; see that the broker and "
                        "`pomona server run` are running, then sync again"
                    )
            waiting = self._sender.waiting(also_what_is_held_back=True)
            return UplinkResult(self._sender.stored, self._sender.rejected, waiting)

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
        return stop.is_set() or (until_empty and not self._is_curious and self._sender.waiting() == 0)

    def _left_s(self, time_limit_s: float | None) -> float:
        """Seconds until the run has gone without progress for too long."""
        if time_limit_s is None:
            return threading.TIMEOUT_MAX
        return max(0.0, self._sender.progress_at + time_limit_s - time.monotonic())

    def _connect_and_send(self, stop: threading.Event, until_empty: bool, time_limit_s: float | None) -> None:
        name = self._identity.name
        connection = Connection(
            self._identity,
            Terms(session_expiry_s=self._settings.session_expiry_s, keepalive_s=self._settings.keepalive_s),
            subscriptions=[
                *(topics.acknowledgements(name), topics.greeting(name)),
                *(topics.digest(name), topics.missing(name)),
                *([topics.documents(name)] if self._on_documents is not None else []),
            ],
            on_message=self._note,
            on_puback=self._sender.note_puback,
            will=(topics.state(name), self._state(online=False)),
        )
        opened_at = time.monotonic()
        try:
            connection.begin()
            connection.wait_open(min(self._settings.connect_timeout_s, self._left_s(time_limit_s)))
            self._attach(connection, until_empty)
            self._send(connection, stop, until_empty, time_limit_s)
            connection.end()
        finally:
            connection.abandon()
            if time.monotonic() - opened_at > _STEADY_S:
                self._backoff.reset()

    def _attach(self, connection: Connection, until_empty: bool) -> None:
        metered = is_metered() if self._settings.metered is None else self._settings.metered
        sparing = replace(_SPARING, most_wait_s=0.0) if until_empty else _SPARING
        self._sender.gatherer.settings = sparing if metered else Gathering()
        self._say(
            logging.INFO,
            f"connected to {connection.where} as {self._identity.name}"
            + (", sparingly, since the link is metered" if metered else ""),
        )
        self._comparison.attach()
        self._connected_at = time.monotonic()
        self._greeted = False
        self._sender.attach(
            session_present=connection.session_present,
            most_packet_bytes=connection.most_packet_bytes,
            receive_maximum=connection.receive_maximum,
        )
        topic = topics.state(self._identity.name)
        self._sender.note_other(
            connection.client.publish(topic, self._state(online=True), qos=1, retain=True).mid, topic
        )

    def _send(self, connection: Connection, stop: threading.Event, until_empty: bool, limit_s: float | None) -> None:
        def publish(topic: str, payload: bytes, properties: Properties | None = None) -> int:
            return connection.client.publish(topic, payload, qos=1, properties=properties).mid

        look_at = 0.0
        while not stop.is_set() and self._left_s(limit_s) > 0:
            heard = self._take_in()
            answered = self._sender.settle()
            if answered:
                self._backoff.reset()
            now = time.monotonic()
            self._compare(publish, now)
            if now - self._connected_at > _GREETED_WITHIN_S:
                self._is_curious = False
            if heard or self._sender.has_room or self._comparison.is_busy or now >= look_at:
                look_at = now + self._settings.poll_s
                self._tell(connected=True)
                self._sender.send(publish)
                if self._is_done(stop, until_empty) and self._has_compared(now):
                    return
            connection.step(0.0 if self._comparison.is_busy else max(0.0, look_at - time.monotonic()))

    def _has_compared(self, now: float) -> bool:
        """Whether what the server holds was compared, or it is none that does so."""
        if not self._greeted:
            return now - self._connected_at > _GREETED_WITHIN_S
        return self._comparison.is_over(now)

    def _note(self, message: mqtt.MQTTMessage) -> None:
        """In the network loop: note what came."""
        self._heard.append((message.topic, bytes(message.payload)))

    def _take_in(self) -> bool:
        """Hand on what came.

        Returns:
            Whether anything did.

        Raises:
            OutboxError: the outbox cannot be read or written.
        """
        name = self._identity.name
        heard, self._heard = self._heard, []
        with outbox_errors():
            for topic, payload in heard:
                if topic == topics.acknowledgements(name):
                    self._sender.note_answers(payload)
                elif topic == topics.digest(name):
                    self._comparison.take_answer(payload)
                elif topic == topics.missing(name):
                    self._comparison.take_missing(payload)
                elif topic == topics.greeting(name):
                    self._take_greeting(payload)
                elif topic == topics.documents(name) and self._on_documents is not None:
                    self._is_curious = False
                    self._on_documents(payload)
        return bool(heard)

    def _take_greeting(self, payload: bytes) -> None:
        try:
            greeting = Greeting.model_validate_json(payload)
        except ValidationError:
            _log.warning("a greeting of %d bytes from the server cannot be read and is ignored", len(payload))
            return
        now = time.monotonic()
        self._comparison.greeted(now, at_once=now - self._connected_at < _GREETING_S)
        self._greeted = True
        if replayed := self._outbox.greeted(greeting):
            self._sender.gatherer.look_at_all()
            _log.info("%d refused messages are sent again, since the server is now %s", replayed, greeting.version)

    def _compare(self, publish: Callable[[str, bytes], int], now: float) -> None:
        if self._comparison.is_busy:
            self._sender.gatherer.look_at_all()
        with outbox_errors():
            question = self._comparison.step(now, quiet=self._sender.is_quiet)
        if question is not None:
            topic = topics.question(self._identity.name)
            self._sender.note_other(publish(topic, question.model_dump_json().encode()), topic)

    def _tell(self, *, connected: bool) -> None:
        if self._watch is not None:
            self._watch(UplinkNews(connected, self._condition, self._sender.stored, self._sender.rejected))

    def _state(self, *, online: bool) -> bytes:
        # the last will is published when nobody knows how late it is
        return DeviceState(online=online, store=self._outbox.store, clock=clock.now() if online else None).payload()

    def _say(self, level: int, condition: str) -> None:
        """One log line when the condition changes, not one an attempt."""
        if condition != self._condition:
            self._condition = condition
            _log.log(level, "%s", condition)
