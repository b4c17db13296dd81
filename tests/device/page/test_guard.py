"""What a request must pass, and the headers of every answer."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from fastapi.testclient import TestClient

from cloud_sync.pages.access import Attempts
from device.page.settings import PageSettings
from tests.device.page.conftest import VisitedDevice
from tests.device.page.helpers import browser, draw_photo, send_photos


@pytest.fixture
def locked(visited: VisitedDevice) -> Iterator[TestClient]:
    """Pages that are open to the network, with a pass phrase."""
    with browser(visited.folder, settings=PageSettings("0.0.0.0", pass_phrase="red delicious")) as client:
        yield client


def sign_in(client: TestClient, pass_phrase: str = "red delicious", **fields: str) -> int:
    answer = client.post("/login", data={"pass_phrase": pass_phrase, **fields}, follow_redirects=False)
    return int(answer.status_code)


@pytest.mark.parametrize("path", ["/", "/static/page.css", "/api/summary", "/nowhere", "/blocks/unknown"])
def test_every_answer_carries_the_security_headers(reader: TestClient, path: str) -> None:
    headers = reader.get(path).headers
    assert "default-src 'self'" in headers["content-security-policy"]
    assert "unsafe" not in headers["content-security-policy"]
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["x-frame-options"] == "DENY"
    # 'no-referrer' would make browsers send the origin 'null' with our own forms
    assert headers["referrer-policy"] == "same-origin"


@pytest.mark.parametrize("host", ["localhost", "localhost:9000", "127.0.0.1:8420", "[::1]:8420", "LocalHost"])
def test_on_loopback_this_machines_names_are_answered(reader: TestClient, host: str) -> None:
    assert reader.get("/", headers={"Host": host}).status_code == 200


@pytest.mark.parametrize(
    "host", ["evil.example", "evil.example:8420", "localhost.evil.example", "10.0.0.1", "", "[::1"]
)
def test_on_loopback_other_names_are_refused(reader: TestClient, host: str) -> None:
    assert reader.get("/", headers={"Host": host}).status_code == 421
    assert reader.get("/api/summary", headers={"Host": host}).json()["error"]


def test_a_proxys_name_can_be_allowed(visited: VisitedDevice) -> None:
    with browser(visited.folder, settings=PageSettings(names=("farm.example",))) as client:
        assert client.get("/", headers={"Host": "Farm.example"}).status_code == 200
        assert client.get("/", headers={"Host": "other.example"}).status_code == 421


@pytest.mark.parametrize("origin", ["http://evil.example", "null", "", "http://localhost:1", "http://localhost.evil"])
@pytest.mark.parametrize("path", ["/register", "/upload", "/login", "/logout", "/nowhere"])
def test_a_change_from_another_site_is_refused(reader: TestClient, path: str, origin: str) -> None:
    answer = reader.post(path, data={"name": "B9"}, headers={"Origin": origin})
    assert answer.status_code == 403
    assert "nothing was changed" in answer.text


def test_a_foreign_upload_records_nothing(page: TestClient) -> None:
    before = page.get("/api/summary").json()
    page.headers["Origin"] = "http://evil.example"
    assert send_photos(page, ("a.jpg", draw_photo(9))).status_code == 403
    assert page.get("/api/summary").json() == before


def test_a_change_without_an_origin_is_refused(page: TestClient) -> None:
    del page.headers["Origin"]
    assert page.post("/register", data={"name": "B9"}).status_code == 403


def test_a_huge_form_is_refused(page: TestClient) -> None:
    assert page.post("/register", data={"name": "x" * 70_000}).status_code == 413
    assert page.post("/register", content=iter([b"name=x"])).status_code == 413  # of unknown length


@pytest.mark.parametrize("path", ["/", "/blocks/B1", "/upload", "/register", "/photos/" + 64 * "a"])
def test_whoever_has_not_signed_in_sees_the_login_only(locked: TestClient, path: str) -> None:
    answer = locked.get(path, follow_redirects=False)
    assert answer.status_code == 303
    assert answer.headers["location"].startswith("/login?next=%2F")
    assert "North farm" not in locked.get(path).text


def test_data_is_refused_before_signing_in(locked: TestClient) -> None:
    assert locked.get("/api/summary").status_code == 401
    assert locked.get("/api/summary").json()["error"]
    assert send_photos(locked, ("a.jpg", draw_photo())).status_code == 401
    assert locked.get("/static/page.css").status_code == 200


def test_signing_in_and_out(locked: TestClient) -> None:
    answer = locked.post("/login", data={"pass_phrase": "red delicious", "next": "/blocks/B1"}, follow_redirects=False)
    assert (answer.status_code, answer.headers["location"]) == (303, "/blocks/B1")
    cookie = answer.headers["set-cookie"].lower()
    assert "httponly" in cookie
    assert "samesite=strict" in cookie
    assert "max-age=" in cookie
    assert "North farm" in locked.get("/").text
    assert locked.get("/api/summary").status_code == 200
    token = locked.cookies["pomona-session"]
    assert locked.post("/logout").url.path == "/login"
    locked.cookies["pomona-session"] = token
    assert locked.get("/", follow_redirects=False).status_code == 303


def test_over_https_the_cookie_stays_there(visited: VisitedDevice) -> None:
    settings = PageSettings("0.0.0.0", pass_phrase="red delicious")
    with browser(visited.folder, settings=settings) as client:
        client.base_url = "https://localhost"
        answer = client.post(
            "/login",
            data={"pass_phrase": "red delicious"},
            headers={"Origin": "https://localhost"},
            follow_redirects=False,
        )
        assert "secure" in answer.headers["set-cookie"].lower()


@pytest.mark.parametrize("target", ["//evil.example", "/\\evil.example", "https://evil.example", "", "/\nx"])
def test_the_login_leads_to_these_pages_only(locked: TestClient, target: str) -> None:
    answer = locked.post("/login", data={"pass_phrase": "red delicious", "next": target}, follow_redirects=False)
    assert answer.headers["location"] == "/"


def test_guessing_is_slowed_down(locked: TestClient) -> None:
    assert [sign_in(locked, "red apple") for _ in range(Attempts.MOST_BY_CLIENT)] == [401] * Attempts.MOST_BY_CLIENT
    assert sign_in(locked) == 429  # even the right one has to wait now
    answer = locked.post("/login", data={"pass_phrase": "red delicious"})
    assert int(answer.headers["retry-after"]) > 0
    assert "Wait 5 minutes" in answer.text


def test_without_a_pass_phrase_there_is_no_login(page: TestClient) -> None:
    assert page.get("/login").url.path == "/"
    assert page.post("/login", data={"pass_phrase": "x"}).url.path == "/"
    assert page.post("/logout").url.path == "/"
    assert "Sign out" not in page.get("/").text


def test_a_restart_signs_everybody_out(visited: VisitedDevice) -> None:
    settings = PageSettings("0.0.0.0", pass_phrase="red delicious")
    with browser(visited.folder, settings=settings) as first:
        assert sign_in(first) == 303
        token = first.cookies["pomona-session"]
    with browser(visited.folder, settings=settings) as second:
        second.cookies["pomona-session"] = token
        assert second.get("/", follow_redirects=False).status_code == 303
