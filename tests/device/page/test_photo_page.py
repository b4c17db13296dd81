"""Correcting a photo's boxes and a tree's count through the pages, with and without a script."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest
from fastapi.testclient import TestClient
from httpx2 import Response

from device.store import Store
from tests.device.page.conftest import VisitedDevice
from tests.device.page.helpers import text_of
from tests.device.visiting import queued, table

FIRST, SECOND = [20, 20, 40, 40], [60, 20, 80, 40]
EMPTY = [300, 300, 330, 330]


def shown(page: TestClient, sha256: str, **query: str) -> str:
    return page.get(f"/photos/{sha256}/boxes", params=query).text


def save(page: TestClient, sha256: str, **changes: Any) -> Response:
    """What the script sends, from a page that was just opened."""
    text = shown(page, sha256)
    hidden = dict(re.findall(r'<input type="hidden" name="(model|revision)" value="([^"]*)">', text))
    lists = {name: json.dumps(changes.pop(name, [])) for name in ("removed", "added")}
    return page.post(f"/photos/{sha256}/boxes", data={**hidden, **lists, **changes})


def set_count(page: TestClient, sha256: str, **fields: str) -> Response:
    return page.post(f"/photos/{sha256}/tree", data=fields)


def test_boxes_are_corrected_and_the_page_says_what_came_of_it(page: TestClient, visited: VisitedDevice) -> None:
    photo = visited.photos[2]
    answer = save(page, photo, removed=[FIRST, SECOND], added=[EMPTY], reviewer="Li Wei")
    assert (answer.status_code, answer.history[0].status_code) == (200, 303)
    text = text_of(answer.text)
    assert "Saved. Side a of tree R02-T05 shows 6 fruit; the tree counts 6 (model 7)" in text
    assert "The visit comes to 13 fruit now, 1 of 2 trees reviewed; the estimate was made from 14 fruit" in text
    assert "6 fruit reviewed by Li Wei: 2 removed, 1 added; model 7" in text
    kinds = [len(re.findall(f"is-{kind}", answer.text)) for kind in ("kept", "removed", "added")]
    assert kinds == [5, 2, 1]
    assert "6 reviewed; model 7" in text_of(page.get(f"/visits/{visited.visit}").text)
    assert "trees reviewed 1 of 2" in text_of(page.get("/").text)


def test_the_answer_of_the_api_has_the_review(page: TestClient, visited: VisitedDevice) -> None:
    assert page.get(f"/api/photos/{visited.photos[2]}").json()["review"] is None
    save(page, visited.photos[2], removed=[FIRST], added=[EMPTY], reviewer="Li")
    told = page.get(f"/api/photos/{visited.photos[2]}").json()
    assert (told["counts"]["apple"], len(told["detections"])) == (7, 7)
    assert told["review"].pop("reviewed_at")
    assert told["review"] == {"reviewer": "Li", "revision": 1, "removed": [FIRST], "added": [EMPTY]}
    (_, tree) = page.get(f"/api/visits/{visited.visit}/trees").json()
    assert (tree["reviewed"], tree["photos_reviewed"], tree["count_set"]) == (7, [visited.photos[2]], False)


def test_the_next_photo_comes_ready_to_be_reviewed(page: TestClient, visited: VisitedDevice) -> None:
    first, second = sorted(visited.photos[:2])
    answer = save(page, first, then="next")
    assert answer.url.path == f"/photos/{second}/boxes"
    assert answer.url.params["review"] == "1"
    assert "Saved. Side" in text_of(answer.text)
    assert save(page, visited.photos[2], then="next").url.path == f"/photos/{visited.photos[2]}/boxes"


def test_a_name_is_remembered_for_the_next_photo(page: TestClient, visited: VisitedDevice) -> None:
    answer = save(page, visited.photos[0], reviewer="Lǐ “Wei”")
    cookie = answer.history[0].headers["set-cookie"]
    assert "HttpOnly" in cookie
    assert "SameSite=strict" in cookie
    assert 'value="Lǐ “Wei”"' in shown(page, visited.photos[2])


def test_a_second_person_is_told_and_changes_nothing(page: TestClient, visited: VisitedDevice) -> None:
    photo = visited.photos[2]
    save(page, photo, added=[EMPTY], reviewer="Li")
    answer = save(page, photo, removed=[FIRST], revision="0")
    assert answer.status_code == 409
    assert "Li has saved a review of this photo since you opened it" in text_of(answer.text)
    assert "7 fruit reviewed" not in text_of(shown(page, photo))
    assert save(page, photo, removed=[FIRST], added=[EMPTY]).status_code == 200
    assert "7 fruit reviewed" in text_of(shown(page, photo))


@pytest.mark.parametrize(
    ("fields", "status"),
    [
        ({"removed": "x"}, 422),
        ({"removed": "[[1, 2, 3]]"}, 422),
        ({"added": '[["1", 2, 3, 4]]'}, 422),
        ({"added": "[[1.5, 2, 3, 4]]"}, 422),
        ({"revision": "-1"}, 422),
        ({"revision": 5000 * "9"}, 422),
        ({"removed": "[[1, 2, 3, 4]]"}, 400),
        ({"added": "[[0, 0, 700, 20]]"}, 400),
        ({"reviewer": "a\x00b"}, 400),
    ],
)
def test_what_no_script_of_ours_sends_is_refused(
    page: TestClient, visited: VisitedDevice, fields: dict[str, str], status: int
) -> None:
    store = Store(visited.folder)
    before = queued(store)
    plain = {"removed": "[]", "added": "[]", "model": table(store, "detections")[0]["model"], "revision": "0"}
    assert page.post(f"/photos/{visited.photos[2]}/boxes", data={**plain, **fields}).status_code == status
    assert queued(store) == before
    store.close()


def test_reviews_of_photos_that_are_not_there_are_404(page: TestClient) -> None:
    for path in ("boxes", "tree"):
        fields = {"removed": "[]", "added": "[]", "revision": "0", "count": "3", "seen": "3"}
        assert page.post(f"/photos/{64 * 'a'}/{path}", data=fields).status_code == 404


@pytest.mark.parametrize("path", ["boxes", "tree", "take-back"])
def test_reviews_come_from_these_pages_only(page: TestClient, visited: VisitedDevice, path: str) -> None:
    answer = page.post(f"/photos/{visited.photos[2]}/{path}", headers={"Origin": "http://elsewhere"})
    assert answer.status_code == 403


def test_a_review_is_taken_back(page: TestClient, visited: VisitedDevice) -> None:
    photo = visited.photos[2]
    assert "Take this review back" not in shown(page, photo)
    save(page, photo, added=[EMPTY])
    assert "Take this review back" in shown(page, photo)
    answer = page.post(f"/photos/{photo}/take-back")
    assert "7 fruit counted" in text_of(answer.text)
    assert page.post(f"/photos/{photo}/take-back").status_code == 400


def test_the_count_of_a_tree_is_set_without_a_script_and_taken_back(page: TestClient, visited: VisitedDevice) -> None:
    photo = visited.photos[2]
    answer = set_count(page, photo, count=" 12 ", seen="7", reviewer="Li")
    text = text_of(answer.text)
    assert "the tree counts 12 (model 7)" in text
    assert "A person set it; it stands whatever the photos show" in text
    answer = page.post(f"/photos/{photo}/tree", data={"take-back": "yes"})
    assert "7 by the model" in text_of(answer.text)
    assert set_count(page, photo, count="0", seen="7").status_code == 200


@pytest.mark.parametrize("count", ["", "many", "-3", "2.5", "nan", "1e30", "99999999999999999999"])
def test_a_count_that_is_none_keeps_what_was_typed(page: TestClient, visited: VisitedDevice, count: str) -> None:
    answer = set_count(page, visited.photos[2], count=count, seen="7")
    assert answer.status_code == 400
    assert f'value="{count}"' in answer.text
    assert "The tree's count is" in text_of(answer.text)


def test_two_people_who_set_the_count_of_a_tree_at_once(page: TestClient, visited: VisitedDevice) -> None:
    set_count(page, visited.photos[2], count="12", seen="7")
    answer = set_count(page, visited.photos[2], count="9", seen="7")
    assert answer.status_code == 409
    text = text_of(answer.text)
    assert "Tree R02-T05 counted 7 when you opened it and counts 12 now" in text
    assert "9 was not saved: save it again if it is right" in text
    assert 'value="9"' in answer.text
    seen = re.search(r'name="seen" value="(\d+)"', answer.text)
    assert seen is not None
    assert "the tree counts 9" in text_of(set_count(page, visited.photos[2], count="9", seen=seen[1]).text)
