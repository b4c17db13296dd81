"""Who may see the fleet's pages, and the headers of every answer."""

from __future__ import annotations

from pathlib import Path

import pytest
from fastapi.testclient import TestClient

from cloud_sync.pages.errors import PagesError
from cloud_sync.server.database import Database
from cloud_sync.server.fleet.settings import FleetSettings
from tests.cloud_sync.pages.test_access import basic
from tests.cloud_sync.server.fleet.conftest import browser


@pytest.mark.parametrize("path", ["/", "/static/page.css", "/api/devices", "/metrics", "/nowhere", "/devices/nobody"])
def test_every_answer_carries_the_security_headers(reader: TestClient, path: str) -> None:
    headers = reader.get(path).headers
    assert "default-src 'self'" in headers["content-security-policy"]
    assert "unsafe" not in headers["content-security-policy"]
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["x-frame-options"] == "DENY"
    assert headers["cross-origin-resource-policy"] == "same-origin"


@pytest.mark.parametrize("host", ["evil.example", "localhost.evil.example", "10.0.0.1", "", "[::1"])
def test_on_loopback_other_names_are_refused(reader: TestClient, host: str) -> None:
    assert reader.get("/", headers={"Host": host}).status_code == 421
    assert reader.get("/api/devices", headers={"Host": host}).json()["error"]
    assert reader.get("/metrics", headers={"Host": host}).status_code == 421


def test_a_proxy_s_name_can_be_allowed(five: Database, tmp_path: Path) -> None:
    with browser(five, tmp_path, FleetSettings(names=("farm.example",))) as client:
        assert client.get("/", headers={"Host": "Farm.example"}).status_code == 200
        assert client.get("/", headers={"Host": "other.example"}).status_code == 421


@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH", "DELETE", "OPTIONS"])
@pytest.mark.parametrize("path", ["/", "/api/records", "/nowhere"])
def test_nothing_can_be_changed(reader: TestClient, method: str, path: str) -> None:
    answer = reader.request(method, path)
    assert (answer.status_code, "only read" in answer.text) == (405, True)


def test_behind_a_pass_phrase_nothing_is_shown_to_strangers(five: Database, tmp_path: Path) -> None:
    settings = FleetSettings("0.0.0.0", pass_phrase="red delicious")
    with browser(five, tmp_path, settings) as client:
        for path in ("/", "/api/devices", "/metrics", "/static/page.css", "/api/openapi.json"):
            answer = client.get(path)
            assert (answer.status_code, "pi-gate" in answer.text) == (401, False)
            assert answer.headers["www-authenticate"].startswith("Basic ")
        right = {"Authorization": basic("manager:red delicious")}
        assert "pi-gate" in client.get("/", headers=right).text
        wrong = {"Authorization": basic("manager:golden delicious")}
        assert [client.get("/", headers=wrong).status_code for _ in range(6)] == [401] * 5 + [429]


def test_open_to_the_network_without_a_pass_phrase_is_refused(five: Database, tmp_path: Path) -> None:
    with pytest.raises(PagesError, match="POMONA_FLEET_PASSPHRASE") as refused:
        FleetSettings("0.0.0.0")
    assert refused.value.exit_code == 2
    with pytest.raises(PagesError, match="choose one of 8 or more"):
        browser(five, tmp_path, FleetSettings(pass_phrase="short"))
    assert "delicious" not in repr(FleetSettings(pass_phrase="red delicious"))
