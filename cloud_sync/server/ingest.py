"""The server's client of the broker: hands what devices send to the worker and publishes its answers."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import datetime, timezone
from functools import partial

import paho.mqtt.client as mqtt
from paho.mqtt.reasoncodes import ReasonCode

from cloud_sync import topics
from cloud_sync.backoff import Backoff
from cloud_sync.connection import Connection, RefusedError, Terms
from cloud_sync.errors import BrokerError
from cloud_sync.identity import Identity
from cloud_sync.messages import Answers
from cloud_sync.server.announcing import Announcer
from cloud_sync.server.broker import MOST_UNCONFIRMED
from cloud_sync.server.database import Database
from cloud_sync.server.feed import Feed
from cloud_sync.server.ingest_metrics import IngestMetrics
from cloud_sync.server.reconcile import Reconciler
from cloud_sync.server.screening import Accepted, Received
from cloud_sync.server.worker import Delivery, Inbox, Worker

_log = logging.getLogger(__name__)

# The broker keeps what devices send while the server is away for a day; what it drops, devices send again. For one of
# several it keeps nothing: what comes while that one is away shall go to the others.
_ALONE_EXPIRY_S, _SHARED_EXPIRY_S = 86_400, 0
_CONNECT_TIMEOUT_S = 15.0
# Received and not stored yet. A little above all the broker keeps for a client, with the same bound in bytes.
MOST_WAITING, MOST_WAITING_BYTES = 12_000, 64 * 1024 * 1024
# Answers the broker has not taken; beyond that they are dropped, and the devices ask again.
_MOST_UNSENT = 10_000


@dataclass(frozen=True)
class Share:
    """Which part of the work is one process's.

    Attributes:
        group: secret name of those who share it.
        number: which of them this one is, from 1; the first also follows the devices' states.
        of: how many they are.
    """

    group: str
    number: int = 1
    of: int = 1

    @property
    def terms(self) -> Terms:
        """What is asked of the broker."""
        return Terms(
            session_expiry_s=_ALONE_EXPIRY_S if self.of == 1 else _SHARED_EXPIRY_S,
            manual_ack=True,
            receive_maximum=MOST_UNCONFIRMED,
            former=(topics.EVERY_UPWARD_MESSAGE,),
        )

    @property
    def subscriptions(self) -> list[str]:
        """What is read. States are few, and the broker repeats retained ones to nobody who shares them."""
        messages = topics.shared(self.group, topics.EVERY_UPWARD_MESSAGE)
        return [messages, topics.EVERY_STATE] if self.number == 1 else [messages]


class Ingest:
    """Receives, stores and answers until told to stop.

    Three threads: the caller's connects and waits, paho's reads the network, one writes the database. A message is
    confirmed to the broker after its commit, and the broker is asked to send no more than :data:`MOST_UNCONFIRMED`
    without that. Mosquitto does not always hold to it, so the queue between the threads has a bound of its own.

    Args:
        identity: the server's own client, or one of them.
        database: where records go.
        share: which part of the work is this one's.
        metrics: counts what is done.
        feed: publishes stored records once more, where somebody wants to read them.
    """

    def __init__(
        self,
        identity: Identity,
        database: Database,
        share: Share,
        metrics: IngestMetrics | None = None,
        feed: Feed | None = None,
    ) -> None:
        self._identity = identity
        self._share = share
        self._metrics = metrics or IngestMetrics()
        self._feed = feed
        self._inbox = Inbox()
        announcer = Announcer(database, self._publish if share.number == 1 else _leave_to_the_first)
        on_stored = self._pass_on if feed else None
        self._worker = Worker(
            database,
            self._inbox,
            self._answer,
            announcer,
            self._metrics,
            on_stored=on_stored,
            reconciler=Reconciler(database, self._publish),
        )
        self._connection: Connection | None = None

    def run(self, stop: threading.Event, on_ready: Callable[[], None]) -> None:
        """Work until told to stop.

        Args:
            stop: ends the run when set.
            on_ready: called once, when the broker has accepted the subscriptions for the first time.

        Raises:
            BrokerError: the broker refuses the server at the first contact, or its certificate is not the server's.
        """
        with ThreadPoolExecutor(max_workers=1, thread_name_prefix="ingest-worker") as pool:
            work = pool.submit(self._worker.run, stop)
            try:
                self._stay_connected(stop, on_ready)
            finally:
                stop.set()
        work.result()  # raises what ended the worker, if not we did

    def _stay_connected(self, stop: threading.Event, on_ready: Callable[[], None]) -> None:
        backoff = Backoff(least_s=1.0, most_s=30.0)
        was_ready = False
        condition = ""
        while not stop.is_set():
            connection = Connection(
                self._identity,
                self._share.terms,
                subscriptions=self._share.subscriptions,
                on_message=self._on_message,
                on_puback=self._on_puback,
            )
            connection.client.max_queued_messages_set(_MOST_UNSENT)
            self._connection = connection
            try:
                connection.begin(threaded=True)
                connection.wait_open(_CONNECT_TIMEOUT_S)
                backoff.reset()
                condition = f"connected to {connection.where}"
                _log.info("%s", condition)
                self._metrics.connected.set(1)
                if not was_ready:
                    on_ready()
                was_ready = True
                while not stop.is_set():
                    connection.step(0.5)
                connection.end()
            except BrokerError as error:
                if isinstance(error, RefusedError) and not was_ready:
                    raise
                if str(error) != condition:
                    condition = str(error)
                    _log.warning("%s; trying again", condition)
            finally:
                self._metrics.connected.set(0)
                connection.abandon()
            stop.wait(backoff.next_s())

    def _on_message(self, message: mqtt.MQTTMessage) -> None:
        """In the network thread: note the message and return."""
        connection = self._connection
        assert connection is not None
        try:
            topic = message.topic
        except UnicodeDecodeError:  # forbidden by MQTT, and by brokers that check
            topic = "not UTF-8"
        received = Received(
            topic,
            bytes(message.payload),
            getattr(message.properties, "CorrelationData", b""),
            datetime.now(timezone.utc),
            retained=message.retain,
        )
        confirm = partial(connection.client.ack, message.mid, message.qos)
        waiting, waiting_bytes = self._inbox.qsize(), self._inbox.waiting_bytes + len(received.payload)
        # a flood of QoS 0, which promises nothing, gets half of the queue
        share = 2 if message.qos == 0 else 1
        if waiting * share < MOST_WAITING and waiting_bytes * share <= MOST_WAITING_BYTES:
            self._inbox.put_nowait(Delivery(received, confirm))
        elif message.qos > 0:
            # confirmed, or the broker would count it as under way until the connection ends; nobody answers for it
            confirm()
            _log.error("the broker sends more than was asked for; a message on %s is left to be sent again", topic)

    def _answer(self, device: str, answers: Answers) -> None:
        """In the worker's thread: publish; without a connection the device asks again and is answered then."""
        self._publish(topics.acknowledgements(device), answers.model_dump_json(exclude_defaults=True).encode())

    def _publish(self, topic: str, payload: bytes) -> None:
        connection = self._connection
        if connection is not None and connection.is_open:
            connection.client.publish(topic, payload, qos=1)

    def _pass_on(self, stored: Sequence[Accepted]) -> None:
        """In the worker's thread: publish what was stored; without a connection the feed goes without it."""
        connection = self._connection
        if self._feed is not None and connection is not None and connection.is_open:
            self._feed.publish(connection.client, stored)

    @staticmethod
    def _on_puback(_packet: int, reason: ReasonCode) -> None:
        if reason.is_failure:
            _log.error("the broker does not pass on what was published: %s; check its access list", reason)


def _leave_to_the_first(_topic: str, _payload: bytes) -> None:
    """Who does not follow the devices' states tells them of no documents."""
