"""What a device says of the model that counts on it: once when that changes, and never with each import."""

from __future__ import annotations

from datetime import datetime, timezone
from pathlib import Path

import pytest

from cloud_sync import clock
from cloud_sync.messages import ModelStateBody, decode_body, decode_envelope
from device.errors import InputError
from device.model_state import ModelState, note_candidate, note_counting, read_model_state, tell_model_state
from device.orchards import Block
from device.releases.installing import Wanted, install
from device.releases.source import FolderSource
from device.releases.trust import trust_root
from device.store import Store
from export.runtime.counter import Counter
from tests.cloud_sync.helpers import enrol, make_server
from tests.device.visiting import bring_in, photograph, queued, table
from tests.releases import Releases

NAME = "jetson-1"


@pytest.fixture
def enrolled(store: Store, tmp_path: Path) -> Store:
    """A device that has a name."""
    enrol(make_server(tmp_path / "server"), store.folder, NAME)
    return store


def told(store: Store) -> list[ModelStateBody]:
    bodies = [decode_body(decode_envelope(item.payload)) for item in store.outbox.waiting(NAME, 0, 1000)]
    return [body for body in bodies if isinstance(body, ModelStateBody)]


def test_the_first_photo_tells_and_the_next_ones_do_not(
    enrolled: Store, block: Block, counter: Counter, tmp_path: Path
) -> None:
    for number in range(3):
        bring_in(enrolled, counter, block, photograph(tmp_path, f"T{number}", 3))
    (body,) = told(enrolled)
    assert (body.device, body.model, body.engine) == (NAME, counter.bundle.identity, counter.engine.name)
    assert abs((body.since - clock.now()).total_seconds()) < 60
    assert (body.candidate, body.refused) == (None, None)
    (row,) = table(enrolled, "model_state")
    assert row == {"id": row["id"], "revision": 1, **body.model_dump(mode="json")}


def test_another_bundle_is_another_revision_of_the_same_record(
    enrolled: Store, block: Block, counter: Counter, newer_counter: Counter, tmp_path: Path
) -> None:
    photo = photograph(tmp_path, "T1", 3)
    for counts in (counter, newer_counter):
        bring_in(enrolled, counts, block, photo)
    messages = [row for row in table(enrolled, "outbox") if row["type"] == "model_state"]
    assert [row["revision"] for row in messages] == [1, 2]
    assert len({row["record"] for row in messages}) == 1
    assert [body.model for body in told(enrolled)] == [counter.bundle.identity, newer_counter.bundle.identity]


def test_a_device_without_a_name_tells_once_it_has_one(
    store: Store, block: Block, counter: Counter, tmp_path: Path
) -> None:
    bring_in(store, counter, block, photograph(tmp_path, "T1", 3))
    assert "model_state" not in queued(store)
    assert read_model_state(store).model == counter.bundle.identity
    for _ in range(2):
        tell_model_state(store, NAME)
    (body,) = told(store)
    assert (body.device, body.model) == (NAME, counter.bundle.identity)


def test_one_that_was_enrolled_meanwhile_tells_with_the_next_photo(
    store: Store, block: Block, counter: Counter, tmp_path: Path
) -> None:
    bring_in(store, counter, block, photograph(tmp_path, "T1", 3))
    since = read_model_state(store).since
    enrol(make_server(tmp_path / "server"), store.folder, NAME)
    bring_in(store, counter, block, photograph(tmp_path, "T2", 3))
    assert [body.model_dump(mode="json")["since"] for body in told(store)] == [since]


def test_a_device_that_has_counted_nothing_has_nothing_to_tell(enrolled: Store) -> None:
    tell_model_state(enrolled, NAME)
    assert read_model_state(enrolled) == ModelState()
    note_candidate(enrolled, "yolo-a 2.0.0")
    assert queued(enrolled) == []
    with enrolled.change():
        note_counting(enrolled, "yolo-a 1.0.0", "onnxruntime")
    (body,) = told(enrolled)
    assert (body.model, body.candidate) == ("yolo-a 1.0.0", "yolo-a 2.0.0")


def test_a_release_is_a_candidate_until_it_counts(
    enrolled: Store, block: Block, counter: Counter, newer_counter: Counter, tmp_path: Path
) -> None:
    photo = photograph(tmp_path, "T1", 3)
    bring_in(enrolled, counter, block, photo)
    for _ in range(2):
        note_candidate(enrolled, newer_counter.bundle.identity)
    bring_in(enrolled, newer_counter, block, photo)
    assert [(body.model, body.candidate, body.refused) for body in told(enrolled)] == [
        (counter.bundle.identity, None, None),
        (counter.bundle.identity, newer_counter.bundle.identity, None),
        (newer_counter.bundle.identity, None, None),
    ]


def test_the_release_that_counts_already_changes_nothing(
    enrolled: Store, block: Block, counter: Counter, tmp_path: Path
) -> None:
    bring_in(enrolled, counter, block, photograph(tmp_path, "T1", 3))
    note_candidate(enrolled, counter.bundle.identity)
    assert len(told(enrolled)) == 1


def test_a_refused_release_is_told_with_its_reason_and_what_counts_goes_on(
    enrolled: Store, block: Block, counter: Counter, tmp_path: Path
) -> None:
    bring_in(enrolled, counter, block, photograph(tmp_path, "T1", 3))
    releases = Releases(tmp_path / "releasing")
    trust_root(enrolled.folder, releases.root)
    releases.add("3.0.0", crop="pear")
    with pytest.raises(InputError, match="is made for pear"):
        install(enrolled, FolderSource(releases.source))
    with pytest.raises(InputError, match="it is not installed"):
        install(enrolled, FolderSource(releases.source), Wanted("discs-3.0.0"))
    last = told(enrolled)[-1]
    assert last.model == counter.bundle.identity
    assert (last.candidate or "").startswith("discs-3.0.0+")
    assert "is made for pear" in (last.refused or "")


def test_a_reason_that_is_too_long_to_send_is_cut(enrolled: Store) -> None:
    with enrolled.change():
        note_counting(enrolled, "yolo-a 1.0.0", "onnxruntime")
    note_candidate(enrolled, "yolo-a\n2", 300 * "x")
    last = told(enrolled)[-1]
    assert (last.candidate, last.refused) == ("yolo-a 2", 200 * "x")


def test_a_clock_that_was_set_back_is_told_as_it_is(enrolled: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(clock, "now", lambda: datetime(1970, 1, 2, tzinfo=timezone.utc))
    with enrolled.change():
        note_counting(enrolled, "yolo-a 1.0.0", "onnxruntime")
    assert told(enrolled)[0].since == datetime(1970, 1, 2, tzinfo=timezone.utc)
    assert read_model_state(enrolled).began == datetime(1970, 1, 2, tzinfo=timezone.utc)


def test_an_older_store_begins_with_the_model_that_counted_last(
    home: Path, block: Block, store: Store, counter: Counter, newer_counter: Counter, tmp_path: Path
) -> None:
    photo = photograph(tmp_path, "T1", 3)
    for counts in (counter, newer_counter):
        bring_in(store, counts, block, photo)
    store.db.execute("DROP TABLE model_state")
    store.db.execute("DELETE FROM _sqlite_migrations WHERE name = 'm010_create_model_state'")
    newer = Store(home)
    state = read_model_state(newer)
    assert (state.model, state.engine) == (newer_counter.bundle.identity, newer_counter.engine.name)
    tell_model_state(newer, NAME)
    assert [body.model for body in told(newer)] == [newer_counter.bundle.identity]
    newer.close()
