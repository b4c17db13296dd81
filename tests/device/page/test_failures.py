"""Errors that nobody thought of."""

from __future__ import annotations

import pytest
from fastapi.testclient import TestClient

from device.page import records
from device.page.application import create_app
from device.page.settings import PageSettings
from tests.device.page.conftest import VisitedDevice
from tests.device.page.helpers import ORIGIN, seeing_counter


def test_a_mistake_in_the_code_is_a_page_without_a_traceback(
    visited: VisitedDevice, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(_store: object) -> None:
        raise ZeroDivisionError("a mistake")

    monkeypatch.setattr(records, "summarise", fail)
    app = create_app(visited.folder, seeing_counter, PageSettings())
    client = TestClient(app, base_url=ORIGIN, raise_server_exceptions=False)
    answer = client.get("/")
    assert answer.status_code == 500
    assert "the device&#39;s log says more" in answer.text
    assert "ZeroDivisionError" not in answer.text
    assert "default-src" in answer.headers["content-security-policy"]
    client.close()


def test_a_wrong_request_is_explained(visited: VisitedDevice) -> None:
    client = TestClient(create_app(visited.folder, seeing_counter, PageSettings()), base_url=ORIGIN)
    answer = client.post("/", headers={"Origin": ORIGIN}, data={"x": "y"})
    assert (answer.status_code, answer.headers["allow"]) == (405, "GET")
    assert "Back to the summary" in answer.text
    assert client.get("/static/nothing.css").status_code == 404
    client.close()
