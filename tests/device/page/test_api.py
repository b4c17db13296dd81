"""The JSON beside the pages."""

from __future__ import annotations

import json

from fastapi.testclient import TestClient

from device.orchard_summary import summarise_orchards
from device.queries import get_visit, list_trees, summaries_as_dict, summarise
from device.store import Store
from tests.device.page.conftest import VisitedDevice
from tests.device.page.helpers import add_example_block


def test_summary_is_what_the_command_line_prints(page: TestClient, visited: VisitedDevice) -> None:
    add_example_block(visited.folder, "B2")
    store = Store(visited.folder)
    expected = summaries_as_dict(summarise(store), summarise_orchards(store))
    store.close()
    answer = page.get("/api/summary").json()
    assert answer == json.loads(json.dumps(expected))
    assert [item["block"]["name"] for item in answer["blocks"]] == ["B1", "B2"]
    assert answer["blocks"][0]["latest_visit"]["fruit"] == 14
    (orchard,) = answer["orchards"]
    assert (orchard["orchard"], orchard["visited"], orchard["blocks"]) == ("North farm", 1, 2)


def test_visits_and_trees(page: TestClient, visited: VisitedDevice) -> None:
    (visit,) = page.get("/api/blocks/B1/visits").json()
    store = Store(visited.folder)
    known = get_visit(store, visited.visit)
    trees = list_trees(store, known)
    store.close()
    assert visit["id"] == visited.visit
    assert visit["day"] == "2025-09-24"
    assert visit["estimate"]["unit"] == "kg/mu"
    assert known.estimate is not None
    assert visit["estimate"]["correction_factor"] == known.estimate.correction_factor
    answer = page.get(f"/api/visits/{visited.visit}/trees").json()
    assert [(tree["tree"], tree["machine"], tree["reviewed"], tree["fruit"]) for tree in answer] == [
        ("R01-T01", 7, None, 7),
        ("R02-T05", 7, None, 7),
    ]
    assert [tuple(tree["photos"]) for tree in answer] == [tree.photos for tree in trees]


def test_a_photo_with_its_boxes(page: TestClient, visited: VisitedDevice) -> None:
    answer = page.get(f"/api/photos/{visited.photos[0]}").json()
    assert answer["sha256"] == visited.photos[0]
    assert (answer["tree"], answer["side"], answer["width_px"], answer["height_px"]) == ("R01-T01", "a", 640, 480)
    assert answer["taken_at"] == "2025-09-24T10:30:00"
    assert answer["counts"]["apple"] == len(answer["detections"]) == 7
    assert answer["detections"][0]["label"] == "apple"
    assert answer["detections"][0]["box"] == [20, 20, 40, 40]
    assert "path" not in answer
    assert str(visited.folder) not in str(answer)


def test_unknown_names_are_404_in_json(page: TestClient) -> None:
    for path in ("blocks/B9/visits", "visits/nothing/trees", f"photos/{64 * 'b'}", "nothing"):
        answer = page.get(f"/api/{path}")
        assert answer.status_code == 404
        assert answer.json()["error"]
