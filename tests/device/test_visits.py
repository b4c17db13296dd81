"""Bringing photos into a visit: each once, whatever is broken, repeated or interrupted."""

from __future__ import annotations

import json
import os
import sqlite3
import sys
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import date, datetime
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from cloud_sync.boxes import MOST_BOXES
from cloud_sync.messages import CountBody, DetectionsBody, PhotoBody, VisitBody, decode_body, decode_envelope
from device.errors import InputError, StoreError
from device.orchards import Block
from device.packed_boxes import unpack_boxes
from device.photo_naming import TreePhoto
from device.recording import Visit
from device.reviewing import review_trees
from device.sampled_visits import find_visit
from device.store import Store
from device.visits import by_day, day_of, import_photos
from export.runtime.counter import Counter, PhotoCount
from export.runtime.detections import Detections
from export.runtime.engines import Engine
from export.runtime.errors import EngineError, MissingPartError, PhotoError
from export.runtime.photos import Photo
from tests.device.visiting import DAY, bring_in, photograph, queued, table
from tests.disc_bundle import LABELS
from tests.drawing import exif, save_photo

COUNTED_FOR_T01 = (
    f"already counted for tree T01 of B1 on {DAY} (ripening) and not counted again; nothing moves a counted photo, so "
    "if it counts in the wrong place, take another one for the right one"
)


@dataclass
class MeddlingEngine:
    """Counts as another engine does, after something has happened."""

    engine: Engine
    meddle: Callable[[], object]
    name: str = "meddling-1"
    at_once: int = 1

    def rest(self) -> None:
        """Nothing to give back."""

    def infer(self, images: NDArray[np.float32]) -> NDArray[np.float32]:
        self.meddle()
        return self.engine.infer(images)


def meddling(counter: Counter, meddle: Callable[[], object]) -> Counter:
    return Counter(counter.bundle, MeddlingEngine(counter.engine, meddle))


def counts(store: Store) -> dict[str, int]:
    """Fruit by tree, as it stands."""
    rows = store.db.query(
        "SELECT code, coalesce(reviewed, machine) AS fruit FROM tree_count JOIN tree ON tree.id = tree_count.tree"
    )
    return {row["code"]: row["fruit"] for row in rows}


def test_photos_are_kept_counted_and_queued(store: Store, block: Block, counter: Counter, tmp_path: Path) -> None:
    photos = [photograph(tmp_path, "T01", 5), photograph(tmp_path, "T02", 8)]
    report = bring_in(store, counter, block, *photos)
    assert (report.counted, report.known, report.elsewhere, report.failed) == (2, 0, [], [])
    assert counts(store) == {"T01": 5, "T02": 8}
    assert queued(store) == [
        *("orchard", "block"),
        *("visit", "tree", "photo", "detections", "count", "thumbnail"),
        *("tree", "photo", "detections", "count", "thumbnail"),
    ]
    for photo, row in zip(photos, table(store, "photo"), strict=True):
        assert store.photos.path(row["sha256"], ".jpg").read_bytes() == photo.path.read_bytes()


def test_what_is_queued_says_what_was_counted(store: Store, block: Block, counter: Counter, tmp_path: Path) -> None:
    bring_in(store, counter, block, photograph(tmp_path, "T01", 5, said=exif(place=(56.5, 24.5))))
    bodies = [decode_body(decode_envelope(item.payload)) for item in store.outbox.waiting("jetson-1", 0, 100)]
    photo = next(body for body in bodies if isinstance(body, PhotoBody))
    assert (photo.orchard, photo.block, photo.day, photo.stage, photo.tree, photo.side) == (
        *("North farm", "B1", DAY, "ripening", "T01", "a"),
    )
    assert (photo.width_px, photo.height_px) == (640, 480)
    assert photo.latitude == pytest.approx(56.5)
    detections = next(body for body in bodies if isinstance(body, DetectionsBody))
    assert detections.photo == photo.sha256
    assert (detections.model, detections.engine) == (counter.bundle.identity, counter.engine.name)
    assert detections.counts == {"apple": 5, "apple_flower": 0}
    count = next(body for body in bodies if isinstance(body, CountBody))
    assert (count.label, count.machine, count.reviewed, count.photos) == ("apple", 5, None, (photo.sha256,))


def test_the_boxes_are_kept(store: Store, block: Block, counter: Counter, tmp_path: Path) -> None:
    bring_in(store, counter, block, photograph(tmp_path, "T01", 3))
    (row,) = table(store, "detections")
    boxes = unpack_boxes(row["boxes"], tuple(json.loads(row["labels"])))
    assert boxes.count_by_label() == {"apple": 3, "apple_flower": 0}
    assert boxes.boxes[np.argsort(boxes.boxes[:, 0])][:, 0] == pytest.approx([20, 80, 140], abs=5)


def test_importing_again_changes_nothing(store: Store, block: Block, counter: Counter, tmp_path: Path) -> None:
    photos = [photograph(tmp_path, "T01", 5), photograph(tmp_path, "T02", 8)]
    bring_in(store, counter, block, *photos)
    before = {name: table(store, name) for name in ("visit", "tree", "photo", "detections", "tree_count", "outbox")}
    report = bring_in(store, counter, block, *photos)
    assert (report.counted, report.known) == (0, 2)
    assert {name: table(store, name) for name in before} == before


def test_a_kept_photo_that_was_lost_is_put_back_by_importing_it_again(
    store: Store, block: Block, counter: Counter, tmp_path: Path
) -> None:
    photo = photograph(tmp_path, "T01", 5)
    bring_in(store, counter, block, photo)
    (row,) = table(store, "photo")
    kept = store.photos.path(row["sha256"], ".jpg")
    kept.unlink()
    renamed = replace(photo, path=photo.path.rename(photo.path.with_suffix(".jpeg")))
    assert bring_in(store, counter, block, renamed).known == 1
    assert kept.read_bytes() == renamed.path.read_bytes()
    assert len(list(kept.parent.iterdir())) == 1


def areas(store: Store) -> list[tuple[float | None, int | None]]:
    """Sampled area of each visit, and the number of trees it was given for."""
    return [(row["area_m2"], row["area_trees"]) for row in table(store, "visit")]


def test_an_area_is_kept_with_the_number_of_trees_it_was_given_for(
    store: Store, block: Block, counter: Counter, tmp_path: Path
) -> None:
    sides = [photograph(tmp_path, tree, side=side) for tree in ("T01", "T02") for side in "ab"]
    import_photos(store, counter, Visit(block, DAY, "ripening", area_m2=24.0), sides)
    assert areas(store) == [(24, 2)]
    bring_in(store, counter, block, photograph(tmp_path, "T03"))
    assert areas(store) == [(24, 2)]


def test_an_area_is_recorded_and_sent_also_where_all_photos_are_known(
    store: Store, block: Block, counter: Counter, tmp_path: Path
) -> None:
    photos = [photograph(tmp_path, "T01"), photograph(tmp_path, "T02")]
    bring_in(store, counter, block, *photos)
    assert areas(store) == [(None, None)]
    for _ in range(2):
        import_photos(store, counter, Visit(block, DAY, "ripening", area_m2=24.0), photos)
    assert areas(store) == [(24, 2)]
    assert queued(store, "visit") == ["visit", "visit"]
    body = decode_body(decode_envelope(store.outbox.waiting("jetson-1", 0, 100)[-1].payload))
    assert isinstance(body, VisitBody)
    assert body.area_m2 == 24


def test_an_area_alone_makes_no_visit(store: Store, block: Block, counter: Counter, tmp_path: Path) -> None:
    broken = photograph(tmp_path, "T01")
    broken.path.write_bytes(b"Dear diary")
    import_photos(store, counter, Visit(block, DAY, "ripening", area_m2=24.0), [broken])
    assert table(store, "visit") == []


def test_a_broken_photo_is_reported_and_the_rest_goes_on(
    store: Store, block: Block, counter: Counter, tmp_path: Path
) -> None:
    photos = [photograph(tmp_path, f"T0{number}", number) for number in range(1, 6)]
    photos[1].path.write_bytes(photos[1].path.read_bytes()[:5000])
    photos[2].path.write_bytes(b"Dear diary")
    photos[3].path.unlink()
    report = bring_in(store, counter, block, *photos)
    assert report.counted == 2
    assert counts(store) == {"T01": 1, "T05": 5}
    assert [failure.path for failure in report.failed] == [photo.path for photo in photos[1:4]]
    said = ["is broken", "is no photo that can be decoded", "cannot be read: No such file or directory"]
    assert all(part in failure.reason for part, failure in zip(said, report.failed, strict=True))
    assert len(table(store, "photo")) == 2


def test_what_is_wrong_with_a_photo_can_be_told_from_what_is_wrong_around_it(
    store: Store, block: Block, counter: Counter, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "pillow_heif", None)
    broken, gone = photograph(tmp_path, "T01"), photograph(tmp_path, "T02")
    broken.path.write_bytes(b"Dear diary")
    gone.path.unlink()
    heic = TreePhoto(save_photo(tmp_path / "1.heic"), "T03", "a")
    unnamed = TreePhoto(save_photo(tmp_path / "1.jpg"), "", "a")
    report = bring_in(store, counter, block, broken, gone, heic, unnamed)
    assert [type(failure.error) for failure in report.failed] == [
        *(PhotoError, FileNotFoundError, MissingPartError, InputError)
    ]


class CrowdedCounter(Counter):
    """Counts so many apples in every photo."""

    apples = MOST_BOXES

    def count(self, photo: Photo) -> PhotoCount:  # noqa: ARG002  (it sees the same in each)
        boxes = np.tile(np.array([[1, 1, 9, 9]], np.float32), (self.apples, 1))
        found = Detections(boxes, np.ones(self.apples, np.float32), np.zeros(self.apples, np.int64), LABELS)
        return PhotoCount(found, np.ones(self.apples, np.bool_), milliseconds=1.0)


def test_a_photo_with_more_than_a_message_holds_is_reported_and_the_rest_goes_on(
    store: Store, block: Block, counter: Counter, tmp_path: Path
) -> None:
    crowded = CrowdedCounter(counter.bundle, counter.engine)
    assert bring_in(store, crowded, block, photograph(tmp_path, "T01")).counted == 1
    crowded.apples = MOST_BOXES + 1
    report = bring_in(store, crowded, block, photograph(tmp_path, "T02"), photograph(tmp_path, "T03"))
    assert [type(failure.error) for failure in report.failed] == [PhotoError, PhotoError]
    assert "shows 15,001 fruit and flowers, and at most 15,000 can be recorded" in report.failed[0].reason
    assert counts(store) == {"T01": MOST_BOXES}


@pytest.mark.parametrize("name", ["x" * 220 + ".jpg", os.fsdecode(b"\xb5\xda1\xca\xf7.jpg")], ids=["long", "not UTF-8"])
def test_a_name_that_cannot_be_kept_is_reported_and_the_rest_goes_on(
    store: Store, block: Block, counter: Counter, tmp_path: Path, name: str
) -> None:
    odd = TreePhoto(save_photo(tmp_path / name, 3), "T01", "a")
    report = bring_in(store, counter, block, odd, photograph(tmp_path, "T02", 8))
    assert report.counted == 1
    (failure,) = report.failed
    assert failure.path == odd.path
    assert failure.reason == f"the photo's file name is {name!r}; give 1 to 200 printable characters"


@pytest.mark.parametrize(("tree", "side"), [("", "a"), ("T" * 201, "a"), ("T01", "s" * 201)])
def test_trees_and_sides_need_names_that_can_be_kept(
    store: Store, block: Block, counter: Counter, tmp_path: Path, tree: str, side: str
) -> None:
    report = bring_in(store, counter, block, TreePhoto(save_photo(tmp_path / "a.jpg"), tree, side))
    assert len(report.failed) == 1
    assert table(store, "visit") == []


def test_a_photo_of_another_tree_is_reported_and_counts_once(
    store: Store, block: Block, counter: Counter, tmp_path: Path
) -> None:
    first = photograph(tmp_path, "T01", 5)
    again = TreePhoto(first.path, "T02", "a")
    report = bring_in(store, counter, block, first, again)
    assert report.elsewhere == [(first.path, COUNTED_FOR_T01)]
    assert counts(store) == {"T01": 5}


def test_a_photo_of_another_visit_is_reported_and_counts_once(
    store: Store, block: Block, counter: Counter, tmp_path: Path
) -> None:
    photo = photograph(tmp_path, "T01", 5)
    bring_in(store, counter, block, photo)
    for report in (
        bring_in(store, counter, block, photo, day=date(2025, 9, 25)),
        bring_in(store, counter, block, photo, stage="fruit_expansion"),
    ):
        assert report.elsewhere == [(photo.path, COUNTED_FOR_T01)]
    assert len(table(store, "visit")) == 1


def test_a_photo_that_another_process_brings_in_meanwhile_counts_once(
    store: Store, block: Block, counter: Counter, tmp_path: Path, home: Path
) -> None:
    photo = photograph(tmp_path, "T01", 5)
    other = Store(home)

    def meanwhile() -> None:
        bring_in(other, counter, block, TreePhoto(photo.path, "T02", "a"))

    report = bring_in(store, meddling(counter, meanwhile), block, photo)
    other.close()
    assert report.counted == 0
    assert report.elsewhere == [(photo.path, COUNTED_FOR_T01.replace("T01", "T02"))]
    assert counts(store) == {"T02": 5}


def test_a_photo_that_two_processes_count_at_once_is_queued_once(
    store: Store, block: Block, counter: Counter, tmp_path: Path, home: Path
) -> None:
    photo = photograph(tmp_path, "T01", 5)
    other = Store(home)
    report = bring_in(store, meddling(counter, lambda: bring_in(other, counter, block, photo)), block, photo)
    other.close()
    assert (report.counted, report.known) == (0, 1)
    assert queued(store) == ["orchard", "block", "visit", "tree", "photo", "detections", "count", "thumbnail"]
    assert [row["revision"] for row in table(store, "detections")] == [1]


def test_the_fuller_side_stands_for_the_tree(store: Store, block: Block, counter: Counter, tmp_path: Path) -> None:
    sides = [photograph(tmp_path, "T01", apples, side) for apples, side in ((5, "a"), (9, "b"), (7, "c"))]
    bring_in(store, counter, block, *sides)
    (row,) = table(store, "tree_count")
    assert (row["machine"], row["sides_rule"], row["attribution"]) == (9, "largest", "whole photo")
    assert sorted(json.loads(row["photos"])) == sorted(photo["sha256"] for photo in table(store, "photo"))


def test_a_visit_that_another_process_began_meanwhile_gets_the_rule_that_is_given(
    store: Store, block: Block, counter: Counter, tmp_path: Path, home: Path
) -> None:
    other = Store(home)
    elsewhere = photograph(tmp_path / "other", "T02", 4)
    meanwhile = meddling(counter, lambda: bring_in(other, counter, block, elsewhere))
    import_photos(store, meanwhile, Visit(block, DAY, "ripening", sides="sum"), [photograph(tmp_path, "T01", 5)])
    other.close()
    assert counts(store) == {"T01": 10, "T02": 8}


def test_flowers_are_counted_at_flowering(store: Store, block: Block, counter: Counter, tmp_path: Path) -> None:
    bring_in(store, counter, block, photograph(tmp_path, "T01", apples=2, blossoms=6), stage="flowering")
    (row,) = table(store, "tree_count")
    assert (row["label"], row["machine"]) == ("apple_flower", 6)


def test_a_tree_stands_where_the_first_photo_that_knows_says(
    store: Store, block: Block, counter: Counter, tmp_path: Path
) -> None:
    places = (None, (56.5, 24.5), (57.0, 25.0), None)
    for side, place in zip("abcd", places, strict=True):
        bring_in(store, counter, block, photograph(tmp_path, "T01", 1, side, said=exif(place=place)))
    (row,) = table(store, "tree")
    assert [row["latitude"], row["longitude"]] == pytest.approx([56.5, 24.5])
    assert row["revision"] == 2


def test_a_reviewed_count_outlives_new_photos(store: Store, block: Block, counter: Counter, tmp_path: Path) -> None:
    bring_in(store, counter, block, photograph(tmp_path, "T01", 5))
    review_trees(store, block, find_visit(store, block), {"T01": 6})
    bring_in(store, counter, block, photograph(tmp_path, "T01", 9, "b"))
    (row,) = table(store, "tree_count")
    assert (row["machine"], row["reviewed"]) == (9, 6)
    bodies = [decode_body(decode_envelope(item.payload)) for item in store.outbox.waiting("jetson-1", 0, 100)]
    last = [body for body in bodies if isinstance(body, CountBody)][-1]
    assert (last.machine, last.reviewed) == (9, 6)


def test_a_newer_model_counts_known_photos_again_and_both_results_are_kept(
    store: Store, block: Block, counter: Counter, newer_counter: Counter, tmp_path: Path
) -> None:
    photo = photograph(tmp_path, "T01", 5)
    bring_in(store, counter, block, photo)
    report = bring_in(store, newer_counter, block, photo)
    assert (report.counted, report.known) == (1, 0)
    models = [counter.bundle.identity, newer_counter.bundle.identity]
    assert [row["model"] for row in table(store, "detections")] == models
    (count,) = table(store, "tree_count")
    assert (count["model"], count["revision"]) == (models[1], 2)
    assert len(table(store, "photo")) == 1
    assert queued(store, "photo", "detections", "count") == ["photo", "detections", "count", "detections", "count"]


def test_when_the_store_is_full_what_was_imported_stays_and_the_rest_can_follow(
    store: Store, block: Block, counter: Counter, tmp_path: Path
) -> None:
    photos = [photograph(tmp_path, f"T{number:02}", number % 7) for number in range(40)]
    pages = store.one("PRAGMA page_count")
    assert pages is not None
    store.db.execute(f"PRAGMA max_page_count = {pages['page_count'] + 4}")
    with pytest.raises(StoreError, match="full; free some space; nothing recorded was lost"):
        bring_in(store, counter, block, *photos)
    imported = len(table(store, "photo"))
    assert 0 < imported < 40
    assert len(table(store, "tree_count")) == len(queued(store, "count")) == imported
    store.db.execute("PRAGMA max_page_count = 100000")
    report = bring_in(store, counter, block, *photos)
    assert (report.known, report.counted) == (imported, 40 - imported)
    assert counts(store) == {f"T{number:02}": number % 7 for number in range(40)}


def test_an_engine_that_fails_stops_the_import_and_leaves_what_was_done(
    store: Store, block: Block, counter: Counter, tmp_path: Path
) -> None:
    bring_in(store, counter, block, photograph(tmp_path, "T01", 5))

    def fail() -> None:
        raise EngineError("the graphics memory is exhausted")

    with pytest.raises(EngineError, match="graphics memory"):
        bring_in(store, meddling(counter, fail), block, photograph(tmp_path, "T02", 8))
    assert counts(store) == {"T01": 5}


def test_no_photo_is_counted_while_the_database_is_locked(
    store: Store, block: Block, counter: Counter, tmp_path: Path, home: Path
) -> None:
    """Counting takes seconds; page and sync must be able to write meanwhile."""

    def write() -> None:
        with sqlite3.connect(home / "store.sqlite", timeout=0.1) as other:
            other.execute("UPDATE orchard SET crop = 'apple'")
        other.close()

    assert bring_in(store, meddling(counter, write), block, photograph(tmp_path, "T01", 5)).counted == 1


def test_progress_is_told_after_each_photo(store: Store, block: Block, counter: Counter, tmp_path: Path) -> None:
    photos = [photograph(tmp_path, "T01"), photograph(tmp_path, "T02")]
    told: list[tuple[int, int]] = []
    import_photos(store, counter, Visit(block, DAY, "ripening"), photos, lambda done, all_: told.append((done, all_)))
    assert told == [(1, 2), (2, 2)]


def taken(folder: Path, *days: date | None) -> list[Path]:
    """Photos whose camera says these days."""
    return [
        save_photo(folder / f"{number}.jpg", said=exif(datetime(day.year, day.month, day.day, 9) if day else None))  # noqa: DTZ001
        for number, day in enumerate(days)
    ]


def test_the_day_is_the_one_most_cameras_say(tmp_path: Path) -> None:
    photos = taken(tmp_path, date(2025, 9, 23), date(2025, 9, 24), None, date(2025, 9, 24))
    assert day_of(photos) == date(2025, 9, 24)


def test_of_days_named_equally_often_the_first_is_taken(tmp_path: Path) -> None:
    assert day_of(taken(tmp_path, date(2025, 9, 25), date(2025, 9, 24))) == date(2025, 9, 24)


def test_a_camera_clock_that_was_never_set_is_not_asked(tmp_path: Path) -> None:
    photos = taken(tmp_path, date(1980, 1, 1), date(1980, 1, 1), date(2025, 9, 24))
    assert day_of(photos) == date(2025, 9, 24)


@pytest.mark.parametrize(("moment", "day"), [(1_758_671_999, 23), (1_758_672_000, 24)])
def test_without_a_camera_clock_the_day_is_when_the_files_were_written(tmp_path: Path, moment: int, day: int) -> None:
    (photo,) = taken(tmp_path, None)
    os.utime(photo, (moment, moment))
    assert day_of([photo]) == date(2025, 9, day)


def grouped(*photos: Path) -> dict[date, list[str]]:
    """Names of the photos by the day they belong to."""
    days = by_day([TreePhoto(path, "T01", "a") for path in photos])
    return {day: [item.path.stem for item in items] for day, items in days.items()}


def test_photos_belong_to_the_day_they_were_taken_on(tmp_path: Path) -> None:
    photos = taken(tmp_path, date(2025, 9, 15), date(2025, 9, 1), date(2025, 9, 1), date(2025, 9, 15))
    days = grouped(*photos)
    assert days == {date(2025, 9, 1): ["1", "2"], date(2025, 9, 15): ["0", "3"]}
    assert list(days) == [date(2025, 9, 1), date(2025, 9, 15)]


def test_photos_without_a_believable_time_go_with_most_of_the_others(tmp_path: Path) -> None:
    photos = taken(tmp_path, None, date(2025, 9, 1), date(1980, 1, 1), date(2025, 9, 15), date(2025, 9, 15))
    assert grouped(*photos) == {date(2025, 9, 1): ["1"], date(2025, 9, 15): ["0", "2", "3", "4"]}


def test_where_no_photo_has_a_time_they_stay_together(tmp_path: Path) -> None:
    photos = taken(tmp_path, None, None, None)
    for path, day in zip(photos, (24, 23, 24), strict=True):
        os.utime(path, (moment := datetime(2025, 9, day, 12).timestamp(), moment))  # noqa: DTZ001
    assert grouped(*photos) == {date(2025, 9, 24): ["0", "1", "2"]}


def test_a_photo_that_has_gone_is_named(tmp_path: Path) -> None:
    with pytest.raises(PhotoError, match=r"gone\.jpg cannot be read: No such file or directory; is the card still in"):
        day_of([tmp_path / "gone.jpg"])
