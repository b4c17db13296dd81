"""Sync with real processes: a broker, a server and devices, killed, late, stolen and refused."""

from __future__ import annotations

import contextlib
import json
import logging
import os
import signal
import sqlite3
import subprocess
import sys
import threading
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import paho.mqtt.client as mqtt
import pytest
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties
from paho.mqtt.reasoncodes import ReasonCode

from cloud_sync import topics
from cloud_sync.batch import decode_batch
from cloud_sync.connection import Connection, RefusedError, Terms
from cloud_sync.errors import BrokerError
from cloud_sync.identity import Identity
from cloud_sync.outbox import new_id
from cloud_sync.server.broker import initialise
from cloud_sync.server.certificates import Authority
from cloud_sync.server.folder import ServerSettings
from cloud_sync.uplink import Uplink
from tests.cloud_sync.helpers import EXAMPLES, enqueue, enrol, envelope, example, make_server, tree
from tests.system.conftest import QUICK, Device, Site, wait_until


class Client:
    """A client of the broker that does what it is told, as a thief or an eavesdropper would."""

    def __init__(self, identity: Identity, subscriptions: list[str], *, session_expiry_s: int = 0) -> None:
        self.messages: list[mqtt.MQTTMessage] = []
        self.pubacks: dict[int, ReasonCode] = {}
        self._connection = Connection(
            identity,
            Terms(session_expiry_s=session_expiry_s),
            subscriptions=subscriptions or [topics.acknowledgements(identity.name)],
            on_message=self.messages.append,
            on_puback=self.pubacks.__setitem__,
        )
        self._connection.begin(threaded=True)
        self._connection.wait_open(10)

    def publish(self, topic: str, payload: bytes, *, qos: int = 1, retain: bool = False) -> str:
        """Publish and return the broker's reason."""
        packet = self._connection.client.publish(topic, payload, qos=qos, retain=retain).mid
        wait_until(lambda: packet in self.pubacks, "PUBACK")
        return str(self.pubacks[packet])

    def send(self, topic: str, fields: dict[str, Any]) -> str:
        """Send an envelope as a device does, without waiting; returns the message's id."""
        properties = Properties(PacketTypes.PUBLISH)  # type: ignore[no-untyped-call]
        properties.CorrelationData = f"{fields['message']}:{fields['version']}".encode()
        self._connection.client.publish(topic, json.dumps(fields).encode(), qos=1, properties=properties)
        return str(fields["message"])

    def is_thrown_out_by(self, topic: str, payload: bytes) -> bool:
        """Publish what the broker does not bear."""
        self._connection.client.publish(topic, payload, qos=1)
        wait_until(lambda: self._connection.failure is not None, "the broker ends the connection")
        return True

    @property
    def is_connected(self) -> bool:
        return self._connection.is_open

    def close(self) -> None:
        self._connection.end()

    def abandon(self) -> None:
        """As if it had died."""
        self._connection.abandon()


def cpu_s(process: int) -> float:
    """Seconds a process has computed."""
    user, system = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[11:13]
    return (int(user) + int(system)) / os.sysconf("SC_CLK_TCK")


def ingest_identity(site: Site) -> Identity:
    folder = site.server_folder
    key, certificate = folder.ingest / "ingest.key", folder.ingest / "ingest.pem"
    return Identity(topics.SERVER_NAME, key, certificate, folder.root_certificate, "localhost", site.port)


def test_records_of_all_types_arrive_and_the_outbox_is_empty(running_site: Site) -> None:
    """SYNC-021, SYNC-040."""
    device = running_site.device("all-types")
    enqueue(device.store, [example(kind) for kind in EXAMPLES])
    result = device.sync()
    assert (result.stored, result.rejected, result.waiting) == (len(EXAMPLES), 0, 0)
    rows = running_site.rows("SELECT type, body, store FROM record WHERE device = 'all-types'")
    said = {
        kind: {field: value for field, value in body.items() if value is not None} for kind, body in EXAMPLES.items()
    }
    assert {kind: json.loads(body) for kind, body, _ in rows} == said
    assert {store for *_, store in rows} == {device.store.outbox.store}


def test_a_second_run_sends_nothing(running_site: Site) -> None:
    device = running_site.device("twice")
    device.record(3)
    assert device.sync().stored == 3
    assert device.sync().stored == 0


def test_records_made_while_the_uplink_runs_are_sent_and_waiting_costs_nothing(running_site: Site) -> None:
    """SYNC-032."""
    device = running_site.device("growing")
    uplink = device.start_uplink(replace(QUICK, poll_s=1.0))
    keys = device.record(2, "early")
    wait_until(lambda: device.waiting() == 0, "first records stored")
    before = cpu_s(uplink.pid)
    time.sleep(2.0)
    assert cpu_s(uplink.pid) - before < 0.1
    keys += device.record(2, "late")
    wait_until(lambda: device.waiting() == 0, "later records stored")
    assert running_site.stop(uplink)[0] == 0
    assert sorted(running_site.keys_of("growing")) == sorted(keys)


def test_one_sd_card_read_on_two_devices_counts_once(running_site: Site) -> None:
    """SYNC-049."""
    devices = [running_site.device(name) for name in ("reader-1", "reader-2")]
    for device in devices:
        body = {**EXAMPLES["count"], "block": "shared"}
        enqueue(device.store, [example("count", **body), tree("1").model_copy(update={"block": "shared"})])
        device.sync()
    assert running_site.rows("SELECT count(*) FROM record WHERE block = 'shared'") == [(4,)]
    (block,) = [block for block in running_site.holdings().blocks if block.block == "shared"]
    assert block.records == {"count": 1, "tree": 1}
    assert block.counts == {"apple": 131}


def test_a_device_restored_from_a_backup_loses_no_change(running_site: Site, tmp_path: Path) -> None:
    """SYNC-035, SYNC-050: the server holds later revisions of the record than the backup knows."""
    device = running_site.device("restored")
    record = new_id()

    def change(revision: int, code: str) -> None:
        with device.store.change():
            device.store.outbox.enqueue(record, revision, tree(code))

    change(1, "first")
    assert device.sync().stored == 1
    with contextlib.closing(sqlite3.connect(tmp_path / "backup.sqlite")) as backup:
        device.store.db.conn.backup(backup)
        for revision, code in ((2, "second"), (3, "third")):
            change(revision, code)
        assert device.sync().stored == 2
        backup.backup(device.store.db.conn)
    held = "SELECT revision, json_extract(body, '$.tree') FROM record WHERE device = 'restored'"
    assert running_site.rows(held) == [(3, "third")]
    change(2, "after the restoration")
    result = device.sync()
    assert (result.stored, result.rejected, result.waiting) == (1, 0, 0)
    assert running_site.rows(held) == [(4, "after the restoration")]
    change(3, "and once more")
    assert device.sync().stored == 1
    assert running_site.rows(held) == [(5, "and once more")]


def test_a_refused_record_is_kept_on_both_sides_and_stored_once_it_is_valid(running_site: Site) -> None:
    """SYNC-027, SYNC-048."""
    device = running_site.device("too-new")
    device.record(2)
    device.store.db.execute("UPDATE outbox SET version = 2 WHERE sequence = 1")
    result = device.sync()
    assert (result.stored, result.rejected, result.waiting) == (1, 1, 0)
    (row,) = device.store.db.query("SELECT rejected FROM outbox")
    reason = "tree version 2 is newer than 1, which is known here"
    assert row["rejected"] == reason
    assert running_site.rows("SELECT reason FROM dead_letter WHERE device = 'too-new'") == [(reason,)]
    device.store.db.execute("UPDATE outbox SET version = 1")  # stands for a server that has learned
    device.store.outbox.replay_rejected()
    assert device.sync().stored == 1
    assert running_site.rows("SELECT reason FROM dead_letter WHERE device = 'too-new'") == []


def test_a_device_cannot_write_under_another_s_topics(running_site: Site) -> None:
    """SYNC-006."""
    running_site.device("victim")
    thief = Client(running_site.device("thief").identity, [])
    stolen = envelope(device="victim")
    payload = json.dumps(stolen).encode()
    before = running_site.rows("SELECT count(*) FROM record")
    for topic in (
        topics.up("victim", "tree"),
        topics.state("victim"),
        topics.acknowledgements("victim"),
        topics.acknowledgements("thief"),
        topics.up(topics.SERVER_NAME, "tree"),
        "pomona/v1/thief",
        "other",
    ):
        assert thief.publish(topic, payload) == "Not authorized", topic
    # under its own topic it may, and is told by the server that this is not its name
    assert thief.publish(topics.up("thief", "tree"), payload) == "Success"
    query = "SELECT reason FROM dead_letter WHERE device = 'thief'"
    wait_until(lambda: running_site.rows(query), "dead letter")
    assert running_site.rows(query) == [("the envelope names device 'victim', the topic 'thief'",)]
    assert running_site.rows("SELECT count(*) FROM record") == before
    thief.close()


def test_a_device_cannot_read_another_s_answers(running_site: Site) -> None:
    """SYNC-006."""
    victim = running_site.device("watched")
    everything = ["#", topics.acknowledgements("watched"), topics.EVERY_UPWARD_MESSAGE, topics.EVERY_STATE, "$SYS/#"]
    spy = Client(running_site.device("spy").identity, everything)
    witness = Client(victim.identity, [topics.acknowledgements("watched")])
    witness.publish(topics.up("watched", "tree"), json.dumps(envelope(device="watched")).encode())
    wait_until(lambda: witness.messages, "the answer that the spy must not see")
    spy.publish(topics.up("spy", "tree"), json.dumps(envelope(device="spy")).encode())
    wait_until(lambda: spy.messages, "the spy's own answer, which comes after the other")
    assert {message.topic for message in spy.messages} == {topics.acknowledgements("spy")}
    witness.close()
    spy.close()


def test_a_client_id_of_another_does_not_take_its_session(running_site: Site) -> None:
    """SYNC-006: the certificate is the client id, whatever a client says."""
    victim = Client(running_site.device("calm").identity, [])
    thief = running_site.device("bold").identity
    liar = Client(replace(thief, name="calm"), [])
    time.sleep(0.2)
    assert victim.publish(topics.up("calm", "tree"), b"{") == "Success"
    assert liar.publish(topics.up("calm", "tree"), b"{") == "Not authorized"
    assert liar.publish(topics.up("bold", "tree"), b"{") == "Success"
    liar.close()
    victim.close()


def test_hostile_messages_do_not_stop_the_server(running_site: Site) -> None:
    """SYNC-047."""
    hostile = Client(running_site.device("hostile").identity, [])
    topic = topics.up("hostile", "tree")
    for payload in (
        b"",
        b"\xff" * 1000,
        b"[" * 100_000,
        b"{}",
        json.dumps(envelope(device="hostile", version=99)).encode(),
    ):
        hostile.publish(topic, payload)
        hostile.publish(topics.state("hostile"), payload, retain=True)
    hostile.publish("pomona/v1/hostile/up/a/b/c", b"x")
    for _ in range(200):
        hostile.publish(topic, b"{", qos=0)
    hostile.publish(topics.state("hostile"), b"", retain=True)
    # longer than a message may be, but not too long to be told so; longer still ends at the broker
    hostile.publish(topic, b"x" * (257 * 1024))
    assert hostile.is_thrown_out_by(topic, b"x" * (400 * 1024))
    hostile.close()
    device = running_site.device("honest")
    device.record(5)
    assert device.sync().stored == 5
    query = "SELECT count(*) FROM dead_letter WHERE device = 'hostile' AND reason LIKE ?"
    assert running_site.rows(query, "%longer than%") == [(1,)]


def test_a_flood_of_long_topics_does_not_end_the_server_s_connection(running_site: Site) -> None:
    """SYNC-047, SYNC-051: what a device chooses is quoted in part, and answers go out in packets the broker takes."""
    flooder = Client(running_site.device("flooder").identity, [topics.acknowledgements("flooder")])
    topic = topics.up("flooder", "果" * 2000)
    messages = [flooder.send(topic, envelope(device="flooder", body={"tree": "果" * 100})) for _ in range(400)]
    answered: set[str] = set()

    def all_answered() -> bool:
        while flooder.messages:
            answers = json.loads(flooder.messages.pop().payload)["answers"]
            answered.update(answer["message"] for answer in answers)
        return answered == set(messages)

    wait_until(all_answered, "every message is answered")
    flooder.close()
    device = running_site.device("patient")
    device.record(5)
    assert device.sync(time_limit_s=10).stored == 5


def test_too_long_a_record_does_not_hold_up_the_others(running_site: Site) -> None:
    """SYNC-028."""
    device = running_site.device("long")
    body = tree("long").model_copy(update={"block": "long", "note": "x" * 300_000})
    enqueue(device.store, [body, tree("short").model_copy(update={"block": "long"})])
    result = device.sync()
    assert (result.stored, result.rejected) == (1, 1)
    assert running_site.keys_of("long") == ["tree/Dongshan/long/short"]


def test_state_tells_online_and_the_last_will_offline(running_site: Site) -> None:
    """SYNC-060."""
    device = running_site.device("alive")
    query = "SELECT online, store FROM device WHERE name = 'alive'"
    store = device.store.outbox.store
    uplink = device.start_uplink()
    wait_until(lambda: running_site.rows(query) == [(1, store)], "online")
    running_site.kill(uplink)
    wait_until(lambda: running_site.rows(query) == [(0, store)], "offline after a kill")
    uplink = device.start_uplink()
    wait_until(lambda: running_site.rows(query) == [(1, store)], "online again")
    running_site.stop(uplink)
    wait_until(lambda: running_site.rows(query) == [(0, store)], "offline after an orderly end")


def test_a_second_uplink_of_one_device_is_refused(running_site: Site) -> None:
    """SYNC-031."""
    device = running_site.device("once")
    uplink = device.start_uplink()
    wait_until(lambda: running_site.rows("SELECT online FROM device WHERE name = 'once'") == [(1,)], "online")
    device.record(1)
    with pytest.raises(BrokerError, match="another `pomona sync` of 'once' is running"):
        device.sync()
    wait_until(lambda: device.waiting() == 0, "the first uplink goes on")
    running_site.stop(uplink)


def test_an_uplink_killed_midway_loses_and_doubles_nothing(running_site: Site) -> None:
    """SYNC-020, SYNC-021, SYNC-041: killed at three moments, the same records arrive, each once."""
    device = running_site.device("killed")
    keys = device.record(250)
    for left in (245, 160, 80):
        uplink = device.start_uplink(replace(QUICK, window=5))
        wait_until(lambda left=left: device.waiting() <= left, f"{left} left")  # type: ignore[misc]
        running_site.kill(uplink)
        assert device.waiting() > 0, "killed too late to be midway"
    assert device.sync().waiting == 0
    assert sorted(running_site.keys_of("killed")) == sorted(keys)


def test_a_server_killed_midway_loses_and_doubles_nothing(site: Site) -> None:
    """SYNC-022, SYNC-026: answered means committed, so what is missing is still in the outbox."""
    site.start_broker()
    server = site.start_server()
    device = site.device("jetson-1")
    keys = device.record(300)
    uplink = device.start_uplink(replace(QUICK, window=5))
    for left in (250, 120):
        wait_until(lambda left=left: device.waiting() <= left, f"{left} left")  # type: ignore[misc]
        site.kill(server)
        waiting = {row["message"] for row in device.store.db.query("SELECT message FROM outbox")}
        assert waiting, "killed too late to be midway"
        assert len(site.keys_of("jetson-1")) >= 300 - len(waiting)
        server = site.start_server()
    wait_until(lambda: device.waiting() == 0, "all stored")
    site.stop(uplink)
    assert sorted(site.keys_of("jetson-1")) == sorted(keys)
    code, log = site.stop(server)
    assert code == 0
    assert "Traceback" not in log


def test_a_broker_killed_midway_loses_and_doubles_nothing(site: Site) -> None:
    """SYNC-026: the broker keeps nothing on disk; device and server find back by themselves."""
    broker = site.start_broker()
    server = site.start_server()
    device = site.device("jetson-1")
    keys = device.record(200)
    uplink = device.start_uplink(replace(QUICK, window=5))
    wait_until(lambda: device.waiting() <= 150, "150 left")
    site.kill(broker)
    assert device.waiting() > 0
    site.start_broker()
    wait_until(lambda: device.waiting() == 0, "all stored")
    code, log = site.stop(uplink)
    assert code == 0
    assert log.count("lost the connection") <= 1
    assert sorted(site.keys_of("jetson-1")) == sorted(keys)
    assert "Traceback" not in site.stop(server)[1]


def test_device_and_server_wait_for_a_broker_that_comes_late(site: Site) -> None:
    """SYNC-030: one log line for the state, not one for each attempt."""
    device = site.device("early")
    device.record(3)
    uplink = device.start_uplink()
    server = site.start_server(wait=False)
    for process in (uplink, server):
        wait_until(lambda process=process: "cannot be reached" in site.log(process), "tried")  # type: ignore[misc]
    time.sleep(1.0)  # for several attempts more
    site.start_broker()
    site.await_ready(server)
    wait_until(lambda: device.waiting() == 0, "stored")
    for process in (uplink, server):
        code, log = site.stop(process)
        assert code == 0
        assert log.count("cannot be reached") == 1
        assert log.count("connected to broker ") == 1


def test_a_broker_that_queues_without_end_gets_a_window_and_no_more(site: Site) -> None:
    """SYNC-023, SYNC-025, SYNC-033: it takes everything, confirms everything, and no server ever answers."""
    site.start_broker()
    tap = Client(ingest_identity(site), [topics.EVERY_UPWARD_MESSAGE])  # in the server's place, but mute
    device = site.device("jetson-1")
    device.learn_time()
    device.record(100)
    begun = time.monotonic()
    with pytest.raises(BrokerError, match=r"100 messages still wait after 2 s .*does not answer\. Nothing was lost"):
        device.sync(replace(QUICK, window=10, resend_s=0.2), time_limit_s=2)
    assert 2 <= time.monotonic() - begun < 5
    tap.close()
    assert device.waiting() == 100
    sequences = [
        json.loads(line)["sequence"]
        for message in tap.messages
        for line in (decode_batch(bytes(message.payload)) if message.topic.endswith("/batch") else [message.payload])
    ]
    assert set(sequences) == set(range(1, 11))
    assert sequences[:10] == list(range(1, 11))
    assert 11 <= len(sequences) <= 14  # the window once, then one again after 0.2, 0.4 and 0.8 s
    site.start_server()
    assert device.sync().stored == 100


def test_without_a_broker_the_error_names_it_and_nothing_is_lost(site: Site) -> None:
    """SYNC-033, SYNC-034."""
    device = site.device("jetson-1")
    device.record(4)
    expected = rf"4 messages still wait after 1 s .*broker localhost:{site.port} cannot be reached.*is it running"
    with pytest.raises(BrokerError, match=expected):
        device.sync(time_limit_s=1)
    assert device.waiting() == 4


def test_something_else_on_the_port_is_an_error_that_says_so(site: Site) -> None:
    """SYNC-034."""
    device = site.device("jetson-1")
    device.record(1)
    command = [sys.executable, "-m", "http.server", str(site.port), "--bind", "127.0.0.1"]
    other = site.start(command)
    wait_until(site.is_listening, "the other program listens")
    with pytest.raises(BrokerError, match=r"does not agree on TLS|does not answer|lost the connection"):
        device.sync(time_limit_s=3)
    site.kill(other)


def test_certificates_of_others_are_refused_at_once_with_the_way_out(running_site: Site, tmp_path: Path) -> None:
    """SYNC-034: the device's, the broker's, and none at all."""
    device = running_site.device("foreign")
    device.record(1)
    elsewhere = enrol(make_server(tmp_path / "server", running_site.port), tmp_path / "device", "foreign")
    own = device.identity
    where = rf"broker localhost:{running_site.port}"

    device.identity = replace(elsewhere, trust_root=own.trust_root)
    with pytest.raises(RefusedError, match=rf"{where} refuses the certificate of 'foreign'.*[Ee]nrol again"):
        device.sync()
    device.identity = replace(own, trust_root=elsewhere.trust_root)
    with pytest.raises(RefusedError, match=rf"{where} shows a certificate this device does not trust: .*enrol at this"):
        device.sync()
    device.identity = replace(own, broker_host="127.0.0.2")
    with pytest.raises(RefusedError, match=r"broker 127\.0\.0\.2:\d+ (shows a certificate.*host|cannot be reached)"):
        running_site_binds_one_address(device)
    assert device.waiting() == 1


def running_site_binds_one_address(device: Device) -> None:
    """The broker listens on 127.0.0.1 only, which some systems answer for all of 127/8."""
    try:
        device.sync(time_limit_s=1)
    except RefusedError:
        raise
    except BrokerError as error:
        raise RefusedError(str(error).split("progress: ")[-1]) from error


def test_without_a_certificate_there_is_no_connection(running_site: Site) -> None:
    """SYNC-006: asked with the broker's own client program."""
    topic, root = topics.up("nobody", "tree"), running_site.server_folder.root_certificate
    command = ["mosquitto_pub", "-V", "mqttv5", "-h", "localhost", "-p", str(running_site.port), "--cafile", str(root)]
    done = subprocess.run(
        [*command, "-t", topic, "-m", "x", "-q", "1", "-u", "nobody"], capture_output=True, text=True, check=False
    )
    assert done.returncode != 0


def test_a_replaced_device_s_former_key_is_refused(site: Site, tmp_path: Path) -> None:
    """SYNC-005."""
    device = site.device("jetson-1")
    device.record(1)
    enrol(site.server_folder, tmp_path / "new", "jetson-1", replace=True)
    site.start_broker()
    with pytest.raises(RefusedError, match=r"refuses the certificate of 'jetson-1': .*revoked"):
        device.sync()
    assert device.waiting() == 1


def test_a_lost_device_is_shut_out_and_the_others_go_on(site: Site) -> None:
    """SYNC-007: a reload refuses new connections, a restart also ends the one that the device has."""
    broker = site.start_broker()
    server = site.start_server()
    lost, other = site.device("lost"), site.device("other")
    lost.record(1)
    assert lost.sync().stored == 1
    stolen = Client(lost.identity, [])
    Authority(site.server_folder).withdraw("lost")

    broker.send_signal(signal.SIGHUP)
    wait_until(lambda: "Reloading config" in site.log(broker), "reloaded")
    lost.record(1, "later")
    with pytest.raises(RefusedError, match=r"refuses the certificate of 'lost': .*revoked.*Enrol again"):
        lost.sync()
    assert stolen.publish(topics.up("lost", "tree"), json.dumps(envelope(device="lost")).encode()) == "Success"

    site.stop(broker)
    wait_until(lambda: not stolen.is_connected, "the thief's connection is over")
    site.start_broker()
    with pytest.raises(RefusedError, match=r"refuses the certificate of 'lost': .*revoked.*Enrol again"):
        lost.sync()
    other.record(2)
    assert other.sync().stored == 2
    lost.identity = enrol(site.server_folder, site.folder / "found", "lost")
    assert lost.sync().stored == 1
    stolen.close()
    assert "Traceback" not in site.stop(server)[1]


def test_the_server_reaches_a_broker_that_listens_on_one_address_only(site: Site) -> None:
    settings = ServerSettings(hosts=["sync.example.org"], port=site.port, bind="127.0.0.2")
    initialise(site.server_folder, settings)
    site.start(["mosquitto", "-c", str(site.server_folder.broker / "mosquitto.conf")])
    server = site.start_server()
    assert f"connected to broker 127.0.0.2:{site.port}" in site.log(server)


def test_an_access_list_that_forbids_sending_is_named(site: Site) -> None:
    """SYNC-029."""
    access = site.server_folder.broker / "access"
    access.write_text(access.read_text().replace("pattern write pomona/v1/%u/up/#\n", ""))
    site.start_broker()
    device = site.device("jetson-1")
    device.record(1)
    with pytest.raises(
        RefusedError, match=r"write pomona/v1/jetson-1/up/tree \(Not authorized\); .*pomona server init"
    ):
        device.sync()
    assert device.waiting() == 1


def test_a_daemon_outlives_refusal_and_a_locked_outbox(site: Site, caplog: pytest.LogCaptureFixture) -> None:
    """SYNC-030: it says so once and tries again."""
    access = site.server_folder.broker / "access"
    allowed = access.read_text()
    access.write_text(allowed.replace("pattern write pomona/v1/%u/up/#\n", ""))
    broker = site.start_broker()
    site.start_server()
    device = site.device("jetson-1")
    device.record(1)
    device.store.db.execute("PRAGMA busy_timeout = 50")
    stop = threading.Event()
    caplog.set_level(logging.INFO, "cloud_sync")
    run = threading.Thread(
        target=lambda: Uplink(device.store.outbox, device.identity, QUICK).run(stop, until_empty=False)
    )
    run.start()
    wait_until(lambda: "Not authorized" in caplog.text, "refusal")
    access.write_text(allowed)
    other = sqlite3.connect(device.store.path, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    site.kill(broker)
    site.start_broker()
    wait_until(lambda: "database is locked" in caplog.text, "locked outbox")
    other.execute("ROLLBACK")
    wait_until(lambda: other.execute("SELECT count(*) FROM outbox").fetchone() == (0,), "stored")
    other.close()
    stop.set()
    run.join(timeout=10)
    assert not run.is_alive()


def test_a_server_with_a_foreign_certificate_ends_with_an_error(site: Site, tmp_path: Path) -> None:
    """SYNC-034: the server's own client is refused as any other."""
    site.start_broker()
    elsewhere = make_server(tmp_path / "elsewhere", site.port)
    command = [sys.executable, "-m", "pomona", "server", "run", "--folder", str(elsewhere.path)]
    done = subprocess.run(
        command, capture_output=True, text=True, check=False, timeout=30, cwd=Path(__file__).parents[2]
    )
    assert done.returncode == 1
    assert f"broker 127.0.0.1:{site.port} shows a certificate" in done.stderr
    assert "Traceback" not in done.stderr


def test_a_locked_server_database_delays_and_loses_nothing(running_site: Site) -> None:
    """SYNC-046: the server answers `retry`, the device sends again."""
    device = running_site.device("delayed")
    keys = device.record(3)
    other = sqlite3.connect(running_site.server_folder.database, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    results: list[Any] = []
    run = threading.Thread(target=lambda: results.append(sync_in_own_connection(device)))
    run.start()
    time.sleep(3.0)  # longer than the server waits for the lock
    other.execute("ROLLBACK")
    other.close()
    run.join(timeout=30)
    assert results == [3]
    assert sorted(running_site.keys_of("delayed")) == sorted(keys)


def sync_in_own_connection(device: Device) -> int:
    return device.sync().stored


def test_ids_of_a_device_are_its_own(running_site: Site) -> None:
    """SYNC-040: a device that sends another's record ids changes only its own."""
    record = new_id()
    for name in ("owner", "copier"):
        device = running_site.device(name)
        with device.store.change():
            device.store.outbox.enqueue(record, 1 if name == "owner" else 9, tree(name))
        device.sync()
    rows = running_site.rows("SELECT device, revision FROM record WHERE record = ? ORDER BY device", record)
    assert rows == [("copier", 9), ("owner", 1)]
