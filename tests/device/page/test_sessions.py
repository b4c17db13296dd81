"""Signing in."""

from __future__ import annotations

from device.page.sessions import LIFETIME_S, Sessions


class Clock:
    """Seconds that pass when told to."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


def test_a_session_lasts_until_it_expires() -> None:
    clock = Clock()
    sessions = Sessions("red delicious", clock)
    token = sessions.sign_in(" red delicious ")
    assert token is not None
    clock.now += LIFETIME_S - 1
    assert sessions.is_valid(token)
    clock.now += 1
    assert not sessions.is_valid(token)


def test_wrong_pass_phrases_and_made_up_tokens_let_nobody_in() -> None:
    sessions = Sessions("red delicious")
    assert sessions.sign_in("red delicioux") is None
    assert sessions.sign_in("") is None
    assert not sessions.is_valid("red delicious")
    assert not sessions.is_valid("")
    assert not sessions.is_valid(None)


def test_tokens_differ_and_one_can_be_forgotten() -> None:
    sessions = Sessions("red delicious")
    mine, yours = sessions.sign_in("red delicious"), sessions.sign_in("red delicious")
    assert mine != yours
    sessions.sign_out(mine)
    sessions.sign_out(None)
    assert not sessions.is_valid(mine)
    assert sessions.is_valid(yours)


def test_memory_holds_so_many_sessions_and_the_oldest_goes_first() -> None:
    sessions = Sessions("red delicious")
    tokens = [sessions.sign_in("red delicious") for _ in range(502)]
    assert [sessions.is_valid(token) for token in (tokens[0], tokens[1], tokens[2], tokens[-1])] == [
        False,
        False,
        True,
        True,
    ]
