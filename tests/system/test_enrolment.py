"""Enrolment, revocation and a change of the authority as people do them: with commands, on running processes."""

from __future__ import annotations

import contextlib
import itertools
import os
import random
import re
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest

from cloud_sync import keys
from cloud_sync.connection import RefusedError
from cloud_sync.enrolling import hear
from cloud_sync.errors import HttpsError
from cloud_sync.identity import read_identity
from cloud_sync.invitation import parse_invitation
from cloud_sync.server.certificates import Authority, read_revoked
from cloud_sync.server.invitations import invite
from tests.system.conftest import Device, Site, wait_until
from tests.system.test_broker_access import Client

_ROOT = Path(__file__).parents[2]
POMONA = (sys.executable, "-m", "pomona")


def environment(home: Path) -> dict[str, str]:
    return {**os.environ, "PYTHONPATH": str(_ROOT), "POMONA_HOME": str(home)}


def pomona(home: Path, *arguments: object, said: str = "") -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [*POMONA, *map(str, arguments)],
        env=environment(home),
        input=said,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )


def server(site: Site, *arguments: object) -> str:
    done = pomona(site.folder, "server", *arguments, "--folder", site.server_folder.path)
    assert done.returncode == 0, done.stderr
    return done.stdout


class Watcher:
    """Notes the arguments of every process on this machine, over and over."""

    def __init__(self) -> None:
        self.seen: set[bytes] = set()
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._watch)

    def __enter__(self) -> Watcher:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()

    def _watch(self) -> None:
        while not self._stop.wait(0.02):
            for file in Path("/proc").glob("[0-9]*/cmdline"):
                with contextlib.suppress(OSError):  # it has ended meanwhile
                    self.seen.add(file.read_bytes())


def test_no_secret_is_written_or_shown_anywhere(site: Site, tmp_path: Path) -> None:
    """SYNC-094: all logs, outputs and arguments, of a device that enrols, sends and renews, and of one that may not."""
    broker, serving = site.start_broker(), site.start_server()
    home = tmp_path / "home"
    with Watcher() as watcher:
        code = server(site, "invite", "kiwi").strip()
        done = [pomona(home, "sync", "enroll", said=f"{code}\n")]
        done += [pomona(home, *words) for words in (("sync", "--once", "--verbose"), ("sync", "renew"))]
        done.append(pomona(tmp_path / "thief", "sync", "enroll", said=f"{code}\n"))
        wrong = code[:-1] + ("0" if code[-1] != "0" else "1")
        done.append(pomona(tmp_path / "clumsy", "sync", "enroll", said=f"{wrong}\n"))
    assert [process.returncode for process in done] == [0, 0, 0, 1, 2], [process.stderr for process in done]
    assert any(b"enroll" in arguments for arguments in watcher.seen)
    logs = [site.log(process).encode() for process in (broker, serving)]
    shown = b"\n".join([*watcher.seen, *logs, *((process.stdout + process.stderr).encode() for process in done)])
    assert b"kiwi is enrolled" in shown
    invitation = parse_invitation(code)
    groups = code.rpartition("/")[2].split("-")
    secrets = {invitation.secret.hex(), *("-".join(pair) for pair in itertools.pairwise(groups[:4]))}
    for file in [*site.server_folder.path.rglob("*.key"), *home.rglob("*.key"), home / "identity" / "device.pem"]:
        secrets.add(file.read_text().splitlines()[2][:40])  # the first line is the same in all
    assert len(secrets) > 8
    for secret in secrets:
        assert secret.encode() not in shown


@pytest.mark.parametrize("rounds", [6, pytest.param(60, marks=pytest.mark.slow)])
def test_an_enrolment_killed_at_any_moment_is_repeated(site: Site, tmp_path: Path, rounds: int) -> None:
    """SYNC-079: the device, and in every third round the server too."""
    seed = random.randrange(10**9)
    chance = random.Random(seed)
    site.start_broker()
    serving = site.start_server()
    home = tmp_path / "home"
    invitation = invite(site.server_folder, "kiwi", timedelta(hours=1))
    for number in range(rounds):
        enrolling = subprocess.Popen(
            [*POMONA, "sync", "enroll"],
            env=environment(home),
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            text=True,
        )
        assert enrolling.stdin is not None
        enrolling.stdin.write(f"{invitation.text}\n")
        enrolling.stdin.close()
        time.sleep(chance.uniform(0.2, 1.5))
        if number % 3 == 2:
            site.kill(serving)
            serving = site.start_server()
        enrolling.send_signal(signal.SIGKILL)
        enrolling.wait(timeout=10)
    done = pomona(home, "sync", "enroll", said=f"{invitation.text}\n")
    assert done.returncode == 0, f"seed {seed}: {done.stderr}"
    enrolled = keys.read_certificate(site.server_folder.enrolled / "kiwi.pem")
    assert keys.read_certificate(read_identity(home).certificate) == enrolled
    assert pomona(home, "sync", "--once").returncode == 0, f"seed {seed}"


@pytest.fixture
def busy(site: Site) -> Iterator[tuple[Site, Device, Device, Client]]:
    """A running site, two devices, and a thief who is connected as the first."""
    site.start_broker()
    site.start_server()
    lost, other = site.device("lost"), site.device("other")
    thief = Client(lost.identity, session_expiry_s=3600)
    yield site, lost, other, thief
    thief.connection.abandon()


def test_revocation_reaches_a_running_broker_at_once(busy: tuple[Site, Device, Device, Client]) -> None:
    """SYNC-007: it ends the connection and lets nobody in again; the others notice nothing."""
    site, lost, other, thief = busy
    calm = Client(other.identity)
    said = server(site, "revoke", "lost")
    assert "The broker refuses it from now on and has ended its connection." in said
    wait_until(lambda: thief.connection.failure is not None, "the thief is out")
    lost.record(1)
    with pytest.raises(RefusedError, match=r"refuses the certificate of 'lost': .*revoked"):
        lost.sync()
    with pytest.raises(HttpsError, match="the certificate of 'lost' was revoked"):
        hear(lost.folder)
    assert calm.connection.is_open
    calm.close()
    other.record(1)
    assert other.sync().stored == 1


def test_without_the_broker_at_hand_it_is_said_what_to_do(site: Site) -> None:
    """SYNC-007."""
    site.device("lost")
    assert "restart it now" in server(site, "revoke", "lost")
    site.device("lost")
    site.server_folder.broker_process.write_text(str(os.getpid()))  # a number that is another program's by now
    assert "restart it now" in server(site, "revoke", "lost")


def test_the_authority_changes_under_running_processes(site: Site) -> None:
    """SYNC-085: broker, server and devices go on; who did not follow is named, and shut out at the end."""
    site.start_broker()
    serving = site.start_server()
    kiwi, slow = site.device("kiwi"), site.device("slow")

    def sync(device: Device) -> subprocess.CompletedProcess[str]:
        device.record(1, f"tree-{time.monotonic()}")
        return pomona(device.folder, "sync", "--once", "--time-limit", 30)

    assert re.search(r"Next: .* Not trusted yet by 2 of 2 devices", server(site, "authority", "prepare"))
    assert sync(kiwi).returncode == 0
    wait_until((site.server_folder.trusting / "kiwi").exists, "the server knows that kiwi has heard")
    early = pomona(site.folder, "server", "authority", "switch", "--folder", site.server_folder.path)
    assert early.returncode == 2
    assert "slow would be shut out" in early.stderr
    said = server(site, "authority", "switch", "--leave-behind")
    assert "It signed the certificates of 2 of 2 devices" in said
    former = Authority(site.server_folder).root
    assert sync(kiwi).returncode == 0
    wait_until(
        lambda: keys.is_signed_by(keys.read_certificate(read_identity(kiwi.folder).certificate), former),
        "kiwi has a certificate of the new authority",
    )
    assert "Authority: " in server(site, "authority", "finish", "--leave-behind")
    assert sync(kiwi).returncode == 0
    shut_out = sync(slow)
    assert shut_out.returncode == 1
    assert "does not trust" in shut_out.stderr
    assert "Traceback" not in site.stop(serving)[1]


def test_new_keys_of_the_server_make_the_former_ones_worthless(site: Site) -> None:
    """SYNC-086: a device that has heard of it refuses who still has them."""
    site.start_broker()
    serving = site.start_server()
    device = site.device("kiwi")
    folder = site.server_folder
    stolen = {file: file.read_bytes() for file in folder.broker.glob("broker.*")}
    ports = ("--port", site.port, "--https-port", site.https_port, "--bind", "127.0.0.1")
    done = pomona(site.folder, "server", "init", folder.path, "--host", "localhost", *ports, "--new-keys")
    assert done.returncode == 0, done.stderr
    assert "Restart the broker" not in done.stdout
    assert len(read_revoked(folder)) >= 3
    hear(device.folder)
    device.record(1)
    assert device.sync().stored == 1
    for file, content in stolen.items():
        file.write_bytes(content)
    (broker,) = (process for process in site._processes if "mosquitto" in str(process.args))
    site.kill(broker)
    site.start_broker()
    device.record(1, "more")
    with pytest.raises(RefusedError, match="does not trust: certificate revoked"):
        device.sync()
    site.stop(serving)
