"""Killed in any state of import, count, enqueue, publish, acknowledge, prune and ingest, and started again."""

from __future__ import annotations

import os
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest

from cloud_sync.outbox import new_id
from cloud_sync.server.database import Database
from cloud_sync.server.holdings import read_holdings
from device.store import FILE_NAME
from tests.cloud_sync.helpers import make_server, tree
from tests.processes import ROOT
from tests.system.conftest import QUICK, Site, wait_until
from tests.system.faults.card import OTHER_RECORDS, RECORDS_A_TREE
from tests.system.faults.moments import AtCall, Moment, dying_command
from tests.system.faults.starter import Starter
from tests.system.faults.state import State
from tests.system.faults.states import STATES
from tests.system.faults.states_of_other_stores import FIRST_STATES, LOST_STATES, OUTDATED_STATES
from tests.system.faults.truth import check_device, server_records, waiting
from tests.system.faults.world import BY_HAND, DEVICE, IMPORT, SERVER, UPLINK, Places, World

PAGE = ROOT / "docs" / "explanation" / "what-survives.md"
STAGES = ["import", "count", "enqueue", "publish", "acknowledge", "prune", "ingest"]
A_DAY_S = 86_400.0


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory, mosquitto: None) -> Iterator[World]:
    """A device that has recorded and sent one tree, shared by all states, each of which has a tree of its own."""
    places = Places.below(tmp_path_factory.mktemp("states"))
    made = World(places, records=OTHER_RECORDS + RECORDS_A_TREE * (len(STATES) + 1), trees_at_once=1)
    made.card.put(2)
    made.settle()
    yield made
    made.close()


def measure(world: World) -> dict[str, int]:
    home = world.places.home
    with closing(sqlite3.connect(home / FILE_NAME)) as database:
        (photos,) = database.execute("SELECT count(*) FROM photo").fetchone()
    return {
        "photos": photos,
        "files": len(list((home / "photos").glob("??/*"))),
        "partial": len(list((home / "photos" / ".partial").glob("*"))),
        "wait": waiting(home),
        "server": len(server_records(world.places.database, DEVICE)),
    }


def arrange(world: World, state: State) -> None:
    """Come to where the state's process has its work before it, and only that process is missing."""
    world.card.put(2)
    if state.process == IMPORT:
        world.kill(UPLINK)
        return
    if state.process == BY_HAND:
        world.settle()
        world.kill(UPLINK)
        world.note({list(world.card.fruit)[-1]: 77})
        return
    world.kill(UPLINK)
    world.start(IMPORT)
    wait_until(lambda: not world.is_running(IMPORT), "imported")
    if state.refused:
        change(world.places.home, "UPDATE outbox SET version = 99 WHERE type = 'tree'")
    if state.process == SERVER:
        world.kill(SERVER)
        world.start(UPLINK)
    else:
        world.start(SERVER)


@contextmanager
def trouble(world: World, state: State) -> Iterator[None]:
    """What a state needs besides; undone afterwards."""
    home = world.places.home
    left = home / "photos" / ".partial" / "abandoned"
    if state.abandoned:
        left.write_bytes(b"half a photo")
        os.utime(left, times=(time.time() - A_DAY_S,) * 2)
    yield
    left.unlink(missing_ok=True)
    if state.refused:
        world.mend()
        wait_until(lambda: not waiting_after(home, "UPDATE outbox SET version = 1, rejected = NULL"), "stored")


def change(home: Path, statement: str) -> None:
    with closing(sqlite3.connect(home / FILE_NAME)) as database, database:
        database.execute(statement)


def waiting_after(home: Path, statement: str) -> int:
    change(home, statement)
    return waiting(home)


def named(state: State) -> str:
    return f"{state.stage}: {state.name}"


# one of each stage for every day, all of them for the long run
DAILY = {state.stage: state for state in reversed(STATES) if isinstance(state.moment, AtCall)}


@pytest.mark.parametrize(
    "state",
    [
        pytest.param(state, id=named(state), marks=[] if DAILY[state.stage] is state else pytest.mark.slow)
        for state in STATES
    ],
)
def test_killed_in_this_state_nothing_lacks_and_nothing_is_double(world: World, state: State) -> None:
    """SYNC-013, SYNC-021, SYNC-022, SYNC-026, SYNC-027, SYNC-041, SYNC-048."""
    arrange(world, state)
    with trouble(world, state):
        before = measure(world)
        world.die(state.process, state.moment, watching=state.watching)
        after = measure(world)
        assert {name: after[name] - before[name] for name in state.left} == state.left
        assert check_device(world.places.home) == []
    world.settle()


@pytest.fixture(scope="module")
def starter(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Starter]:
    made = Starter(tmp_path_factory.mktemp("logs"))
    yield made
    made.close()


def die(starter: Starter, moment: Moment, file: Path, words: list[object]) -> None:
    """Run a command line that is killed at a moment."""
    if isinstance(moment, AtCall):
        assert starter.pomona(*words, until=moment).wait() == -signal.SIGKILL
        return
    command = dying_command(
        moment, str(file.with_name(moment.file)), [sys.executable, "-m", "pomona", *map(str, words)]
    )
    assert subprocess.run(command, cwd=ROOT, check=False).returncode == -signal.SIGKILL


@pytest.mark.slow
@pytest.mark.parametrize("state", FIRST_STATES, ids=named)
def test_killed_at_its_first_start_it_starts_again(starter: Starter, tmp_path: Path, state: State) -> None:
    if state.process == SERVER:
        server = make_server(tmp_path / "server")
        die(starter, state.moment, server.database, ["server", "run", "--folder", server.path])
        database = Database.in_file(server.database)
        with database.read() as session:
            assert read_holdings(session).devices == 0
        database.close()
        return
    words: list[object] = ["block", "add", "B1", "--orchard", "North farm", "--home", tmp_path / "home"]
    die(starter, state.moment, tmp_path / "home" / FILE_NAME, words)
    assert starter.pomona(*words).wait() == 0
    with closing(sqlite3.connect(tmp_path / "home" / FILE_NAME)) as store:
        assert store.execute("SELECT name FROM block").fetchall() == [("B1",)]
        assert store.execute("SELECT type FROM outbox").fetchall() == [("orchard",), ("block",)]


@pytest.mark.slow
@pytest.mark.parametrize("state", OUTDATED_STATES, ids=named)
def test_killed_while_it_learns_that_it_was_restored(
    running_site: Site, starter: Starter, tmp_path: Path, state: State
) -> None:
    """SYNC-035, SYNC-050: the change that was made after the restoration arrives once, above what the server held."""
    device = running_site.device(f"restored-{OUTDATED_STATES.index(state)}")
    record = new_id()

    def queue(revision: int, code: str) -> None:
        with device.store.change():
            device.store.outbox.enqueue(record, revision, tree(code))

    queue(1, "first")
    queue(2, "second")
    assert device.sync().waiting == 0
    queue(1, "after the restoration")
    device.store.close()
    words = ["sync", "--once", "--home", device.folder]
    if isinstance(state.moment, AtCall):
        assert starter.uplink(device.folder, QUICK, until=state.moment).wait() == -signal.SIGKILL
    else:
        die(starter, state.moment, device.folder / FILE_NAME, words)
    assert waiting(device.folder) == 1
    assert starter.pomona(*words).wait() == 0
    assert waiting(device.folder) == 0
    held = "SELECT revision, json_extract(body, '$.tree') FROM record WHERE record = ?"
    assert running_site.rows(held, record) == [(3, "after the restoration")]


@pytest.mark.slow
@pytest.mark.parametrize("state", LOST_STATES, ids=named)
def test_killed_while_it_gives_a_restored_server_what_it_lost(site: Site, starter: Starter, state: State) -> None:
    """SYNC-107, SYNC-111."""
    site.start_broker()
    server = site.start_server()
    device = site.device("giver")
    keys = device.record(20)
    assert device.sync().waiting == 0
    device.store.close()
    site.stop(server)
    site.server_folder.database.unlink()
    site.start_server()
    assert site.keys_of("giver") == []
    assert isinstance(state.moment, AtCall)
    assert starter.uplink(device.folder, QUICK, until=state.moment).wait() == -signal.SIGKILL
    assert (waiting(device.folder) > 1) is state.moment.after
    uplink = starter.uplink(device.folder, QUICK)
    wait_until(lambda: set(keys) <= set(site.keys_of("giver")), "the server has all again")
    assert uplink.stop() == 0


def test_every_stage_has_its_states() -> None:
    assert list(dict.fromkeys(state.stage for state in STATES)) == STAGES


def test_the_page_tells_the_table() -> None:
    told = [line for line in PAGE.read_text(encoding="utf-8").splitlines() if line.startswith("|")]
    states = [*STATES, *FIRST_STATES, *OUTDATED_STATES, *LOST_STATES]
    rows = [state.row for stage in STAGES for state in states if state.stage == stage]
    assert [line for line in told if line.split("|")[1].strip() in STAGES] == rows
