"""A device whose power is cut: what it said was recorded must be there, and whatever the server has from it."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import sqlite3
import sys
import time
from collections.abc import Callable, Sequence
from contextlib import closing
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from pathlib import Path

import pomona
from cloud_sync.errors import IdentityError
from cloud_sync.identity import read_identity
from cloud_sync.server.folder import ServerFolder
from device.by_hand import HandCounted, record_hand_counts
from device.errors import StoreError
from device.orchards import BlockSettings, register_block
from device.photo_naming import name_trees
from device.recording import Visit
from device.sampled_visits import find_visit
from device.store import FILE_NAME, PhotoFiles, Store
from device.visits import import_photos
from export.runtime.bundle import open_bundle
from export.runtime.counter import Counter
from export.runtime.engines.onnx_runtime import OnnxRuntimeEngine, OnnxRuntimeSettings
from tests.cloud_sync.helpers import enrol
from tests.disc_bundle import make_disc_bundle
from tests.drawing import TAKEN_AT
from tests.system.conftest import Site
from tests.system.faults.card import Card
from tests.system.faults.cuts import CutReport, cut_traced_power
from tests.system.faults.starter import hurry
from tests.system.faults.tracing import Op, strace
from tests.system.faults.truth import check_device, keep_journal, waiting
from tests.system.faults.world import DEVICE, QUICK

_SAID = "said"
_PARTS = 3


@dataclass(frozen=True)
class _Work:
    """What a device is given to do.

    Attributes:
        root: the folder that is traced: the device's store, and what it said.
        card: photos.
        bundle: what counts them.
        server: the server's folder, to be enrolled at.
    """

    root: Path
    card: Path
    bundle: Path
    server: Path

    @property
    def home(self) -> Path:
        """The device's store."""
        return self.root / "home"


def _make_counter(bundle: Path) -> Counter:
    opened = open_bundle(bundle)
    return Counter(opened, OnnxRuntimeEngine(opened, OnnxRuntimeSettings(threads=1)))


def work(given: _Work) -> None:
    """In the traced process: a device's first day, each step of it acknowledged once it returns."""
    said = os.open(given.root / _SAID, os.O_WRONLY | os.O_CREAT | os.O_APPEND)

    def say(what: str) -> None:
        os.write(said, f"{what}\n".encode())

    store = Store(given.home)
    keep_journal(given.home)
    block = register_block(store, "B1", "North farm", BlockSettings(trees=1000, area_m2=10_000))
    say("block")
    enrol(ServerFolder(given.server), given.home, DEVICE)
    say("enrolled")
    store.close()
    uplink = os.fork()
    if uplink == 0:
        _send(given.home)
    counter, photos = _make_counter(given.bundle), name_trees(given.card, sorted(given.card.rglob("*.jpg")))
    visit = Visit(block, TAKEN_AT.date(), "ripening")
    for part in range(_PARTS):
        store = Store(given.home)
        some = photos[part::_PARTS]
        hashes = [PhotoFiles.digest(photo.path.read_bytes()) for photo in some]
        import_photos(store, counter, visit, some, _Progress(hashes, say))
        tree = some[0].tree
        record_hand_counts(store, block, find_visit(store, block), {tree: HandCounted(part + 1, None)})
        say(f"by-hand {tree} {part + 1}")
        store.close()
        while waiting(given.home):
            time.sleep(0.05)
    os.kill(uplink, signal.SIGTERM)
    os.waitpid(uplink, 0)


@dataclass(frozen=True)
class _Progress:
    """Says each photo that was imported."""

    hashes: list[str]
    say: Callable[[str], object]

    def __call__(self, done: int, _all: int) -> None:
        self.say(f"photo {self.hashes[done - 1]}")


def _send(home: Path) -> None:
    hurry(QUICK)
    sys.argv = ["pomona", "sync", "--home", str(home)]
    with contextlib.suppress(SystemExit):
        pomona.main()
    os._exit(0)


def cut_device_power(folder: Path, cuts: int, seed: int, trees: int = 12) -> CutReport:
    """Trace a device at work with a broker and a server, and cut its power.

    Raises:
        LostError: something acknowledged was lost.
    """
    site = Site(folder / "site")
    try:
        site.start_broker()
        site.start_server()
        card = Card(folder / "card", trees)
        card.put(2 * trees)
        given = _Work(folder / "device", card.folder, folder / "bundle", site.server_folder.path)
        given.root.mkdir()
        make_disc_bundle(given.bundle)
        words = [given.root, given.card, given.bundle, given.server]
        traced = site.start(strace(folder / "trace", [sys.executable, "-m", __name__, *words]))
        assert traced.wait(timeout=300) == 0, site.log(traced)
        received = site.rows("SELECT message, received_at FROM record")
    finally:
        site.close()
    answered = [(message, _seconds(at)) for message, at in received]
    return cut_traced_power(folder, given.root, partial(DeviceCheck, given, card, answered), cuts, seed)


def _seconds(moment: str) -> float:
    return datetime.fromisoformat(f"{moment}+00:00").timestamp()


class DeviceCheck:
    """Opens what is left of a device as it would be opened after the power is back.

    Args:
        given: its work.
        card: the photos.
        received: ids of messages that the server has, and when they came.
        ops: the trace.
    """

    def __init__(self, given: _Work, card: Card, received: list[tuple[str, float]], ops: Sequence[Op]) -> None:
        self._given = given
        self._card = card
        self._ops = ops
        self._received = received
        self._counter = _make_counter(given.bundle)
        # what was said, by the number of ops after which it was
        self._said = [
            (number, line)
            for number, op in enumerate(ops, start=1)
            if op.kind == "write" and op.path == str(given.root / _SAID)
            for line in op.data.decode().splitlines()
        ]
        self._number = 0

    def __call__(self, folder: Path, moment: int) -> list[str]:
        """What is wrong after so many ops."""
        home = folder / self._given.home.name
        said = [line.split() for number, line in self._said if number <= moment]
        try:
            Store(home).close()
        except StoreError as error:
            return [f"the store does not open: {error}"]
        with closing(sqlite3.connect(home / FILE_NAME)) as database:
            if not database.execute("SELECT 1 FROM sqlite_master WHERE name = 'journal'").fetchall():
                return [f"{words} was said, and nothing is there" for words in said]
            there = {message for (message,) in database.execute("SELECT message FROM journal")}
            found = [f"{words} was said, and is lost" for words in said if not self._is_there(home, database, words)]
        at = self._ops[moment - 1].at
        found += [
            f"the server has {message}, the device not"
            for message, came in self._received
            if came < at and message not in there
        ]
        found += check_device(home)
        self._number += 1
        if not found and self._number % 50 == 0:
            found = self._go_on(home)
        return found

    def _is_there(self, home: Path, database: sqlite3.Connection, words: list[str]) -> bool:
        match words:
            case ["block"]:
                return bool(database.execute("SELECT 1 FROM block").fetchall())
            case ["enrolled"]:
                return _is_enrolled(home)
            case ["photo", sha256]:
                counted = database.execute(
                    "SELECT tree_count.photos FROM photo JOIN detections ON detections.photo = photo.id "
                    "JOIN tree_count ON tree_count.tree = photo.tree WHERE sha256 = ?",
                    [sha256],
                ).fetchall()
                return len(counted) == 1 and sha256 in json.loads(counted[0][0])
            case ["by-hand", tree, number]:
                query = "SELECT by_hand FROM tree_count JOIN tree ON tree.id = tree_count.tree WHERE code = ?"
                ((by_hand,),) = database.execute(query, [tree]).fetchall()
                return int(by_hand) >= int(number)
        return False

    def _go_on(self, home: Path) -> list[str]:
        """Import everything again, as a person does; what was there counts no second time."""
        store = Store(home)
        block = register_block(store, "B1", "North farm", BlockSettings(trees=1000, area_m2=10_000))
        photos = name_trees(self._given.card, self._card.waiting())
        import_photos(store, self._counter, Visit(block, TAKEN_AT.date(), "ripening"), photos)
        store.close()
        with closing(sqlite3.connect(home / FILE_NAME)) as database:
            counts = dict(database.execute("SELECT code, machine FROM tree_count JOIN tree ON tree.id = tree"))
        wrong = [] if counts == self._card.machine_counts() else [f"importing again makes {counts}"]
        return wrong + check_device(home)


def _is_enrolled(home: Path) -> bool:
    try:
        return read_identity(home).name == DEVICE
    except IdentityError:
        return False


if __name__ == "__main__":
    work(_Work(*map(Path, sys.argv[1:])))
