"""Several ingest processes behind a real broker: they share the work, outlive one another, and keep strangers out."""

from __future__ import annotations

import contextlib
import json
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import psutil
import psycopg
import pytest

from cloud_sync import topics
from cloud_sync.identity import Identity
from cloud_sync.server.certificates import Authority
from cloud_sync.uplink import UplinkSettings
from tests.cloud_sync.helpers import envelope
from tests.postgresql import PostgreSQL
from tests.system.conftest import QUICK, Site, wait_until
from tests.system.test_sync import Client

PATIENT = UplinkSettings(window=20, resend_s=60.0, poll_s=0.1, least_backoff_s=0.1, most_backoff_s=0.5)


def server_identity(site: Site, number: int) -> Identity:
    home = site.server_folder
    key, certificate = home.ingest_key(number), home.ingest_certificate(number)
    return Identity(topics.server_name(number), key, certificate, home.root_certificate, "localhost", site.port)


def members(server: subprocess.Popen[str]) -> list[psutil.Process]:
    """The ingest processes that live; the one that multiprocessing keeps for itself is none."""
    found = []
    for process in psutil.Process(server.pid).children():
        with contextlib.suppress(psutil.NoSuchProcess):  # a zombie is none either
            if any("spawn_main" in argument for argument in process.cmdline()):
                found.append(process)
    return found


@pytest.fixture(params=["sqlite", "postgresql"])
def database(request: pytest.FixtureRequest, site: Site) -> Iterator[list[str]]:
    """What the server is told of its database."""
    if request.param == "sqlite":
        yield []
        return
    server: PostgreSQL = request.getfixturevalue("postgresql")
    yield ["--database", server.make_database()]


def run_server(site: Site, *arguments: str) -> subprocess.CompletedProcess[str]:
    """`pomona server run` that ends by itself."""
    command = [sys.executable, "-m", "pomona", "server", "run", "--folder", str(site.server_folder.path), *arguments]
    return subprocess.run(
        command, capture_output=True, text=True, check=False, timeout=60, cwd=Path(__file__).parents[2]
    )


def keys_of(site: Site, database: list[str], device: str) -> list[str]:
    query = "SELECT natural_key FROM record WHERE device = {} ORDER BY natural_key"
    if not database:
        return sorted(key for (key,) in site.rows(query.format("?"), device))
    with psycopg.connect(database[1]) as connection:
        found = connection.execute(query.format("%s").encode(), [device])
        return sorted(key for (key,) in found.fetchall())


def test_a_killed_process_is_started_again_and_nothing_is_lost_or_doubled(site: Site, database: list[str]) -> None:
    """SYNC-022, SYNC-040, SYNC-052."""
    site.start_broker()
    server = site.start_server("--ingest", "2", *database)
    device = site.device("jetson-1")
    keys = device.record(300)
    uplink = device.start_uplink(QUICK)
    for left in (250, 120):
        wait_until(lambda left=left: device.waiting() <= left, f"{left} left")  # type: ignore[misc]
        wait_until(lambda: len(members(server)) == 2, "both run")
        members(server)[0].kill()
    wait_until(lambda: device.waiting() == 0, "all stored", 60)
    assert keys_of(site, database, "jetson-1") == sorted(keys)
    wait_until(lambda: len(members(server)) == 2, "both run again")
    site.stop(uplink)
    code, log = site.stop(server)
    assert code == 0
    assert "Traceback" not in log
    assert len(re.findall(r"ingest process \d ended with exit code -9: killed; it starts again", log)) == 2
    for number in (1, 2):
        assert f"[{number}] connected to broker" in log


def test_the_broker_gives_each_message_to_one_of_those_who_share(site: Site) -> None:
    """SYNC-052: one of them is mute here, so that what it got is seen."""
    site.start_broker()
    server = site.start_server("--ingest", "1")
    group = site.server_folder.ingest_group()
    mute = Client(server_identity(site, 2), [topics.shared(group, topics.EVERY_UPWARD_MESSAGE)])
    sender = Client(site.device("jetson-1").identity, [])
    for number in range(1, 21):
        sender.send(topics.up("jetson-1", "tree"), envelope(device="jetson-1", sequence=number))
    wait_until(lambda: len(mute.messages) + site.rows("SELECT count(*) FROM record")[0][0] >= 20, "all arrived")
    sender.close()
    site.stop(server)
    got = [json.loads(message.payload)["sequence"] for message in mute.messages]
    stored = [number for (number,) in site.rows("SELECT sequence FROM record")]
    assert sorted(got + stored) == list(range(1, 21))
    assert 5 <= len(got) <= 15
    mute.close()


def test_what_one_of_those_who_share_takes_and_never_answers_is_sent_again(site: Site) -> None:
    """SYNC-052, SYNC-109: records, and the question after what the server holds."""
    site.start_broker()
    server = site.start_server("--ingest", "1")
    group = site.server_folder.ingest_group()
    mute = Client(server_identity(site, 2), [topics.shared(group, topics.EVERY_UPWARD_MESSAGE)])
    device = site.device("jetson-1")
    keys = []
    for number in range(3):
        keys += device.record(1, f"{number}")
        assert device.sync(time_limit_s=20).waiting == 0
    taken = {message.topic for message in mute.messages}
    assert taken == {topics.question("jetson-1"), topics.up("jetson-1", "tree")}
    assert sorted(site.keys_of("jetson-1")) == sorted(keys)
    mute.close()
    site.stop(server)


def test_a_device_that_does_not_know_the_group_takes_nothing_from_it(site: Site) -> None:
    """SYNC-006, SYNC-052: nothing had to be sent again."""
    site.start_broker()
    server = site.start_server("--ingest", "2")
    groups = ["pomona", topics.SERVER_NAME, "ingest", "group"]
    asked = [topics.shared(group, topics.EVERY_UPWARD_MESSAGE) for group in groups]
    thief = Client(site.device("thief").identity, [*asked, topics.EVERY_UPWARD_MESSAGE])
    device = site.device("jetson-1")
    keys = device.record(40)
    assert device.sync(PATIENT, time_limit_s=20).stored == 40
    assert sorted(site.keys_of("jetson-1")) == sorted(keys)
    assert thief.messages == []
    thief.close()
    site.stop(server)


def test_no_device_can_be_called_like_one_of_the_server_s_clients(site: Site) -> None:
    """SYNC-002, SYNC-006: their names are client ids, which the broker takes from certificates alone."""
    site.start_broker()
    server = site.start_server("--ingest", "2")
    thief = site.device("thief").identity
    for name in ("pomona-server", "pomona-server-2"):
        liar = Client(Identity(name, *list(vars(thief).values())[1:]), [])
        assert liar.publish(topics.acknowledgements("thief"), b"{}") == "Not authorized"
        liar.close()
    device = site.device("jetson-1")
    device.record(20)
    assert device.sync(PATIENT, time_limit_s=20).stored == 20
    assert "another program connected" not in site.stop(server)[1]


@pytest.mark.slow
def test_members_end_with_the_one_that_watches_over_them(site: Site) -> None:
    """A stray one would fight for its name with the one that is started in its place."""
    site.start_broker()
    server = site.start_server("--ingest", "2")
    strays = members(server)
    assert len(strays) == 2
    site.kill(server)
    _, alive = psutil.wait_procs(strays, timeout=20)
    assert alive == []
    again = site.start_server("--ingest", "2")
    device = site.device("jetson-1")
    device.record(5)
    assert device.sync().stored == 5
    site.stop(again)


@pytest.mark.slow
def test_fewer_processes_than_before_leave_no_share_behind(site: Site) -> None:
    """SYNC-052: what the broker gave to one that is gone would have to be sent again."""
    site.start_broker()
    site.stop(site.start_server("--ingest", "3"))
    server = site.start_server("--ingest", "1")
    device = site.device("jetson-1")
    device.record(40)
    assert device.sync(PATIENT, time_limit_s=20).stored == 40
    site.stop(server)


@pytest.mark.slow
def test_a_session_from_before_there_were_shares_gets_nothing_twice(site: Site) -> None:
    """SYNC-052: the broker kept it while the server was upgraded."""
    site.start_broker()
    former = Client(server_identity(site, 1), [topics.EVERY_UPWARD_MESSAGE], session_expiry_s=600)
    former.abandon()
    server = site.start_server("--ingest", "2")
    stored = "SELECT count(*) FROM record"
    device = site.device("jetson-1")
    witness = Client(device.identity, [topics.acknowledgements("jetson-1")])
    for number in range(1, 21):
        witness.send(topics.up("jetson-1", "tree"), envelope(device="jetson-1", sequence=number))
    wait_until(lambda: site.rows(stored) == [(20,)], "stored")
    site.stop(server)  # all has been answered then
    answered = [answer["message"] for message in witness.messages for answer in json.loads(message.payload)["answers"]]
    assert len(answered) == len(set(answered)) == 20
    witness.close()


@pytest.mark.slow
def test_a_folder_that_was_made_for_one_says_what_to_do(site: Site) -> None:
    site.start_broker()
    site.server_folder.ingest_certificate(2).unlink()
    command = [sys.executable, "-m", "pomona", "server", "run", "--folder", str(site.server_folder.path)]
    done = subprocess.run(
        [*command, "--ingest", "2"],
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
        cwd=Path(__file__).parents[2],
    )
    assert done.returncode == 2
    assert "was made for fewer processes than 2; run `pomona server init` again" in done.stderr
    Authority(site.server_folder).issue_ingest(2)
    site.stop(site.start_server("--ingest", "2"))


@pytest.mark.slow
def test_members_that_are_refused_end_the_server(site: Site, postgresql: PostgreSQL) -> None:
    """SYNC-034: as one process alone does."""
    site.start_broker()
    role = ["--database", f"postgresql://nobody@127.0.0.1:{postgresql.port}/none"]
    command = [sys.executable, "-m", "pomona", "server", "run", "--folder", str(site.server_folder.path), *role]
    done = subprocess.run(
        command, capture_output=True, text=True, check=False, timeout=60, cwd=Path(__file__).parents[2]
    )
    assert done.returncode == 1
    assert 'role "nobody" does not exist' in done.stderr
    assert "Traceback" not in done.stderr


def test_a_replay_tells_the_device_at_once(site: Site) -> None:
    """SYNC-053: what it kept as rejected leaves its outbox, though it has not asked again."""
    site.start_broker()
    server = site.start_server("--ingest", "2")
    device = site.device("jetson-1")
    device.record(1)
    device.store.db.execute("UPDATE outbox SET version = 2")
    assert device.sync().rejected == 1
    uplink = device.start_uplink(QUICK)
    learned = (
        "import pomona, sys; from cloud_sync.messages import BODIES; BODIES['tree'].VERSION = 2; "
        "BODIES['tree'].upgrade = classmethod(lambda kind, version, body: body); pomona.main()"
    )
    folder = str(site.server_folder.path)
    command = [sys.executable, "-c", learned, "server", "dead-letters", "replay", "--all", "--folder", folder]
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=Path(__file__).parents[2])
    assert done.stdout == "1 stored now, 0 still refused.\n1 devices are told.\n", done.stderr
    wait_until(lambda: not list(device.store.db.query("SELECT 1 FROM outbox")), "answered")
    assert len(site.keys_of("jetson-1")) == 1
    site.stop(uplink)
    site.stop(server)
