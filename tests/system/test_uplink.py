"""The uplink over a real broker: lanes, batches, a server that was restored, and one that was upgraded."""

from __future__ import annotations

import contextlib
import json
import sqlite3
import threading
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

from cloud_sync import clock, topics
from cloud_sync.batch import decode_batch
from cloud_sync.greeting import Greeting
from cloud_sync.uplink import Uplink
from tests.cloud_sync.helpers import enqueue, example, tree
from tests.system.conftest import QUICK, Device, Site, wait_until
from tests.system.test_sync import Client, ingest_identity


def grow_old(device: Device) -> None:
    """What waits was recorded a month ago, before the machine was last started."""
    then = (clock.now() - timedelta(days=30)).isoformat()
    device.store.db.execute("UPDATE outbox SET recorded_at = ?, clock_synchronised = 1, boot = 'earlier'", [then])


def held_by(site: Site, device: Device) -> list[tuple[str, int, str, int]]:
    rows = site.rows(
        "SELECT record, revision, message, sequence FROM record WHERE device = ? ORDER BY sequence", device.name
    )
    return [(record, revision, message, sequence) for record, revision, message, sequence in rows]


def known_to(device: Device) -> list[tuple[str, int, str, int]]:
    query = "SELECT record, revision, message, sequence FROM sent ORDER BY sequence"
    return [tuple(row.values()) for row in device.store.db.query(query)]


def test_today_s_record_is_stored_while_the_backlog_goes_on(running_site: Site) -> None:
    """SYNC-103: and the backlog is marked as such where clocks are known to be right."""
    device = running_site.device("returned")
    device.learn_time()
    device.record(1000, "old")
    grow_old(device)
    uplink = device.start_uplink(replace(QUICK, window=12))
    wait_until(lambda: device.waiting() < 980, "the backlog moves")
    (today,) = device.record(1, "today")
    wait_until(lambda: today in running_site.keys_of("returned"), "today's is stored", 10.0)
    assert device.waiting() > 300, "the backlog was over before anybody could have waited for it"
    wait_until(lambda: device.waiting() == 0, "all stored", 60.0)
    assert running_site.stop(uplink)[0] == 0
    query = "SELECT historical, count(*) FROM record WHERE device = 'returned' GROUP BY 1 ORDER BY 1"
    historical = running_site.rows(query)
    assert historical == [(0, 1), (1, 1000)]


def test_a_restored_server_is_complete_again_within_one_round(site: Site, tmp_path: Path) -> None:
    """SYNC-109, SYNC-111: the device was connected all the time, and everything had been answered `stored`."""
    site.start_broker()
    server = site.start_server()
    device = site.device("faithful")
    device.record(300)
    uplink = device.start_uplink()
    wait_until(lambda: device.waiting() == 0, "stored before the backup")
    with contextlib.closing(sqlite3.connect(tmp_path / "yesterday.sqlite")) as backup:
        with contextlib.closing(sqlite3.connect(site.server_folder.database)) as live:
            live.backup(backup)
        device.record(200, "since")
        wait_until(lambda: device.waiting() == 0, "stored after the backup")
        before = held_by(site, device)
        assert len(before) == 500
        site.kill(server)
        with contextlib.closing(sqlite3.connect(site.server_folder.database)) as live:
            backup.backup(live)
    assert len(held_by(site, device)) == 300
    site.start_server()
    wait_until(lambda: len(held_by(site, device)) == 500, "complete again", 60.0)
    wait_until(lambda: device.waiting() == 0, "answered again")
    assert held_by(site, device) == before == known_to(device)
    code, log = site.stop(uplink)
    assert code == 0
    assert log.count("no longer has 200 records it had stored") == 1


def test_also_a_run_that_ends_sees_what_the_server_has_lost(site: Site) -> None:
    """SYNC-109: a device that is connected once a day."""
    site.start_broker()
    site.start_server()
    device = site.device("daily")
    device.record(20)
    assert device.sync().stored == 20
    with contextlib.closing(sqlite3.connect(site.server_folder.database)) as live, live:
        live.execute("DELETE FROM record WHERE sequence IN (7, 8, 20)")
    device.record(1, "today")
    assert device.sync().stored == 4
    assert held_by(site, device) == known_to(device)


def test_a_refused_record_is_offered_by_itself_once_the_server_has_learned(running_site: Site) -> None:
    """SYNC-106: the server greets each device with its version, which is compared with the one known before."""
    device = running_site.device("hopeful")
    device.record(1)
    device.store.db.execute("UPDATE outbox SET rejected = 'type tree is unknown here'")
    device.store.outbox.greeted(Greeting(version="0.0.1", accepts={"orchard": 1}))
    device.record(1, "another")
    assert device.sync().stored == 2
    assert device.store.outbox.state().rejected == 0


def test_what_travels_is_a_batch_or_plain_json(site: Site) -> None:
    """SYNC-100: seen at the broker, by a client in the server's place."""
    site.start_broker()
    tap = Client(ingest_identity(site), [topics.EVERY_UPWARD_MESSAGE])
    device = site.device("jetson-1")
    device.learn_time()
    device.record(30)
    stop = threading.Event()
    run = threading.Thread(target=lambda: Uplink(device.store.outbox, device.identity, QUICK).run(stop, False))
    run.start()
    wait_until(lambda: tap.messages, "the batch")
    stop.set()
    run.join()
    first = tap.messages[0]
    assert first.topic == "pomona/v1/jetson-1/up/batch"
    assert [json.loads(line)["sequence"] for line in decode_batch(bytes(first.payload))] == list(range(1, 21))
    tap.messages.clear()
    other = site.device("jetson-2")
    other.record(1)
    stop.clear()
    run = threading.Thread(target=lambda: Uplink(other.store.outbox, other.identity, QUICK).run(stop, False))
    run.start()
    wait_until(lambda: tap.messages, "the single record")
    stop.set()
    run.join()
    assert tap.messages[0].topic == "pomona/v1/jetson-2/up/tree"
    assert json.loads(tap.messages[0].payload)["body"]["tree"] == "tree-0"
    tap.close()


def test_a_broker_s_receive_maximum_of_one_is_kept_and_enough(site: Site) -> None:
    """SYNC-101: a broker ends the connection of a client that sends more."""
    configuration = site.server_folder.broker / "mosquitto.conf"
    text = configuration.read_text()
    line = next(line for line in text.splitlines() if line.startswith("max_inflight_messages"))
    configuration.write_text(text.replace(line, "max_inflight_messages 1"))
    site.start_broker()
    site.start_server()
    device = site.device("patient")
    for number in range(5):
        enqueue(device.store, [tree(f"{number}-{place}") for place in range(10)])
    assert device.sync(replace(QUICK, window=5)).stored == 50


def test_over_a_metered_link_pictures_wait(running_site: Site) -> None:
    """SYNC-105."""
    device = running_site.device("roaming")
    enqueue(device.store, [example("thumbnail"), example("count")])
    result = device.sync(replace(QUICK, metered=True))
    assert (result.stored, result.waiting) == (1, 1)
    assert device.sync().stored == 1
