"""What a device, a thief and a stranger can do at the running broker: nothing but write and read a device's own topics.

All with the configuration and access list as they are shipped.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
import socket
import subprocess
import time
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import paho.mqtt.client as mqtt
import pytest
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties
from paho.mqtt.reasoncodes import ReasonCode

from cloud_sync import keys, topics
from cloud_sync.connection import Connection, Terms
from cloud_sync.device_state import DeviceState
from cloud_sync.errors import BrokerError
from cloud_sync.identity import Identity
from cloud_sync.server.signing import Signer, pem
from tests.cloud_sync.helpers import enrol, envelope, make_server
from tests.system.conftest import Site, wait_until

ONLINE = DeviceState(online=True, store="0190a000-0000-7000-8000-000000000001")
# all that a curious device might think of; `{victim}` is another one
SUBSCRIPTIONS = (
    "#",
    "+/#",
    "/#",
    "pomona/#",
    "pomona/v1/#",
    "pomona/v1/+/#",
    "pomona/v1/+/up/#",
    "pomona/v1/+/down/#",
    "pomona/v1/+/down/ack",
    "pomona/v1/+/state",
    "+/+/{victim}/#",
    "pomona/v1/{victim}/down/ack",
    "pomona/v1/{victim}/state",
    "$share/g/#",
    "$share/g/pomona/v1/+/up/#",
    "$share/g/pomona/v1/{victim}/down/ack",
    "$SYS/#",
    "$CONTROL/#",
)
FOREIGN_TOPICS = (
    "pomona/v1/{victim}/up/tree",
    "pomona/v1/{victim}/up/batch",
    "pomona/v1/{victim}/state",
    "pomona/v1/{victim}/down/ack",
    "pomona/v1/{own}/down/ack",
    "pomona/v1/{own}/down/other",
    "pomona/v1/{own}",
    "pomona/v1/{own}/state/more",
    "pomona/v1/pomona-server/up/tree",
    "pomona/v1/pomona-broker/state",
    "pomona/v1//up/tree",
    "pomona/v2/{own}/up/tree",
    "$SYS/broker/uptime",
    "$CONTROL/dynamic-security/v1",
    "$share/g/pomona/v1/{victim}/up/tree",
    "elsewhere",
)


class Client:
    """A client that says what it likes, at the lowest level there is."""

    def __init__(
        self,
        identity: Identity,
        subscriptions: tuple[str, ...] = (),
        *,
        will: tuple[str, bytes] | None = None,
        session_expiry_s: int = 0,
    ) -> None:
        self.messages: list[mqtt.MQTTMessage] = []
        self.pubacks: dict[int, ReasonCode] = {}
        self.connection = Connection(
            identity,
            Terms(session_expiry_s=session_expiry_s),
            subscriptions=list(subscriptions) or [topics.acknowledgements(identity.name)],
            on_message=self.messages.append,
            on_puback=self.pubacks.__setitem__,
            will=will,
        )
        try:
            self.connection.begin(threaded=True)
            self.connection.wait_open(10)
        except BaseException:
            self.connection.abandon()
            raise

    def publish(self, topic: str, payload: bytes, *, retain: bool = False, alias: int | None = None) -> str:
        """Publish and return the broker's reason."""
        properties = Properties(PacketTypes.PUBLISH)  # type: ignore[no-untyped-call]
        if alias is not None:
            properties.TopicAlias = alias
        packet = self.connection.client.publish(topic, payload, qos=1, retain=retain, properties=properties).mid
        wait_until(lambda: packet in self.pubacks or self.connection.failure, "PUBACK")
        return str(self.pubacks.get(packet, self.connection.failure))

    def heard(self) -> set[str]:
        """Topics of the messages that came."""
        return {message.topic for message in self.messages}

    def close(self) -> None:
        self.connection.end()

    def die(self) -> None:
        """Be cut off, so that the broker publishes the last will."""
        self.connection.client.socket().shutdown(socket.SHUT_RDWR)  # type: ignore[union-attr]
        wait_until(lambda: not self.connection.is_open, "the connection is cut")
        self.connection.abandon()


@pytest.fixture(scope="module")
def tapped(tmp_path_factory: pytest.TempPathFactory, mosquitto: None) -> Iterator[tuple[Site, Client]]:
    """A broker, and a client in the server's place that hears all a server hears."""
    site = Site(tmp_path_factory.mktemp("site"))
    site.start_broker()
    folder = site.server_folder
    server = Identity(
        topics.SERVER_NAME,
        folder.ingest / "ingest.key",
        folder.ingest / "ingest.pem",
        folder.trusted,
        "localhost",
        site.port,
    )
    tap = Client(server, (topics.EVERY_UPWARD_MESSAGE, topics.EVERY_STATE))
    yield site, tap
    tap.close()
    site.close()


def test_no_subscription_brings_anything_of_others(tapped: tuple[Site, Client]) -> None:
    """SYNC-091: neither what is sent now nor what the broker retains."""
    site, tap = tapped
    victim = Client(site.device("victim").identity, (topics.acknowledgements("victim"),))
    victim.publish(topics.state("victim"), ONLINE.payload(), retain=True)
    wanted = tuple(subscription.format(victim="victim") for subscription in SUBSCRIPTIONS)
    spy = Client(site.device("spy").identity, wanted)
    victim.publish(topics.up("victim", "tree"), b"secret", retain=True)
    tap.publish(topics.acknowledgements("victim"), b"for the victim")
    wait_until(lambda: victim.messages, "the victim hears the server")
    late = Client(replace(site.device("late-spy").identity), wanted)  # for what is retained
    for name, client in (("spy", spy), ("late-spy", late)):
        tap.publish(topics.acknowledgements(name), b"for you")
        wait_until(lambda client=client: client.messages, "what is its own")  # type: ignore[misc]
        assert client.heard() == {topics.acknowledgements(name)}
        client.close()
    victim.publish(topics.up("victim", "tree"), b"", retain=True)
    victim.close()


def test_who_joins_another_s_shared_group_gets_nothing_for_it(tapped: tuple[Site, Client]) -> None:
    """SYNC-091."""
    site, tap = tapped
    spy = Client(site.device("joiner").identity, ("$share/pomona/pomona/v1/+/up/#", "$share/pomona/pomona/v1/+/state"))
    other = Client(site.device("sender").identity)
    before = len(tap.messages)
    for number in range(10):
        other.publish(topics.up("sender", "tree"), b"%d" % number)
    wait_until(lambda: len(tap.messages) == before + 10, "the server hears them all")
    assert spy.messages == []
    spy.close()
    other.close()


@pytest.mark.parametrize("retain", [False, True])
def test_nothing_is_written_elsewhere(tapped: tuple[Site, Client], retain: bool) -> None:
    """SYNC-091."""
    site, tap = tapped
    thief = Client(site.device(f"thief-{int(retain)}").identity)
    before = len(tap.messages)
    for topic in FOREIGN_TOPICS:
        where = topic.format(victim="victim", own=f"thief-{int(retain)}")
        said = thief.publish(where, b"forged", retain=retain)
        assert said in {"Not authorized", "Packet too large"} or "invalid" in said, (where, said)
    assert thief.publish(topics.up(f"thief-{int(retain)}", "tree"), b"own") == "Success"
    wait_until(lambda: len(tap.messages) == before + 1, "its own comes")
    fresh = Client(site.device(f"witness-{int(retain)}").identity)
    assert fresh.messages == []
    fresh.close()
    thief.close()


def test_a_last_will_speaks_on_the_device_s_own_state_only(tapped: tuple[Site, Client]) -> None:
    """SYNC-091."""
    site, tap = tapped
    site.device("mortal")
    identity = site.device("ghost").identity
    for topic in (topics.state("mortal"), topics.up("mortal", "tree"), topics.acknowledgements("ghost"), "$SYS/x"):
        before = len(tap.messages)
        try:
            client = Client(identity, will=(topic, b"forged"))
        except BrokerError:
            continue  # the broker does not even let it in
        client.die()
        time.sleep(0.3)
        assert [message.topic for message in tap.messages[before:]] == []
    client = Client(identity, will=(topics.state("ghost"), b"its own"))
    client.die()
    wait_until(lambda: tap.messages[-1].payload == b"its own", "the last will")


def test_a_topic_alias_leads_nowhere_else(tapped: tuple[Site, Client]) -> None:
    """SYNC-091."""
    site, tap = tapped
    client = Client(site.device("alias").identity)
    own, foreign = topics.up("alias", "tree"), topics.up("victim", "tree")
    assert client.publish(own, b"alias 1", alias=1) == "Success"
    assert client.publish(foreign, b"alias 2", alias=2) == "Not authorized"
    before = len(tap.messages)
    for alias in (1, 2):
        # an empty topic stands for what the alias was set to; paho sends none, so this is done one level below
        client.connection.client._send_publish(4320 + alias, b"", b"empty", 1, False, False, None, _with_alias(alias))
    client.publish(own, b"last")  # judged after the others, where the broker still bears with this client
    witness = Client(site.device("alias-witness").identity)
    witness.publish(topics.up("alias-witness", "tree"), b"after all that")
    wait_until(lambda: tap.messages[-1].payload == b"after all that", "the server has heard all")
    heard = {(message.topic, bytes(message.payload)) for message in tap.messages[before:-1]}
    assert (own, b"empty") in heard
    assert {topic for topic, _ in heard} == {own}
    witness.close()
    client.connection.abandon()


def _with_alias(number: int) -> Properties:
    properties = Properties(PacketTypes.PUBLISH)  # type: ignore[no-untyped-call]
    properties.TopicAlias = number
    return properties


def test_a_session_is_one_device_s_whatever_it_calls_itself(tapped: tuple[Site, Client]) -> None:
    """SYNC-006: no client id brings another's queue, or throws another out."""
    site, tap = tapped
    victim = Client(site.device("sleeper").identity, session_expiry_s=3600)
    victim.close()
    tap.publish(topics.acknowledgements("sleeper"), b"while it sleeps")
    thief = Client(replace(site.device("burglar").identity, name="sleeper"), session_expiry_s=3600)
    time.sleep(0.3)
    assert thief.messages == []
    assert not thief.connection.session_present
    awake = Client(site.device("sleeper").identity, session_expiry_s=3600)
    wait_until(lambda: awake.messages, "what came while it slept")
    assert thief.connection.is_open
    thief.close()
    awake.close()


def test_without_tls_or_certificate_nobody_gets_in(tapped: tuple[Site, Client]) -> None:
    """SYNC-092: asked with the broker's own client program, and with a bare socket."""
    site, _ = tapped
    folder = site.server_folder
    stranger = folder.path / "stranger.pem"
    connect = bytes.fromhex("101000044d5154540502003c0000036b697769")
    with socket.create_connection(("localhost", site.port), timeout=10) as plain, contextlib.suppress(OSError):
        plain.sendall(connect)
        assert b"\x20" not in plain.recv(1)  # no CONNACK
    key = keys.make_key(folder.path / "stranger.key")
    stranger.write_bytes(pem(Signer.make(key).device("victim", key.public_key())))
    for extra in ([], ["--cert", stranger, "--key", folder.path / "stranger.key"], ["-u", "pomona-server", "-P", ""]):
        command = ["mosquitto_pub", "-V", "mqttv5", "-h", "localhost", "-p", str(site.port)]
        where = ["--cafile", str(folder.trusted), "-t", topics.up("victim", "tree"), "-m", "x", "-q", "1"]
        done = subprocess.run([*command, *where, *map(str, extra)], capture_output=True, check=False, timeout=20)
        assert done.returncode != 0, extra


def test_a_certificate_of_the_wrong_kind_or_time_gets_nobody_in(tapped: tuple[Site, Client], tmp_path: Path) -> None:
    """SYNC-092: the broker's own, one that has ended, one of another authority."""
    site, _ = tapped
    folder = site.server_folder
    good = site.device("orderly").identity
    signer = Signer(keys.read_key(folder.root_key), keys.read_certificate(folder.root_certificate))
    ended = tmp_path / "ended.pem"
    key = keys.read_key(good.key)
    ended.write_bytes(pem(signer.device("orderly", key.public_key(), timedelta(days=-1))))
    elsewhere = enrol(make_server(tmp_path / "server"), tmp_path / "device", "orderly")
    cases = {
        "ended": replace(good, certificate=ended),
        "the broker's own": replace(good, certificate=folder.broker / "broker.pem", key=folder.broker / "broker.key"),
        "another authority's": replace(elsewhere, trust_root=good.trust_root),
    }
    for case, identity in cases.items():
        said = outcome(replace(identity, broker_port=site.port, broker_host="localhost"))
        assert "refuses the certificate" in said, case
    assert outcome(good) == "connected"


def outcome(identity: Identity) -> str:
    """What becomes of an attempt to connect."""
    try:
        Client(identity).close()
    except BrokerError as error:
        return str(error)
    return "connected"


def test_tls_before_1_2_is_refused(tapped: tuple[Site, Client]) -> None:
    """SYNC-092."""
    site, _ = tapped
    where = f"localhost:{site.port}"
    for version, answers in (("-tls1_1", False), ("-tls1_2", True)):
        command = ["openssl", "s_client", "-connect", where, version, "-cipher", "ALL:@SECLEVEL=0"]
        done = subprocess.run(command, input=b"", capture_output=True, check=False)
        assert (b"BEGIN CERTIFICATE" in done.stdout) is answers, version


def test_the_broker_bounds_what_one_client_may_keep_it_busy_with(tapped: tuple[Site, Client]) -> None:
    """SYNC-008."""
    site, _ = tapped
    identity = site.device("greedy").identity
    client = Client(identity)
    assert client.connection.most_packet_bytes is not None
    assert client.connection.most_packet_bytes < 300_000
    client.connection.client.publish(topics.up("greedy", "tree"), b"x" * 300_000, qos=1)
    wait_until(lambda: client.connection.failure, "too long a packet ends the connection")
    client.connection.abandon()
    again = Client(identity)
    assert again.publish(topics.up("greedy", "tree"), json.dumps(envelope(device="greedy")).encode()) == "Success"
    again.close()


@pytest.mark.slow
def test_a_device_that_fills_the_broker_s_memory_is_thrown_out_and_the_others_go_on(site: Site) -> None:
    """SYNC-008: with retained messages, which nobody but a new one replaces."""
    configuration = site.server_folder.broker / "mosquitto.conf"
    configuration.write_text(configuration.read_text().replace("memory_limit 1073741824", "memory_limit 52428800"))
    broker = site.start_broker()
    site.start_server()
    honest = site.device("honest")
    greedy = Client(site.device("greedy").identity)
    written = 0
    while greedy.connection.failure is None and written < 1000:
        greedy.publish(topics.up("greedy", f"x{written}"), os.urandom(250_000), retain=True)
        written += 1
    assert 100 < written < 1000
    greedy.connection.abandon()
    honest.record(5)
    assert honest.sync().stored == 5
    resident = re.search(r"VmRSS:\s+(\d+) kB", Path(f"/proc/{broker.pid}/status").read_text())
    assert resident is not None
    assert int(resident[1]) < 100_000
