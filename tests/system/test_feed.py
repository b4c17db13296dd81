"""The feed and its readers, through a real broker."""

from __future__ import annotations

import json
import shutil
import signal
import subprocess
import time
from pathlib import Path

import pytest

from cloud_sync import topics
from cloud_sync.errors import BrokerError
from cloud_sync.identity import Identity
from cloud_sync.server.readers import add_reader, remove_reader
from tests.cloud_sync.helpers import EXAMPLES, enqueue, envelope, example
from tests.system.conftest import Site, wait_until
from tests.system.test_sync import Client


def let_in(site: Site, name: str, broker: subprocess.Popen[str]) -> Identity:
    """A reader, once the broker has read its list again."""
    out = site.folder / f"reader-{name}"
    add_reader(site.server_folder, name, out)
    broker.send_signal(signal.SIGHUP)
    time.sleep(0.2)
    return Identity(
        topics.READER + name, out / "reader.key", out / "reader.pem", out / "root.pem", "localhost", site.port
    )


def test_a_reader_gets_each_stored_record_plainly_and_can_do_nothing_else(site: Site) -> None:
    """SYNC-080, SYNC-081."""
    broker = site.start_broker()
    server = site.start_server("--feed")
    identity = let_in(site, "grafana", broker)
    reader = Client(identity, [topics.EVERY_STORED_RECORD])
    device = site.device("kiwi-07")
    enqueue(device.store, [example(kind) for kind in EXAMPLES])
    assert device.sync().stored == len(EXAMPLES)
    wait_until(lambda: len(reader.messages) >= len(EXAMPLES), "the feed is heard")
    said = {message.topic: json.loads(message.payload) for message in reader.messages}
    assert said.keys() == {topics.stored("kiwi-07", kind) for kind in EXAMPLES}
    boxes = said[topics.stored("kiwi-07", "detections")]["body"]["boxes"]
    assert boxes == [{"label": "apple", "score": 0.902, "box": [10, 20, 30, 40]}]
    payload = json.dumps(envelope(device="kiwi-07")).encode()
    for topic in (
        topics.up("kiwi-07", "tree"),
        topics.up(identity.name, "tree"),
        topics.state(identity.name),
        topics.acknowledgements("kiwi-07"),
        topics.stored("kiwi-07", "tree"),
    ):
        assert reader.publish(topic, payload) == "Not authorized", topic
    reader.close()
    assert site.stop(server)[0] == 0
    assert site.rows("SELECT count(*) FROM dead_letter") == [(0,)]


def test_a_device_cannot_read_or_write_the_feed(site: Site) -> None:
    """SYNC-006, SYNC-081."""
    site.start_broker()
    site.start_server("--feed")
    thief = Client(site.device("thief").identity, [topics.EVERY_STORED_RECORD])
    assert thief.publish(topics.stored("thief", "tree"), b"{}") == "Not authorized"
    device = site.device("kiwi-07")
    device.record(3)
    assert device.sync().stored == 3
    time.sleep(0.5)
    assert thief.messages == []
    thief.close()


def test_a_reader_that_is_revoked_is_refused(site: Site) -> None:
    """SYNC-081."""
    broker = site.start_broker()
    identity = let_in(site, "grafana", broker)
    Client(identity, [topics.EVERY_STORED_RECORD]).close()
    remove_reader(site.server_folder, "grafana")
    site.stop(broker)
    site.start_broker()
    with pytest.raises(BrokerError, match=r"refuses the certificate of 'telemetry\.grafana'|the broker ended it"):
        Client(identity, [topics.EVERY_STORED_RECORD])
    Client(site.device("kiwi-07").identity, []).close()  # the broker itself is well


@pytest.mark.skipif(shutil.which("mosquitto_sub") is None, reason="mosquitto_sub is not installed")
def test_mosquitto_sub_and_pomona_decode_read_what_a_device_sends(site: Site, tmp_path: Path) -> None:
    """SYNC-081: as docs/how-to/receive-the-telemetry.md says."""
    identity = let_in(site, "terminal", site.start_broker())
    site.start_server()
    files = ["--cafile", str(identity.trust_root), "--cert", str(identity.certificate), "--key", str(identity.key)]
    where = ["-V", "5", "-h", "localhost", "-p", str(site.port), *files, "-i", identity.name]
    listening = subprocess.Popen(
        ["mosquitto_sub", *where, "-q", "1", "-W", "60", "-C", "1", "-t", "pomona/v1/+/up/#", "-F", "%t %x"],
        stdout=subprocess.PIPE,
    )
    time.sleep(1.0)
    device = site.device("kiwi-07")
    enqueue(device.store, [example("tree"), example("detections")])
    assert device.sync().stored == 2
    recorded, _ = listening.communicate(timeout=60)
    file = tmp_path / "recorded.txt"
    file.write_bytes(recorded)
    done = site.pomona("decode", str(file))
    assert [json.loads(line)["type"] for line in done.splitlines()] == ["tree", "detections"]
