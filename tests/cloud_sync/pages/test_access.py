"""Who may see pages, and how often a pass phrase may be tried."""

from __future__ import annotations

import base64

import pytest
from fastapi import Request

from cloud_sync.pages.access import Attempts, PassPhrase
from cloud_sync.pages.basic import refuse_stranger
from cloud_sync.pages.errors import PagesError


class Clock:
    """Seconds that pass when told to."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


def test_after_five_attempts_a_client_waits_and_others_do_not() -> None:
    clock = Clock()
    attempts = Attempts(clock)
    for _ in range(5):
        assert attempts.begin("phone") == 0
        clock.now += 10
    assert attempts.begin("phone") == Attempts.WINDOW_S - 50
    assert attempts.begin("desktop") == 0
    clock.now += Attempts.WINDOW_S - 50
    assert attempts.begin("phone") == 0


def test_signing_in_clears_a_clients_attempts() -> None:
    attempts = Attempts(Clock())
    for _ in range(4):
        attempts.begin("phone")
    attempts.forgive("phone")
    assert [attempts.begin("phone") for _ in range(5)] == [0] * 5


def test_many_clients_together_wait_too() -> None:
    attempts = Attempts(Clock())
    for number in range(Attempts.MOST_IN_ALL):
        assert attempts.begin(f"client {number}") == 0
    assert attempts.begin("one more") > 0


def asked_with(authorization: str | None) -> Request:
    headers = [] if authorization is None else [(b"authorization", authorization.encode())]
    return Request({"type": "http", "headers": headers, "client": ("192.0.2.7", 1)})


def basic(text: str) -> str:
    return "Basic " + base64.b64encode(text.encode()).decode()


def test_a_program_that_gives_the_pass_phrase_may_go_on() -> None:
    attempts = Attempts()
    for user in ("prometheus", "", "a") * 10:
        assert (
            refuse_stranger(asked_with(basic(f"{user}:röd: delicious")), PassPhrase("röd: delicious"), attempts) is None
        )


@pytest.mark.parametrize(
    "authorization",
    [
        None,
        "",
        "Bearer red delicious",
        "Basic",
        "Basic !",
        basic("red delicious"),
        "Basic " + base64.b64encode(b":\xff").decode(),
    ],
)
def test_one_that_gives_none_is_asked_for_it(authorization: str | None) -> None:
    answer = refuse_stranger(asked_with(authorization), PassPhrase("red delicious"), Attempts())
    assert answer is not None
    assert answer.status_code == 401
    assert answer.headers["www-authenticate"].startswith('Basic realm="Pomona"')


def test_guessing_is_slowed_down() -> None:
    attempts, secret = Attempts(), PassPhrase("red delicious")
    tried = [refuse_stranger(asked_with(basic(":golden delicious")), secret, attempts) for _ in range(5)]
    assert [answer and answer.status_code for answer in tried] == [401] * 5
    late = refuse_stranger(asked_with(basic(":red delicious")), secret, attempts)
    assert late is not None
    assert (late.status_code, late.headers["retry-after"]) == (429, "300")


def test_a_short_pass_phrase_is_refused_and_not_shown() -> None:
    with pytest.raises(PagesError, match="has 7 characters; choose one of 8") as refused:
        PassPhrase("1234567")
    assert "1234567" not in str(refused.value)
