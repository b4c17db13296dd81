"""The read API: what it answers, that its OpenAPI document says so, and what it says of wrong questions."""

from __future__ import annotations

import base64
import json
from typing import Any

import jsonschema
import pytest
from fastapi.testclient import TestClient

from cloud_sync.server.database import Database
from cloud_sync.server.holdings import read_holdings
from tests.cloud_sync.helpers import EXAMPLES


def get(reader: TestClient, path: str, **query: object) -> Any:
    answer = reader.get(path, params={name: str(value) for name, value in query.items()})
    assert answer.status_code == 200, answer.text
    return answer.json()


@pytest.fixture(scope="module")
def document(reader: TestClient) -> dict[str, Any]:
    found: dict[str, Any] = get(reader, "/api/openapi.json")
    return found


NOBODY = "00000000-0000-0000-0000-000000000000"
PATHS = {
    "/api/devices": ["/api/devices", "/api/devices?show=bad&sort=disk&search=pi"],
    "/api/devices/{name}": ["/api/devices/pi-gate"],
    "/api/devices/{name}/health": ["/api/devices/pi-gate/health?days=7", "/api/devices/nobody/health"],
    "/api/blocks": ["/api/blocks"],
    "/api/records": ["/api/records?limit=1000", "/api/records?type=tree&limit=3"],
    "/api/records/{device}/{record}": [],
    "/api/dead-letters": ["/api/dead-letters?limit=2"],
    "/api/dead-letters/{number}": ["/api/dead-letters/1"],
}


def check(document: dict[str, Any], path: str, value: object) -> None:
    schema = document["paths"][path]["get"]["responses"]["200"]["content"]["application/json"]["schema"]
    jsonschema.Draft202012Validator({**document, **schema}).validate(value)


def test_the_document_describes_every_address_and_all_of_its_answers(
    reader: TestClient, document: dict[str, Any]
) -> None:
    assert set(document["paths"]) == set(PATHS)
    for path, examples in PATHS.items():
        (method,) = document["paths"][path]
        assert method == "get", "this API only reads"
        for example in examples:
            check(document, path, get(reader, example))
    for name, schema in document["components"]["schemas"].items():
        for field, told in schema.get("properties", {}).items():
            assert "description" in told, f"{name}.{field} says nothing of itself"


def test_devices_come_with_their_troubles_and_remedies(reader: TestClient) -> None:
    devices = get(reader, "/api/devices")
    assert [device["name"] for device in devices] == ["laptop-lab", "pi-gate", "pi-south", "jetson-north", "kiwi-07"]
    gate = devices[1]
    assert (gate["status"], gate["level"], gate["dead_letters"]) == ("online", "bad", 0)
    assert [trouble["about"] for trouble in gate["troubles"]] == ["disk", "power", "heat"]
    assert all(trouble["remedy"] for trouble in gate["troubles"])
    assert gate["health"]["disk_free_bytes"] == 420_000_000
    assert get(reader, "/api/devices/pi-gate") == gate
    assert [device["name"] for device in get(reader, "/api/devices", search="pi", sort="name")] == [
        "pi-gate",
        "pi-south",
    ]


def test_the_history_of_a_device(reader: TestClient) -> None:
    day = get(reader, "/api/devices/pi-gate/health")
    assert 90 < len(day) <= 97
    assert [sample["received_at"] for sample in day] == sorted(sample["received_at"] for sample in day)
    assert day[-1]["temperature_c"] == 86.5


def test_blocks_are_the_holdings(reader: TestClient, five: Database) -> None:
    blocks = get(reader, "/api/blocks")
    with five.read() as session:
        assert blocks == [vars(block) for block in read_holdings(session).blocks]
    assert [(block["block"], block["counts"]["apple"]) for block in blocks] == [("A", 1266), ("B", 303)]
    assert blocks[0]["estimate"]["corrected_kg_per_ha"] == 28_830.0


def test_records_by_type_page_by_page_and_one_of_them(reader: TestClient, document: dict[str, Any]) -> None:
    found: list[dict[str, Any]] = []
    after: dict[str, object] = {}
    while True:
        page = get(reader, "/api/records", type="tree", limit=4, **after)
        found += page["records"]
        if page["next"] is None:
            break
        after = {"after": page["next"]}
    assert (len(found), len({record["record"] for record in found})) == (15, 15)
    one = get(reader, f"/api/records/kiwi-07/{found[3]['record']}")
    assert one == found[3]
    check(document, "/api/records/{device}/{record}", one)
    assert one["body"] == {**EXAMPLES["tree"], "block": one["body"]["block"], "tree": one["body"]["tree"]}
    assert get(reader, "/api/records", type="tree", block="B")["next"] is None


def test_dead_letters_say_what_to_do_and_one_holds_what_was_sent(reader: TestClient) -> None:
    page = get(reader, "/api/dead-letters", device="pi-south", limit=2)
    assert len(page["dead_letters"]) == 2
    last = get(reader, "/api/dead-letters", device="pi-south", limit=2, after=page["next"])
    assert last["next"] is None
    (oldest,) = last["dead_letters"]
    assert oldest["reason"] == "tree version 7 is newer than 1, which is known here"
    assert oldest["advice"].startswith("The device is newer than this server.")
    whole = get(reader, f"/api/dead-letters/{oldest['id']}")
    sent = base64.b64decode(whole["payload"])
    assert json.loads(sent)["version"] == 7
    assert whole["size_bytes"] == len(sent)
    assert {name: whole[name] for name in oldest} == oldest


@pytest.mark.parametrize(
    ("path", "status", "said"),
    [
        ("/api/devices/nobody", 404, "no device 'nobody' was ever heard of"),
        ("/api/devices/%00", 404, "no device"),
        ("/api/devices/a%2Fb", 404, "no such page"),
        (f"/api/records/kiwi-07/{NOBODY}", 404, f"no record '{NOBODY}' of 'kiwi-07' is held"),
        ("/api/records/kiwi-07/%00", 422, "check record"),
        ("/api/devices/%00/health", 422, "check name"),
        ("/api/dead-letters/999999", 404, "there is no dead letter 999999"),
        ("/api/dead-letters/99999999999999999999999", 404, "there is no dead letter"),
        ("/api/dead-letters/x", 422, "check number"),
        ("/api/records?limit=0", 422, "check limit"),
        ("/api/records?limit=1001", 422, "check limit"),
        ("/api/records?after=kiwi-07", 422, "take `next` of the page before"),
        ("/api/records?block=%00", 422, "check block"),
        ("/api/records?type=%00", 422, "check type"),
        ("/api/records?device=A", 422, "check device"),
        ("/api/devices?show=most", 422, "check show"),
        ("/api/devices/pi-gate/health?days=31", 422, "check days"),
        ("/api/dead-letters?after=99999999999999999999999", 422, "check after"),
        ("/api/nothing", 404, "no such page"),
    ],
)
def test_a_wrong_question_is_answered_with_what_is_wrong(reader: TestClient, path: str, status: int, said: str) -> None:
    answer = reader.get(path)
    assert (answer.status_code, list(answer.json())) == (status, ["error"])
    assert said.lower() in answer.json()["error"].lower()
