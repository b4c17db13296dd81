"""A real ``pomona visit import`` killed at random moments and run again ends where an undisturbed one ends."""

from __future__ import annotations

import contextlib
import random
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from device.orchards import BlockSettings, register_block
from device.store import PhotoFiles, Store
from export.runtime.bundle import Bundle
from tests.device.visiting import queued, table
from tests.drawing import draw_discs, encode
from tests.processes import ROOT

TREES = 18
LARGE = (1280, 960)  # twenty tiles, so that a kill mostly falls into counting
KILLS = 4


@pytest.fixture(scope="module")
def card(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Photos of trees with known fruit, every third from two sides."""
    folder = tmp_path_factory.mktemp("card")
    for number in range(TREES):
        for side in "ab" if number % 3 == 0 else "a":
            apples = [(50.0 + 60 * i, 60.0 + 60 * (side == "b")) for i in range(number + 1 + (side == "b"))]
            photo = encode(draw_discs(apples, size=LARGE, seed=number))
            (folder / f"T{number:02}_{side}.jpg").write_bytes(photo)
    return folder


def start_import(home: Path, card: Path, bundle: Bundle) -> subprocess.Popen[str]:
    options = ["--block", "B1", "--stage", "ripening", "--threads", "1", "--bundle", bundle.folder, "--home", home]
    command = [sys.executable, "-m", "pomona", "visit", "import", card, *options]
    return subprocess.Popen(
        [str(part) for part in command], cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )


def make_home(folder: Path) -> Path:
    store = Store(folder)
    register_block(store, "B1", "North farm", BlockSettings(trees=100, area_m2=1000))
    store.close()
    return folder


@contextlib.contextmanager
def reading(home: Path) -> Iterator[sqlite3.Connection]:
    database = sqlite3.connect(f"file:{home / 'store.sqlite'}?mode=ro", uri=True, timeout=30)
    try:
        yield database
    finally:
        database.close()


def photos_counted(home: Path) -> int:
    with reading(home) as database:
        (number,) = database.execute("SELECT count(*) FROM photo").fetchone()
    return int(number)


def outcome(home: Path) -> dict[str, Any]:
    """All that was recorded, by natural keys: no ids, times or durations."""
    with reading(home) as database:
        (integrity,) = database.execute("PRAGMA integrity_check").fetchone()
        counts = database.execute(
            "SELECT day, stage, code, label, machine, tree_count.photos, tree_count.revision FROM tree_count "
            "JOIN tree ON tree.id = tree_count.tree JOIN visit ON visit.id = tree_count.visit ORDER BY code"
        ).fetchall()
        photos = database.execute(
            "SELECT sha256, suffix, code, side, detections.counts, detections.boxes FROM photo "
            "JOIN tree ON tree.id = photo.tree JOIN detections ON detections.photo = photo.id ORDER BY sha256"
        ).fetchall()
        messages = database.execute("SELECT sequence, record, type, revision, body FROM outbox").fetchall()
    assert len({(record, revision) for _, record, _, revision, _ in messages}) == len(messages)
    return {
        "integrity": integrity,
        "counts": counts,
        "photos": photos,
        "messages": sorted((kind, revision, body) for _, _, kind, revision, body in messages),
    }


def test_an_import_that_is_killed_and_repeated_ends_as_an_undisturbed_one(
    tmp_path: Path, card: Path, disc_bundle: Bundle, record_property: Any
) -> None:
    undisturbed, killed = make_home(tmp_path / "undisturbed"), make_home(tmp_path / "killed")
    number_of_photos = len(list(card.iterdir()))
    calm = start_import(undisturbed, card, disc_bundle)
    said, errors = calm.communicate(timeout=120)
    assert (calm.returncode, errors) == (0, "")
    assert said.startswith(f"{number_of_photos} photos of {TREES} trees counted")

    seed = random.randrange(10**6)
    record_property("seed", seed)
    chance = random.Random(seed)
    for round_ in range(1, KILLS + 1):
        process = start_import(killed, card, disc_bundle)
        enough = number_of_photos * round_ // (KILLS + 2)  # so that enough is left to be killed in
        while process.poll() is None and photos_counted(killed) < enough:
            time.sleep(0.005)
        time.sleep(chance.uniform(0, 0.06))
        process.send_signal(signal.SIGKILL)
        process.communicate(timeout=30)
        assert process.returncode == -signal.SIGKILL, f"it ended before the kill; seed {seed}"
        assert enough <= photos_counted(killed) < number_of_photos

    last = start_import(killed, card, disc_bundle)
    known = photos_counted(killed)
    said, errors = last.communicate(timeout=120)
    assert (last.returncode, errors) == (0, "")
    assert said.endswith(f"{known} already known.\n")
    assert outcome(killed) == outcome(undisturbed), f"seed {seed}"
    assert outcome(killed)["integrity"] == "ok"
    assert [count[4] for count in outcome(killed)["counts"]] == [n + 1 + (n % 3 == 0) for n in range(TREES)]
    for sha256, suffix, *_ in outcome(killed)["photos"]:
        kept = PhotoFiles(killed / "photos").path(sha256, suffix)
        assert PhotoFiles.digest(kept.read_bytes()) == sha256


def test_an_import_that_is_killed_leaves_the_store_usable_at_once(
    tmp_path: Path, card: Path, disc_bundle: Bundle
) -> None:
    home = make_home(tmp_path / "home")
    process = start_import(home, card, disc_bundle)
    while process.poll() is None and photos_counted(home) < 2:
        time.sleep(0.005)
    process.kill()
    process.communicate(timeout=30)
    store = Store(home)
    register_block(store, "B2", "North farm", BlockSettings())
    assert {len(table(store, name)) for name in ("photo", "detections")} == {len(queued(store, "photo"))}
    store.close()
