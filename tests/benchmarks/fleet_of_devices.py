"""Many devices connected at once: how much memory broker, server and database take.

    python -m tests.benchmarks.fleet_of_devices [--devices 5000] [--database sqlite|postgresql] [--ingest N]

Each device is a client with a certificate of its own and a TLS connection of its own. It says that it is online, stays
connected, and sends some records of its own once all are there. One process simulates them all, with one thread.
"""

from __future__ import annotations

import argparse
import os
import selectors
import ssl
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import paho.mqtt.client as mqtt
import psutil
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.x509.oid import NameOID
from paho.mqtt.enums import CallbackAPIVersion
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties

from cloud_sync import keys, topics
from cloud_sync.batch import encode_batch
from cloud_sync.device_state import DeviceState
from cloud_sync.messages import Answers
from cloud_sync.outbox import new_id
from cloud_sync.server.certificates import Authority
from cloud_sync.server.folder import ServerFolder
from tests.benchmarks.ingest_messages import counts
from tests.cloud_sync.helpers import free_port, make_server
from tests.postgresql import PostgreSQL

_ROOT = Path(__file__).parents[2]


class Device:
    """One device: as little as its half of the protocol needs."""

    def __init__(self, name: str, context: ssl.SSLContext, port: int) -> None:
        self.name = name
        self.answered = 0
        self.is_open = False
        self.client = mqtt.Client(CallbackAPIVersion.VERSION2, client_id=name, protocol=mqtt.MQTTv5)
        self.client.tls_set_context(context)
        self.client.on_connect = self._on_connect
        self.client.on_subscribe = self._on_subscribe
        self.client.on_message = self._on_message
        self.client.connect("localhost", port, keepalive=600)

    def _on_connect(self, client: mqtt.Client, _data: Any, _flags: Any, reason: Any, _properties: Any) -> None:
        assert not reason.is_failure, reason
        client.subscribe(topics.acknowledgements(self.name), qos=1)

    def _on_subscribe(self, client: mqtt.Client, *_: Any) -> None:
        self.is_open = True
        state = DeviceState(online=True, store=new_id()).payload()
        client.publish(topics.state(self.name), state, qos=1, retain=True)

    def _on_message(self, _client: mqtt.Client, _data: Any, message: mqtt.MQTTMessage) -> None:
        answers = Answers.model_validate_json(message.payload).answers
        assert all(answer.result == "stored" for answer in answers), answers[0]
        self.answered += len(answers)

    def send(self, records: int) -> None:
        """Send a batch."""
        properties = Properties(PacketTypes.PUBLISH)  # type: ignore[no-untyped-call]
        properties.CorrelationData = f"{new_id()}:1".encode()
        payload = encode_batch(counts(self.name, records))
        self.client.publish(topics.batch(self.name), payload, qos=1, properties=properties)


class Fleet:
    """All devices, and one thread that serves their sockets."""

    def __init__(self, server: ServerFolder, port: int, folder: Path) -> None:
        self.devices: list[Device] = []
        self._server = server
        self._port = port
        self._folder = folder
        self._selector = selectors.DefaultSelector()

    def enrol_and_connect(self, number: int) -> None:
        """Add a device; its key and certificate are its own."""
        name = f"device-{number}"
        key_file, certificate_file = self._folder / "key.pem", self._folder / "certificate.pem"
        key_file.unlink(missing_ok=True)
        key = keys.make_key(key_file)
        subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
        request = x509.CertificateSigningRequestBuilder().subject_name(subject).sign(key, hashes.SHA256())
        _, certificate = Authority(self._server).enroll(request.public_bytes(serialization.Encoding.PEM), name)
        certificate_file.write_bytes(certificate)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.load_verify_locations(cafile=str(self._server.root_certificate))
        context.load_cert_chain(str(certificate_file), str(key_file))
        device = Device(name, context, self._port)
        self.devices.append(device)
        self._selector.register(device.client.socket(), selectors.EVENT_READ, device)  # type: ignore[arg-type]

    def serve(self, seconds: float) -> None:
        """Do what the network wants."""
        until = time.monotonic() + seconds
        while (left := until - time.monotonic()) > 0:
            for chosen, _ in self._selector.select(left):
                client = chosen.data.client
                client.loop_read(64)
                if client.want_write():
                    client.loop_write()

    def wait(self, done: Any, what: str) -> None:
        """Serve until all devices are done."""
        deadline = time.monotonic() + 600
        while not all(done(device) for device in self.devices):
            self.serve(0.2)
            assert time.monotonic() < deadline, what


def _resident_mb(pids: Sequence[int]) -> float:
    """Memory of processes and their children, what they share with one another counted once."""
    family = [member for pid in pids for member in (psutil.Process(pid), *psutil.Process(pid).children(recursive=True))]
    return float(sum(member.memory_full_info().pss for member in family)) / 1e6


def main() -> None:
    """Parse the arguments and run."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--devices", type=int, default=5000)
    parser.add_argument("--records", type=int, default=4, help="that each of them sends")
    parser.add_argument("--database", choices=("sqlite", "postgresql"), default="sqlite")
    parser.add_argument("--ingest", type=int, default=1)
    arguments = parser.parse_args()
    os.environ["PATH"] += os.pathsep + "/usr/sbin"  # where Debian keeps the broker
    with tempfile.TemporaryDirectory() as scratch, ExitStack() as stack:
        folder, port = Path(scratch), free_port()
        server = make_server(folder / "server", port)
        broker = subprocess.Popen(["mosquitto", "-c", str(server.broker / "mosquitto.conf")], stderr=subprocess.DEVNULL)
        stack.callback(broker.wait, 20)
        stack.callback(broker.terminate)
        time.sleep(1.0)
        database = f"sqlite:///{folder}/pomona.sqlite"
        parts = {"broker": [broker.pid]}
        if arguments.database == "postgresql":
            postgresql = PostgreSQL()
            stack.callback(postgresql.remove)
            database = postgresql.make_database()
            parts["PostgreSQL"] = [postgresql.pid]
        command = [sys.executable, "-m", "pomona", "server", "run", "--folder", str(server.path)]
        ingest = subprocess.Popen(
            [*command, "--database", database, "--ingest", str(arguments.ingest)],
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env={**os.environ, "PYTHONPATH": str(_ROOT)},
        )
        stack.callback(ingest.wait, 30)
        stack.callback(ingest.terminate)
        assert ingest.stdout is not None
        assert ingest.stdout.readline() == b"ready\n"
        parts["ingest"] = [ingest.pid]

        def show(when: str) -> None:
            sizes = ", ".join(f"{name} {_resident_mb(pids):.0f} MB" for name, pids in parts.items())
            print(f"{when}: {sizes}", flush=True)

        show("before")
        fleet = Fleet(server, port, folder)
        started = time.monotonic()
        for number in range(arguments.devices):
            fleet.enrol_and_connect(number)
            if number % 50 == 0:
                fleet.serve(0.0)
        fleet.wait(lambda device: device.is_open, "not all are connected")
        took_s = time.monotonic() - started
        show(f"{arguments.devices} devices connected in {took_s:.0f} s, their keys made and signed meanwhile")
        started = time.monotonic()
        for device in fleet.devices:
            device.send(arguments.records)
            fleet.serve(0.0)
        fleet.wait(lambda device: device.answered == arguments.records, "not all are answered")
        took_s = time.monotonic() - started
        show(f"{arguments.records} records of each stored and answered in {took_s:.0f} s")


if __name__ == "__main__":
    main()
