"""What a device knows about its own clock."""

from __future__ import annotations

import ctypes
import errno
from types import SimpleNamespace

import pytest

from cloud_sync import clock


class Kernel:
    """A C library whose kernel gives one answer about the clock."""

    def __init__(self, answer: int) -> None:
        self._answer = answer

    def adjtimex(self, _: object) -> int:
        return self._answer


def let_the_kernel_say(monkeypatch: pytest.MonkeyPatch, answer: object) -> None:
    monkeypatch.setattr(ctypes, "CDLL", lambda *_, **__: answer)


@pytest.mark.parametrize(
    ("answer", "synchronised"),
    [(0, True), (1, True), (4, True), (5, False), (-1, False)],
    ids=["right", "leap-second-to-come", "leap-second-over", "nobody-vouches", "not-allowed"],
)
def test_a_clock_is_synchronised_where_the_kernel_says_so(
    monkeypatch: pytest.MonkeyPatch, answer: int, synchronised: bool
) -> None:
    let_the_kernel_say(monkeypatch, Kernel(answer))
    assert clock.is_synchronised() is synchronised


def test_a_forbidden_question_is_told_from_an_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    let_the_kernel_say(monkeypatch, Kernel(-1))
    monkeypatch.setattr(ctypes, "get_errno", lambda: errno.EPERM)
    with pytest.raises(PermissionError, match="Operation not permitted"):
        clock.kernel_state()


def test_without_the_call_a_clock_is_not_synchronised(monkeypatch: pytest.MonkeyPatch) -> None:
    let_the_kernel_say(monkeypatch, SimpleNamespace())
    assert clock.is_synchronised() is False


def test_this_kernel_answers_or_forbids_to_ask() -> None:
    try:
        state = clock.kernel_state()
    except PermissionError:  # as in some containers
        assert clock.is_synchronised() is False
    else:
        assert clock.is_synchronised() is (0 <= state < 5)
