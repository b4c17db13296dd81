"""What a device knows about its own clock."""

from __future__ import annotations

import ctypes
import errno
from datetime import datetime, timezone
from pathlib import Path
from types import SimpleNamespace

import pytest

from cloud_sync import clock


class Kernel:
    """A C library whose kernel gives one answer about the clock, and the largest error in microseconds."""

    def __init__(self, answer: int, error_us: int = 0) -> None:
        self._answer = answer
        self._error_us = error_us

    def adjtimex(self, asked: object) -> int:
        words = ctypes.cast(asked, ctypes.POINTER(ctypes.c_long))  # type: ignore[arg-type]
        words[3] = self._error_us  # behind modes, offset and frequency, each as wide as a long
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


@pytest.mark.parametrize(("answer", "error_s"), [(0, 0.25), (5, None), (-1, None)])
def test_the_largest_error_is_told_of_a_clock_that_somebody_vouches_for(
    monkeypatch: pytest.MonkeyPatch, answer: int, error_s: float | None
) -> None:
    let_the_kernel_say(monkeypatch, Kernel(answer, error_us=250_000))
    assert clock.error_s() == error_s


def test_the_uptime_is_the_kernel_s() -> None:
    """Read beside it, in a file of its own."""
    told = float(Path("/proc/uptime").read_text().split()[0])
    assert told - 1 <= clock.uptime_s() <= told + 1


def test_this_kernel_answers_or_forbids_to_ask() -> None:
    try:
        state = clock.kernel_state()
    except PermissionError:  # as in some containers
        assert clock.is_synchronised() is False
    else:
        assert clock.is_synchronised() is (0 <= state < 5)


def test_records_spell_the_time_to_the_second_in_utc(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(clock, "now", lambda: datetime(2026, 5, 1, 12, 0, 3, 999_999, tzinfo=timezone.utc))
    assert clock.now_text() == "2026-05-01T12:00:03Z"
