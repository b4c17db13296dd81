"""Counting photos as they arrive in a folder."""

from __future__ import annotations

import logging
import os
import threading
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from device.errors import InputError, StoreError
from device.orchards import Block
from device.queries import list_trees, list_visits
from device.store import Store
from device.watching import SETTLED_AFTER_S, InboxWatcher
from export.runtime.counter import Counter
from tests.device.visiting import bring_in, photograph, queued
from tests.drawing import save_photo

NEVER = threading.Event()


@pytest.fixture
def inbox(tmp_path: Path) -> Path:
    return tmp_path / "inbox"


@pytest.fixture
def watcher(store: Store, block: Block, counter: Counter, inbox: Path) -> InboxWatcher:
    return InboxWatcher(store, counter, inbox)


def look(watcher: InboxWatcher) -> None:
    """Look once and take all there is."""
    watcher.look(NEVER, settled_after_s=0)


def lying(inbox: Path) -> list[str]:
    """All files in the inbox."""
    return sorted(str(path.relative_to(inbox)) for path in inbox.rglob("*") if path.is_file())


def counted(store: Store, block: Block) -> dict[str, int]:
    """Fruit by tree over all visits."""
    return {tree.tree: tree.fruit for visit in list_visits(store, block) for tree in list_trees(store, visit)}


def test_what_arrives_is_counted_and_moved(watcher: InboxWatcher, store: Store, block: Block, inbox: Path) -> None:
    save_photo(inbox / "B1" / "ripening" / "T01" / "1.jpg", 5)
    save_photo(inbox / "B1" / "fruit_expansion" / "T02_b.jpg", 7)
    look(watcher)
    assert counted(store, block) == {"T01": 5, "T02": 7}
    assert {visit.stage for visit in list_visits(store, block)} == {"ripening", "fruit_expansion"}
    assert lying(inbox) == [".done/B1/fruit_expansion/T02_b.jpg", ".done/B1/ripening/T01/1.jpg"]


@pytest.mark.parametrize(
    ("place", "reason"),
    [
        ("B9/ripening/T01/1.jpg", "block 'B9' is unknown (known are B1); register it: pomona block add B9"),
        ("B1/harvest/T01/1.jpg", "'harvest' is no stage; name the folder flowering, young_fruit, fruit_expansion"),
        ("B1/1.jpg", "the photo lies in no block's and stage's folder; put it into BLOCK/STAGE/TREE/"),
        ("B1/ripening/DCIM/100CANON/1.jpg", "{inbox}/B1/ripening/DCIM is a camera's folder and names no tree"),
        ("1.jpg", "the photo lies in no block's and stage's folder; put it into BLOCK/STAGE/TREE/"),
    ],
)
def test_a_photo_in_the_wrong_place_is_set_aside_with_the_reason(
    watcher: InboxWatcher, store: Store, inbox: Path, place: str, reason: str
) -> None:
    save_photo(inbox / place, 5)
    look(watcher)
    assert lying(inbox) == [f".failed/{place}", f".failed/{place}.txt"]
    assert (inbox / ".failed" / f"{place}.txt").read_text().startswith(reason.format(inbox=inbox))
    assert queued(store, "photo") == []


def test_a_broken_photo_is_set_aside_and_the_rest_goes_on(
    watcher: InboxWatcher, store: Store, block: Block, inbox: Path
) -> None:
    broken = save_photo(inbox / "B1" / "ripening" / "T01" / "1.jpg", 5)
    broken.write_bytes(broken.read_bytes()[:4000])
    save_photo(inbox / "B1" / "ripening" / "T02" / "1.jpg", 7)
    look(watcher)
    assert counted(store, block) == {"T02": 7}
    assert "is broken" in (inbox / ".failed" / "B1" / "ripening" / "T01" / "1.jpg.txt").read_text()


def test_hidden_files_and_other_files_are_left_alone(watcher: InboxWatcher, store: Store, inbox: Path) -> None:
    for name in ("B1/ripening/T01/.1.jpg.part", "B1/ripening/T01/.2.jpg", "B1/.cache/T01/3.jpg", "B1/notes.txt"):
        save_photo(inbox / name, 5)
    before = lying(inbox)
    look(watcher)
    assert lying(inbox) == before
    assert queued(store, "photo") == []


def test_two_photos_of_one_name_are_both_kept(watcher: InboxWatcher, inbox: Path) -> None:
    """Cameras begin again at DSC_0001."""
    for apples in (5, 6, 7):
        save_photo(inbox / "B1" / "ripening" / "T01" / "1.jpg", apples)
        look(watcher)
    folder = ".done/B1/ripening/T01"
    assert lying(inbox) == [f"{folder}/1.jpg", f"{folder}/1_2.jpg", f"{folder}/1_3.jpg"]


def test_a_photo_that_counts_for_another_tree_is_said_and_moved(
    watcher: InboxWatcher,
    store: Store,
    block: Block,
    counter: Counter,
    inbox: Path,
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
) -> None:
    known = photograph(tmp_path, "T01", 5)
    bring_in(store, counter, block, known)
    again = inbox / "B1" / "ripening" / "T02" / "1.jpg"
    again.parent.mkdir(parents=True)
    again.write_bytes(known.path.read_bytes())
    caplog.set_level(logging.INFO)
    look(watcher)
    assert counted(store, block) == {"T01": 5}
    (record,) = caplog.records
    assert record.levelno == logging.WARNING
    assert record.getMessage().startswith(f"{again}: already counted for tree T01 of B1")
    assert lying(inbox) == [".done/B1/ripening/T02/1.jpg"]


def test_each_photo_is_said_once_with_what_became_of_it(
    watcher: InboxWatcher, inbox: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    path = save_photo(inbox / "B1" / "ripening" / "T01" / "1.jpg", 5)
    content = path.read_bytes()
    for said in (f"{path}: counted", f"{path}: counted before"):
        caplog.clear()
        path.write_bytes(content)
        look(watcher)
        assert [record.getMessage() for record in caplog.records] == [said]


def test_a_photo_counts_once_it_has_stopped_growing(
    watcher: InboxWatcher, store: Store, block: Block, inbox: Path
) -> None:
    path = save_photo(inbox / "B1" / "ripening" / "T01" / "1.jpg", 5)
    whole = path.read_bytes()
    path.write_bytes(whole[:5000])
    watcher.look(NEVER, settled_after_s=0.2)
    time.sleep(0.25)
    path.write_bytes(whole)
    watcher.look(NEVER, settled_after_s=0.2)
    assert counted(store, block) == {}
    time.sleep(0.25)
    watcher.look(NEVER, settled_after_s=0.2)
    assert counted(store, block) == {"T01": 5}


@pytest.mark.parametrize("moment", [0, 4_000_000_000], ids=["1970", "2096"])
def test_no_clock_keeps_a_photo_from_being_counted(
    watcher: InboxWatcher, store: Store, block: Block, inbox: Path, moment: int
) -> None:
    """A device without a clock of its own reads cards whose files lie in its future."""
    path = save_photo(inbox / "B1" / "ripening" / "T01" / "1.jpg", 5)
    os.utime(path, (moment, moment))
    watcher.look(NEVER, settled_after_s=0.05)
    time.sleep(0.06)
    watcher.look(NEVER, settled_after_s=0.05)
    assert counted(store, block) == {"T01": 5}


def test_a_photo_that_cannot_be_moved_is_said_once_counted_once_and_moved_when_it_can_be(
    watcher: InboxWatcher, store: Store, block: Block, inbox: Path, caplog: pytest.LogCaptureFixture
) -> None:
    save_photo(inbox / "B1" / "ripening" / "T01" / "1.jpg", 5)
    (inbox / ".done").touch()  # a file where the folder should be
    for _ in range(3):
        look(watcher)
    said = [record.getMessage() for record in caplog.records if record.levelno == logging.ERROR]
    assert len(said) == 1
    assert "1.jpg cannot be moved to .done (" in said[0]
    assert said[0].endswith(f"and is left where it is; let Pomona's user write to {inbox / 'B1' / 'ripening' / 'T01'}")
    assert queued(store, "photo") == ["photo"]

    save_photo(inbox / "B1" / "ripening" / "T02" / "1.jpg", 7)
    look(watcher)
    assert counted(store, block) == {"T01": 5, "T02": 7}

    (inbox / ".done").unlink()
    look(watcher)
    assert lying(inbox) == [".done/B1/ripening/T01/1.jpg", ".done/B1/ripening/T02/1.jpg"]


def test_another_photo_in_the_place_of_one_that_could_not_be_moved_is_counted(
    watcher: InboxWatcher, store: Store, block: Block, inbox: Path
) -> None:
    path = save_photo(inbox / "B1" / "ripening" / "T01" / "1.jpg", 5)
    (inbox / ".done").touch()
    look(watcher)
    save_photo(path, 9)
    look(watcher)
    assert counted(store, block) == {"T01": 9}


def test_a_photo_taken_away_while_it_waits_is_forgotten(watcher: InboxWatcher, inbox: Path) -> None:
    path = save_photo(inbox / "B1" / "ripening" / "T01" / "1.jpg", 5)
    watcher.look(NEVER, settled_after_s=60)
    path.unlink()
    look(watcher)
    assert lying(inbox) == []


def test_after_a_kill_between_counting_and_moving_nothing_counts_twice(
    watcher: InboxWatcher, store: Store, block: Block, counter: Counter, inbox: Path
) -> None:
    path = save_photo(inbox / "B1" / "ripening" / "T01" / "1.jpg", 5)
    look(watcher)
    before = queued(store)
    (inbox / ".done" / path.relative_to(inbox)).rename(path)
    look(InboxWatcher(store, counter, inbox))
    assert queued(store) == before
    assert lying(inbox) == [".done/B1/ripening/T01/1.jpg"]


def test_a_full_store_stops_the_watching_and_leaves_the_photo(watcher: InboxWatcher, store: Store, inbox: Path) -> None:
    save_photo(inbox / "B1" / "ripening" / "T01" / "1.jpg", 5)
    pages = store.one("PRAGMA page_count")
    assert pages is not None
    store.db.execute(f"PRAGMA max_page_count = {pages['page_count']}")

    def fill() -> None:
        for number in range(100):
            save_photo(inbox / "B1" / "ripening" / f"T{number}" / "1.jpg", 5)
            look(watcher)

    with pytest.raises(StoreError, match="free some space"):
        fill()
    assert any(not name.startswith(".") for name in lying(inbox))


def test_it_ends_after_the_photo_it_is_counting(store: Store, block: Block, counter: Counter, inbox: Path) -> None:
    for number in range(3):
        save_photo(inbox / "B1" / "ripening" / f"T{number}" / "1.jpg", 5)
    stop = threading.Event()

    @dataclass
    class StoppingEngine:
        name: str = "stopping-1"
        at_once: int = 1

        def rest(self) -> None:
            """Nothing to give back."""

        def infer(self, images: NDArray[np.float32]) -> NDArray[np.float32]:
            stop.set()
            return counter.engine.infer(images)

    watcher = InboxWatcher(store, Counter(counter.bundle, StoppingEngine()), inbox)
    watcher.look(stop, settled_after_s=0)
    watcher.run(stop, every_s=60)
    assert counted(store, block) == {"T0": 5}
    assert len(lying(inbox)) == 3


def test_it_looks_again_until_it_is_stopped(store: Store, counter: Counter, inbox: Path) -> None:
    stop = threading.Event()
    looks = []

    class Watcher(InboxWatcher):
        def look(self, stop: threading.Event, settled_after_s: float = SETTLED_AFTER_S) -> None:
            super().look(stop, settled_after_s)
            looks.append(settled_after_s)
            if len(looks) == 3:
                stop.set()

    Watcher(store, counter, inbox).run(stop, every_s=0.01)
    assert looks == [SETTLED_AFTER_S] * 3


def test_a_file_in_the_inboxs_place_is_named(store: Store, block: Block, counter: Counter, tmp_path: Path) -> None:
    (tmp_path / "inbox").touch()
    with pytest.raises(InputError, match="inbox: File exists; name the folder in which photos arrive"):
        InboxWatcher(store, counter, tmp_path / "inbox")
