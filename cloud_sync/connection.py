"""One MQTT 5 connection over mutual TLS, with errors that name the broker and the remedy.

A connection is made anew for each attempt: what has to be sent again is decided by the window (device) or by the
device at the other end (server), so that paho's own memory of unsent messages would only get in the way.
"""

from __future__ import annotations

import logging
import socket
import ssl
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import paho.mqtt.client as mqtt
from paho.mqtt.enums import CallbackAPIVersion, MQTTErrorCode
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties
from paho.mqtt.reasoncodes import ReasonCode
from paho.mqtt.subscribeoptions import SubscribeOptions

from cloud_sync.errors import BrokerError, IdentityError
from cloud_sync.identity import Identity

_log = logging.getLogger(__name__)

_DISCONNECT_WITH_WILL = 0x04
_SESSION_TAKEN_OVER = 0x8E
_UNSPECIFIED = "Unspecified error"
_NOT_AUTHORISED = (0x86, 0x87, 0x8A)  # bad user name or password, not authorized, banned


class RefusedError(BrokerError):
    """The broker or its certificate is reached and says no: trying again without a change does not help."""


@dataclass(frozen=True)
class Terms:
    """What a connection asks of the broker.

    Attributes:
        session_expiry_s: how long it keeps what it has for us while we are away.
        keepalive_s: seconds of silence after which the connection is probed.
        manual_ack: messages are confirmed by ``client.ack``, not on arrival.
        receive_maximum: most messages it may send before they are confirmed.
        former: topics that an earlier version of this client read, in a session that the broker may still have.
    """

    session_expiry_s: int
    keepalive_s: int = 60
    manual_ack: bool = False
    receive_maximum: int | None = None
    former: tuple[str, ...] = ()


class _Context(ssl.SSLContext):
    """Remembers the socket it wrapped: paho forgets, and never closes, one whose handshake failed."""

    wrapped: ssl.SSLSocket | None = None

    def wrap_socket(self, *args: Any, **kwargs: Any) -> ssl.SSLSocket:
        """As the base class."""
        self.wrapped = super().wrap_socket(*args, **kwargs)
        return self.wrapped


def _tls(identity: Identity) -> _Context:
    context = _Context(ssl.PROTOCOL_TLS_CLIENT)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    try:
        context.load_verify_locations(cafile=str(identity.trust_root))
        context.load_cert_chain(str(identity.certificate), str(identity.key))
    except OSError as error:  # an ssl.SSLError is one too
        raise IdentityError(
            f"certificate {identity.certificate}, key {identity.key} or trust root {identity.trust_root} cannot be "
            f"used ({error.strerror or error}); enrol again"
        ) from error
    return context


class Connection:
    """A connection to the broker that is subscribed to its topics once :attr:`is_open`.

    The caller's thread does the network's work in :meth:`step`, callbacks included, unless :meth:`begin` was asked for
    a thread of its own; only then may other threads publish.

    Attributes:
        is_open: the broker has accepted us and our subscriptions.
        session_present: it still knew us.
        most_packet_bytes: longest packet it takes, None when it names no limit.
        receive_maximum: most unconfirmed packets it takes, None when it names no limit.
        failure: what ended the connection.

    Args:
        identity: whom to connect as, and where.
        terms: what is asked of the broker.
        subscriptions: topics to read, at QoS 1.
        on_message: called for each message.
        on_puback: called with packet id and reason code of each PUBACK.
        will: topic and payload of the retained last will.
    """

    def __init__(
        self,
        identity: Identity,
        terms: Terms,
        *,
        subscriptions: list[str],
        on_message: Callable[[mqtt.MQTTMessage], None],
        on_puback: Callable[[int, ReasonCode], None] | None = None,
        will: tuple[str, bytes] | None = None,
    ) -> None:
        self.identity = identity
        self.is_open = False
        self.session_present = False
        self.most_packet_bytes: int | None = None
        self.receive_maximum: int | None = None
        self.failure: BrokerError | None = None
        self._subscriptions = subscriptions
        self._former = list(terms.former)
        self._keepalive_s = terms.keepalive_s
        self._threaded = False
        self._changed = threading.Event()
        self._properties = Properties(PacketTypes.CONNECT)  # type: ignore[no-untyped-call]
        self._properties.SessionExpiryInterval = terms.session_expiry_s
        if terms.receive_maximum is not None:
            self._properties.ReceiveMaximum = terms.receive_maximum
        self._said = ""
        self._context = _tls(identity)
        self.client = mqtt.Client(
            CallbackAPIVersion.VERSION2,
            client_id=identity.name,
            protocol=mqtt.MQTTv5,
            reconnect_on_failure=False,
            manual_ack=terms.manual_ack,
        )
        self.client.tls_set_context(self._context)
        if will is not None:
            self.client.will_set(*will, qos=1, retain=True)
        self.client.on_connect = self._on_connect
        self.client.on_subscribe = self._on_subscribe
        self.client.on_disconnect = self._on_disconnect
        self.client.on_log = self._on_log
        self.client.on_message = lambda _client, _data, message: on_message(message)
        if on_puback is not None:
            self.client.on_publish = lambda _client, _data, mid, reason, _properties: on_puback(mid, reason)

    @property
    def where(self) -> str:
        """The broker, for messages to people."""
        return f"broker {self.identity.broker_host}:{self.identity.broker_port}"

    def begin(self, *, threaded: bool = False) -> None:
        """Make the TLS connection and send CONNECT; the answer comes while the network loop runs.

        Args:
            threaded: run the network loop, and all callbacks, in a thread of its own.

        Raises:
            BrokerError: nothing listens there, it is no host, or no network.
            RefusedError: the broker's certificate is not signed by our trust root or is for another host name.
        """
        try:
            self.client.connect(
                self.identity.broker_host,
                self.identity.broker_port,
                keepalive=self._keepalive_s,
                clean_start=False,
                properties=self._properties,
            )
        except (OSError, UnicodeError) as error:  # the second for a host name with an empty or too long label
            if self._context.wrapped is not None:
                self._context.wrapped.close()
            raise self._explained(error) from error
        if threaded:
            self._threaded = True
            # a mistake in a callback is logged; it must not end the thread, which nobody would notice
            self.client.suppress_exceptions = True
            self.client.loop_start()

    def step(self, timeout_s: float) -> None:
        """Let the network do its part.

        Args:
            timeout_s: how long to wait for something to happen.

        Raises:
            BrokerError: the connection is lost.
            RefusedError: the broker refused it.
        """
        result = self._loop(timeout_s)
        if self.failure is not None:
            raise self.failure
        if result != MQTTErrorCode.MQTT_ERR_SUCCESS:
            raise self._lost(mqtt.error_string(result))

    def _loop(self, timeout_s: float) -> MQTTErrorCode:
        if not self._threaded:
            return self.client.loop(timeout_s)
        self._changed.wait(timeout_s)
        self._changed.clear()
        still_there = self.client.is_connected() or not self.is_open
        return MQTTErrorCode.MQTT_ERR_SUCCESS if still_there else MQTTErrorCode.MQTT_ERR_CONN_LOST

    def wait_open(self, timeout_s: float) -> None:
        """Step until the broker has accepted us and our subscriptions.

        Raises:
            BrokerError: it did not within the time, or the connection was lost.
            RefusedError: it refused.
        """
        deadline = time.monotonic() + timeout_s
        while not self.is_open:
            left_s = deadline - time.monotonic()
            if left_s <= 0:
                raise BrokerError(
                    f"{self.where} takes connections but does not answer within {timeout_s:.0f} s; check host and port"
                )
            self.step(left_s)

    def end(self) -> None:
        """Disconnect, letting the broker publish the last will; harmless when already disconnected."""
        self.client.disconnect(reasoncode=ReasonCode(PacketTypes.DISCONNECT, identifier=_DISCONNECT_WITH_WILL))
        deadline = time.monotonic() + 2.0
        while self.client.socket() is not None and time.monotonic() < deadline:
            self._loop(0.1)
        self.abandon()

    def abandon(self) -> None:
        """Close the socket without a word; the broker then publishes the last will."""
        if self._context.wrapped is not None:
            self._context.wrapped.close()
        self.client.loop_stop()
        # no cycle through the callbacks, so that paho's sockets are closed now and not by the garbage collector
        self.client.on_connect = self.client.on_subscribe = self.client.on_disconnect = None
        self.client.on_log = self.client.on_message = self.client.on_publish = None

    def _on_connect(
        self,
        client: mqtt.Client,
        _data: Any,
        flags: mqtt.ConnectFlags,
        reason: ReasonCode,
        properties: Properties | None,
    ) -> None:
        if not reason.is_failure:
            self.session_present = flags.session_present
            self.most_packet_bytes = getattr(properties, "MaximumPacketSize", None)
            self.receive_maximum = getattr(properties, "ReceiveMaximum", None)
            if self._former and flags.session_present:
                client.unsubscribe(self._former)
            client.subscribe([(topic, SubscribeOptions(qos=1)) for topic in self._subscriptions])
        elif reason.value in _NOT_AUTHORISED:
            self.failure = RefusedError(
                f"{self.where} does not authorise {self.identity.name!r} ({reason}); "
                "check that this certificate was signed by its authority and that its access list is current"
            )
        else:
            self.failure = BrokerError(f"{self.where} refused the connection: {reason}; see the broker's log")
        self._changed.set()

    def _on_subscribe(
        self, _client: mqtt.Client, _data: Any, _mid: int, reasons: list[ReasonCode], _properties: Properties | None
    ) -> None:
        for topic, reason in zip(self._subscriptions, reasons, strict=True):
            if reason.is_failure:
                self.failure = RefusedError(
                    f"{self.where} does not let {self.identity.name!r} read {topic} ({reason}); "
                    "check the broker's access list"
                )
                self._changed.set()
                return
        self.is_open = True
        self._changed.set()

    def _on_disconnect(
        self,
        _client: mqtt.Client,
        _data: Any,
        flags: mqtt.DisconnectFlags,
        reason: ReasonCode,
        _properties: Properties | None,
    ) -> None:
        was_open, self.is_open = self.is_open, False
        if self.failure is not None:
            return
        if flags.is_disconnect_packet_from_server and reason.value == _SESSION_TAKEN_OVER:
            self.failure = BrokerError(
                f"{self.where} ended the connection because another program connected as {self.identity.name!r}; "
                "is this identity in use twice?"
            )
        elif reason.is_failure:
            self.failure = self._lost(str(reason), was_open=was_open)
        self._changed.set()

    def _lost(self, reason: str, *, was_open: bool = True) -> BrokerError:
        if was_open or "alert" not in self._said:
            # also what Mosquitto does to a client whose identity connects once more: over TLS it says no word of it
            is_mute = reason == _UNSPECIFIED and (not self._said or "EOF" in self._said)
            cause = "the broker ended it and gave no reason; does it run, and is this identity in use twice?"
            return BrokerError(f"lost the connection to {self.where}: {cause if is_mute else self._said or reason}")
        # with TLS 1.3 the broker judges our certificate only after our side of the handshake is over
        return RefusedError(
            f"{self.where} refuses the certificate of {self.identity.name!r}: {self._said}; "
            "was it enrolled at this server, or revoked since? Enrol again"
        )

    def _on_log(self, _client: mqtt.Client, _data: Any, level: int, text: str) -> None:
        if level == mqtt.MQTT_LOG_ERR:
            self._said = text
        _log.log(logging.ERROR if "Caught exception" in text else logging.DEBUG, "paho: %s", text)

    def _explained(self, error: OSError | UnicodeError) -> BrokerError:
        if isinstance(error, UnicodeError):
            return BrokerError(f"{self.where} cannot be reached: its host is no host name; enrol again")
        if isinstance(error, ssl.SSLError):
            return self._explained_tls(error)
        if isinstance(error, socket.gaierror):
            return BrokerError(f"{self.where}: the host name cannot be resolved ({error.strerror}); check the network")
        if isinstance(error, TimeoutError):
            return BrokerError(f"{self.where} does not answer; check the network, host and port")
        return BrokerError(f"{self.where} cannot be reached: {error.strerror or error}; is it running?")

    def _explained_tls(self, error: ssl.SSLError) -> BrokerError:
        if isinstance(error, ssl.SSLCertVerificationError):
            return RefusedError(
                f"{self.where} shows a certificate this device does not trust: {error.verify_message}; check the host "
                "name, or enrol at this server: `pomona sync request`"
            )
        if isinstance(error, ssl.SSLEOFError):  # a link that is cut in the middle of it refuses nobody
            return BrokerError(f"{self.where} was lost during the TLS handshake; check the network, host and port")
        return RefusedError(f"{self.where} does not agree on TLS: {error.reason or error}; check host and port")
