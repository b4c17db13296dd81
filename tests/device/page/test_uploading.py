"""Photos from a phone into a visit."""

from __future__ import annotations

import errno
import os
import re
import sys
import threading
import time
from datetime import date, datetime, timedelta
from html import unescape
from pathlib import Path
from typing import Any

import pillow_heif
import pytest
from fastapi.testclient import TestClient
from httpx2 import Response

from cloud_sync.outbox import new_id
from device.errors import StoreError
from device.page.application import create_app
from device.page.settings import PageSettings
from device.page.uploading import day_of_upload
from device.page.uploads import Upload, UploadedPhoto, UploadFolder
from device.store import Store
from export.runtime.counter import Counter
from export.runtime.engines.onnx_runtime import OnnxRuntimeEngine, OnnxRuntimeSettings
from export.runtime.errors import BundleError, EngineError
from tests.device.page.helpers import (
    ORIGIN,
    TAKEN_AT,
    SeeingEngine,
    browser,
    damage_table,
    draw_photo,
    full_disk,
    send_photos,
    text_of,
    the_bundle,
    wait_for_counts,
    wait_until,
)


def visits(client: TestClient) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = client.get("/api/blocks/B1/visits").json()
    return found


def trees(client: TestClient) -> dict[str, int]:
    (visit,) = visits(client)
    return {tree["tree"]: tree["fruit"] for tree in client.get(f"/api/visits/{visit['id']}/trees").json()}


def recorded_rows(home: Path) -> int:
    store = Store(home)
    rows = sum(store.db[table].count for table in ("visit", "tree", "photo", "detections", "tree_count"))
    store.close()
    return rows


def engine_of(counter: Counter) -> SeeingEngine:
    assert isinstance(counter.engine, SeeingEngine)
    return counter.engine


def arrived_upload(home: Path) -> Path:
    """The folder of an upload of two photos, as if the power had gone before they were counted."""
    uploads = UploadFolder(home / "uploads")
    identifier, folder = uploads.begin()
    photos = [UploadedPhoto(name="a.jpg", number=1), UploadedPhoto(name="b.jpg", number=2)]
    for number, photo in enumerate(photos, start=1):
        (folder / str(number)).mkdir()
        (folder / str(number) / photo.name).write_bytes(draw_photo(number))
    uploads.save(
        Upload(id=identifier, block="B1", day=date(2025, 9, 1), stage="ripening", tree="T1", side="a", photos=photos)
    )
    return folder


def upload_of(home: Path, page: Response) -> Upload:
    """What is written down of an upload."""
    return UploadFolder(home / "uploads").read(page.url.path.rsplit("/", 1)[-1])


@pytest.fixture
def counter() -> Counter:
    return Counter(the_bundle(), SeeingEngine(7))


def test_a_photo_is_counted_by_the_shipped_model(home: Path) -> None:
    real = Counter(the_bundle(), OnnxRuntimeEngine(the_bundle(), OnnxRuntimeSettings(threads=1)))
    with browser(home, real) as client:
        shown = text_of(wait_for_counts(client, send_photos(client, ("IMG_1.jpg", draw_photo()))))
        assert "Done: 1 photo" in shown
        assert "IMG_1.jpg" in shown
        (visit,) = visits(client)
        assert (visit["day"], visit["stage"], visit["photos"]) == ("2025-09-24", "ripening", 1)
        assert list(trees(client)) == ["R01-T01"]


def test_several_photos_each_with_its_count_or_its_error(home: Path) -> None:
    truncated = draw_photo(2)[:5000]
    with browser(home) as client:
        page = send_photos(
            client,
            ("IMG_1.jpg", draw_photo(1)),
            ("cut.jpg", truncated),
            ("notes.jpg", b"no photo at all"),
            ("small.jpg", draw_photo(3, size=(100, 80))),
            ("IMG_1.jpg", draw_photo(4)),
            tree=" R03-T12 ",
            side="b",
        )
        shown = text_of(wait_for_counts(client, page))
        assert shown.count("IMG_1.jpg 7 fruit") == 2
        assert "cut.jpg is broken" in shown
        assert "copy it again from the camera" in shown
        assert "notes.jpg is no photo that can be counted; send a JPEG, PNG or HEIC photo" in shown
        assert "small.jpg has 0.0 megapixels" in shown
        assert str(home) not in shown
        assert trees(client) == {"R03-T12": 7}
        photo = re.search(r"/photos/\w+/boxes", client.get(page.url.path).text)
        assert photo is not None
        assert "Tree R03-T12, side b" in text_of(client.get(photo[0]).text)
    assert not [path for path in (home / "uploads").rglob("*") if path.is_file() and path.name != "upload.json"]


def test_a_broken_photo_records_nothing(home: Path) -> None:
    with browser(home) as client:
        shown = wait_for_counts(client, send_photos(client, ("cut.jpg", draw_photo()[:4000])))
        assert "is broken" in shown
        assert "Next tree" in shown
        assert visits(client) == []
    assert recorded_rows(home) == 0
    assert not list((home / "photos").rglob("*.jpg"))


def test_a_double_submit_counts_once(home: Path) -> None:
    with browser(home) as client:
        first = send_photos(client, ("a.jpg", draw_photo()))
        second = send_photos(client, ("a.jpg", draw_photo()))
        wait_for_counts(client, first)
        rows = recorded_rows(home)
        assert "was counted before; counts once" in wait_for_counts(client, second)
        assert recorded_rows(home) == rows
        assert trees(client) == {"R01-T01": 7}


def test_a_photo_of_another_tree_says_where_it_counts(home: Path) -> None:
    with browser(home) as client:
        wait_for_counts(client, send_photos(client, ("a.jpg", draw_photo())))
        shown = wait_for_counts(client, send_photos(client, ("a.jpg", draw_photo()), tree="R09-T09"))
        assert "already counted for tree R01-T01 of B1 on 2025-09-24" in shown
        assert trees(client) == {"R01-T01": 7}


@pytest.mark.parametrize(
    ("field", "value", "says"),
    [
        ("block", "B9", "register it"),
        ("block", "", "is unknown"),
        ("stage", "winter", "the growth stage is not chosen"),
        ("tree", "  ", "the tree's code is ''; give 1 to 200 printable characters"),
        ("tree", "x" * 201, "give 1 to 200 printable characters"),
        ("side", "", "the side of the tree is not chosen"),
        ("side", "top", "the side of the tree is not chosen"),
    ],
)
def test_a_form_that_is_wrong_is_said_so_and_leaves_nothing(home: Path, field: str, value: str, says: str) -> None:
    with browser(home) as client:
        answer = send_photos(client, ("a.jpg", draw_photo()), **{field: value})
        assert answer.status_code == 400
        assert says in text_of(answer.text)
    assert recorded_rows(home) == 0
    assert not list((home / "uploads").iterdir())


def test_without_a_photo_there_is_nothing_to_upload(home: Path) -> None:
    with browser(home) as client:
        answer = send_photos(client, ("", b""))
        assert answer.status_code == 400
        assert "no photo was chosen" in answer.text
        answer = client.post("/upload", data={"block": "B1"})
        assert answer.status_code == 400
        assert "this is no form with photos" in answer.text


def test_what_the_form_already_knows_is_filled_in(home: Path) -> None:
    with browser(home) as client:
        assert re.search(r'<option value="B1" selected>', client.get("/upload").text)  # the only block
        assert "selected" not in client.get("/upload").text.split('id="stage"')[1]
        wait_for_counts(client, send_photos(client, ("a.jpg", draw_photo()), stage="fruit_expansion"))
        assert '<option value="fruit_expansion" selected>' in client.get("/upload?block=B1").text  # as last time
        assert '<option value="ripening" selected>' in client.get("/upload?block=B1&stage=ripening").text


def test_the_day_is_the_photos_else_today(tmp_path: Path) -> None:
    today = datetime.now().astimezone().date()
    paths = []
    for number, taken_at in enumerate([None, datetime(1970, 1, 1), TAKEN_AT, TAKEN_AT - timedelta(days=1), TAKEN_AT]):  # noqa: DTZ001
        path = tmp_path / f"{number}.jpg"
        path.write_bytes(draw_photo(number, taken_at))
        paths.append(path)
    assert day_of_upload(paths[:2]) == today
    assert day_of_upload(paths[:4]) == date(2025, 9, 23)  # as often as the next day, and first
    assert day_of_upload(paths) == date(2025, 9, 24)
    assert day_of_upload([]) == today


def test_pages_answer_while_one_photo_at_a_time_is_counted(home: Path, counter: Counter) -> None:
    engine = engine_of(counter)
    engine.may_go_on.clear()
    with browser(home, counter) as client:
        pages = [send_photos(client, (f"{i}.jpg", draw_photo(i)), tree=f"T{i}") for i in range(3)]
        started = time.monotonic()
        shown = client.get(pages[0].url.path).text
        assert client.get("/").status_code == 200
        assert time.monotonic() - started < 10
        assert 'data-running="yes"' in shown
        assert "Counting: 0 of 1 done" in shown
        assert '<noscript><meta http-equiv="refresh"' in shown
        engine.may_go_on.set()
        for page in pages:
            wait_for_counts(client, page)
        assert trees(client) == {"T0": 7, "T1": 7, "T2": 7}
    assert engine.most_at_once == 1


def test_what_was_not_counted_before_the_power_went_is_counted_after(home: Path) -> None:
    arrived = arrived_upload(home)
    _, broken_off = UploadFolder(home / "uploads").begin()  # the power went while it still arrived
    with browser(home) as client:
        wait_for_counts(client, client.get(f"/uploads/{arrived.name}"))
        assert trees(client) == {"T1": 7}
        assert visits(client)[0]["photos"] == 2
    assert broken_off.exists()  # it may be arriving at another process; a day later it goes


def test_photos_wait_until_what_stops_the_counting_is_mended(home: Path, counter: Counter) -> None:
    engine = engine_of(counter)
    engine.fails_with = EngineError("out of memory; close other programs")
    with browser(home, counter) as client:
        page = send_photos(client, ("a.jpg", draw_photo()))
        shown = text_of(wait_for_counts(client, page))
        assert "Saved here but not counted yet: out of memory; close other programs" in shown
        assert "a.jpg waits" in shown
        assert visits(client) == []
        engine.fails_with = None
        assert client.post(f"{page.url.path}/retry").url.path == page.url.path
        wait_for_counts(client, page)
        assert trees(client) == {"R01-T01": 7}


def test_photos_that_wait_are_counted_when_the_pages_start_again(home: Path, counter: Counter) -> None:
    engine_of(counter).fails_with = EngineError("out of memory; close other programs")
    with browser(home, counter) as client:
        page = send_photos(client, ("a.jpg", draw_photo()))
        wait_for_counts(client, page)
    engine_of(counter).fails_with = None
    with browser(home, counter) as client:
        for _ in range(600):
            shown = text_of(client.get(page.url.path).text)
            if "Done: 1 photo" in shown:
                break
            time.sleep(0.05)
        assert "Done: 1 photo" in shown
        assert "not counted yet" not in shown


def test_a_retry_changes_nothing_that_was_counted_meanwhile(
    home: Path, counter: Counter, monkeypatch: pytest.MonkeyPatch
) -> None:
    engine = engine_of(counter)
    engine.may_go_on.clear()
    read = UploadFolder.read

    def read_slowly(uploads: UploadFolder, identifier: str) -> Upload:
        found = read(uploads, identifier)
        if threading.current_thread().name != "counting":
            engine.may_go_on.set()
            wait_until(lambda: read(uploads, identifier).is_finished)
        return found

    with browser(home, counter) as client:
        page = send_photos(client, ("a.jpg", draw_photo()))
        wait_until(lambda: engine.at_once)
        monkeypatch.setattr(UploadFolder, "read", read_slowly)
        client.post(f"{page.url.path}/retry", follow_redirects=False)
        monkeypatch.undo()
        wait_for_counts(client, page)
        assert [photo.state for photo in upload_of(home, page).photos] == ["counted"]


def test_a_retry_that_waits_for_its_turn_is_shown_as_under_way(home: Path, counter: Counter) -> None:
    engine = engine_of(counter)
    engine.fails_with = EngineError("out of memory; close other programs")
    with browser(home, counter) as client:
        page = send_photos(client, ("a.jpg", draw_photo(1)))
        wait_for_counts(client, page)
        engine.fails_with = None
        engine.may_go_on.clear()
        other = send_photos(client, ("b.jpg", draw_photo(2)), tree="T2")
        shown = client.post(f"{page.url.path}/retry").text
        assert 'data-running="yes"' in shown
        assert "not counted yet" not in shown
        engine.may_go_on.set()
        for each in (page, other):
            assert "Done: 1 photo" in text_of(wait_for_counts(client, each))


def test_a_photo_waits_for_a_library_that_the_device_lacks(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pillow_heif", None)
    name, content = "tree.heic", b"\0\0\0\x18ftypheic" + bytes(1000)
    with browser(home) as client:
        page = send_photos(client, (name, content), ("b.jpg", draw_photo(1)))
        shown = text_of(wait_for_counts(client, page))
        assert "Saved here but not counted yet" in shown
        assert "tree.heic is a HEIC photo; install" in shown
        assert f"{name} waits" in shown
        assert "b.jpg 7 fruit" in shown
        assert str(home) not in shown
        (kept,) = (home / "uploads").rglob(name)
        assert kept.read_bytes() == content


def test_a_heic_photo_is_counted_once_its_library_is_there(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pillow_heif.register_heif_opener()
    with browser(home) as client:
        with monkeypatch.context() as without:
            without.setitem(sys.modules, "pillow_heif", None)
            page = send_photos(client, ("IMG_1.HEIC", draw_photo(kind="HEIF")))
            assert "install pillow-heif" in wait_for_counts(client, page)
        client.post(f"{page.url.path}/retry")
        assert "IMG_1.HEIC 7 fruit" in text_of(wait_for_counts(client, page))


def test_a_photo_that_the_disk_does_not_give_waits(home: Path) -> None:
    upload = arrived_upload(home)
    unreadable = upload / "1" / "a.jpg"
    content = unreadable.read_bytes()
    unreadable.unlink()
    unreadable.mkdir()
    with browser(home) as client:
        page = client.get(f"/uploads/{upload.name}")
        shown = text_of(wait_for_counts(client, page))
        assert "a.jpg cannot be read: Is a directory; check the folder's permissions and the disk" in shown
        assert "a.jpg waits" in shown
        assert "b.jpg 7 fruit" in shown
        unreadable.rmdir()
        unreadable.write_bytes(content)
        client.post(f"{page.url.path}/retry")
        assert "Done: 2 photos" in text_of(wait_for_counts(client, page))
    assert not unreadable.exists()


def test_a_photo_that_is_gone_is_asked_for_again(home: Path) -> None:
    upload = arrived_upload(home)
    (upload / "1" / "a.jpg").unlink()
    with browser(home) as client:
        shown = text_of(wait_for_counts(client, client.get(f"/uploads/{upload.name}")))
        assert "Done: 2 photos" in shown
        assert "a.jpg is gone from this device; send it again" in shown


def test_a_damaged_store_is_said_so_with_the_photos_kept(home: Path) -> None:
    upload = arrived_upload(home)
    damage_table(home, "block")
    uploads = UploadFolder(home / "uploads")
    with browser(home) as client:
        wait_until(lambda: uploads.read(upload.name).problem)
        assert client.get(f"/uploads/{upload.name}").status_code == 503
        assert send_photos(client, ("c.jpg", draw_photo())).status_code == 503
    left = uploads.read(upload.name)
    assert "malformed; restore it from a backup" in (left.problem or "")
    assert [uploads.photo_path(left, photo).exists() for photo in left.photos] == [True, True]


def test_a_mistake_in_the_code_stops_one_upload_and_not_the_next(
    home: Path, counter: Counter, caplog: pytest.LogCaptureFixture
) -> None:
    engine = engine_of(counter)
    engine.fails_with = ZeroDivisionError("a mistake")
    with browser(home, counter) as client:
        first = send_photos(client, ("a.jpg", draw_photo(1)))
        assert "the device's log says more" in text_of(wait_for_counts(client, first))
        assert "ZeroDivisionError" in caplog.text
        engine.fails_with = None
        wait_for_counts(client, send_photos(client, ("b.jpg", draw_photo(2)), tree="T2"))
        assert trees(client) == {"T2": 7}


def test_a_bundle_that_cannot_be_opened_is_said_with_the_photos_kept(home: Path, counter: Counter) -> None:
    tries: list[Counter | Exception] = [BundleError("model.onnx was altered; install the bundle again"), counter]

    def make() -> Counter:
        made = tries.pop(0)
        if isinstance(made, Exception):
            raise made
        return made

    app = create_app(home, make, PageSettings())
    with TestClient(app, base_url=ORIGIN, headers={"Origin": ORIGIN}) as client:
        page = send_photos(client, ("a.jpg", draw_photo()))
        assert "install the bundle again" in wait_for_counts(client, page)
        client.post(f"{page.url.path}/retry")
        assert "Done: 1 photo" in text_of(wait_for_counts(client, page))


def test_a_full_disk_is_said_so(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with browser(home) as client:
        full_disk(monkeypatch)
        answer = send_photos(client, ("a.jpg", draw_photo()))
    assert answer.status_code == 507
    assert "No space left on device; free some space" in answer.text
    assert not list((home / "uploads").iterdir())


def test_uploads_that_have_no_folder_are_said_so(home: Path) -> None:
    (home / "uploads").write_text("in the way")
    app = create_app(home, lambda: Counter(the_bundle(), SeeingEngine(1)), PageSettings())
    client = TestClient(app, base_url=ORIGIN, headers={"Origin": ORIGIN})  # not started: nothing there to take up
    answer = send_photos(client, ("a.jpg", draw_photo()))
    assert answer.status_code == 507
    assert "cannot be made: Not a directory; check the folder's permissions" in unescape(answer.text)
    client.close()


def refuse_for_space(_descriptor: int) -> None:
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def test_an_upload_that_cannot_be_written_down_says_why(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    uploads = UploadFolder(home / "uploads")
    identifier, folder = uploads.begin()
    upload = Upload(id=identifier, block="B1", day=TAKEN_AT.date(), stage="ripening", tree="T1", side="a", photos=[])
    with monkeypatch.context() as full:
        full.setattr(os, "fsync", refuse_for_space)
        with pytest.raises(StoreError, match="No space left on device; free some space"):
            uploads.save(upload)
    assert not (folder / "upload.json").exists()
    (folder / "upload.json").mkdir()
    with pytest.raises(StoreError, match="Is a directory; check the folder's permissions and the disk"):
        uploads.save(upload)


def test_finished_uploads_are_dropped_after_two_weeks(home: Path) -> None:
    with browser(home) as client:
        page = send_photos(client, ("a.jpg", draw_photo()))
        wait_for_counts(client, page)
    uploads = UploadFolder(home / "uploads")
    uploads.tidy()
    (kept,) = (home / "uploads").iterdir()
    assert f"/uploads/{kept.name}" == page.url.path
    long_ago = time.time() - 15 * 24 * 3600
    _, broken_off = uploads.begin()
    for folder in (kept, broken_off):
        os.utime(folder, (long_ago, long_ago))
    uploads.tidy()
    assert list((home / "uploads").iterdir()) == []
    with browser(home) as client:
        answer = client.get(page.url.path)
        assert answer.status_code == 404
        assert "are in the visit" in text_of(answer.text)
        assert client.post(f"/uploads/{new_id()}/retry").status_code == 404


def test_stopping_waits_for_the_photo_under_way_and_leaves_the_rest(home: Path, counter: Counter) -> None:
    engine = engine_of(counter)
    engine.may_go_on.clear()
    app = create_app(home, lambda: counter, PageSettings())
    with TestClient(app, base_url=ORIGIN, headers={"Origin": ORIGIN}) as client:
        page = send_photos(client, ("a.jpg", draw_photo(1)), ("b.jpg", draw_photo(2)))
        wait_until(lambda: engine.at_once)
        stopping = threading.Thread(target=app.state.context.worker.stop)
        stopping.start()
        stopping.join(0.3)
        assert stopping.is_alive()
        engine.may_go_on.set()
        stopping.join()
        assert [photo.state for photo in upload_of(home, page).photos] == ["counted", "waiting"]
    with browser(home, counter) as client:
        shown = text_of(wait_for_counts(client, page))
        assert shown.count("7 fruit") == 2
        assert visits(client)[0]["photos"] == 2
