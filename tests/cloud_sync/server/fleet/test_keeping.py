"""Figures that are made once for all who ask within a while."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from cloud_sync.server.fleet.keeping import Kept


def test_a_value_is_made_again_when_it_is_old() -> None:
    now = [100.0]
    kept: Kept[float] = Kept(30.0, lambda: now[0])
    for moment, value in ((100.0, 100.0), (129.9, 100.0), (130.0, 130.0), (159.0, 130.0)):
        now[0] = moment
        assert kept.get(lambda: now[0]) == value


def test_who_asks_meanwhile_waits_and_does_not_make_it_too() -> None:
    kept: Kept[int] = Kept(30.0)
    made: list[int] = []
    asked = threading.Barrier(8)

    def make() -> int:
        made.append(1)
        return len(made)

    def ask() -> int:
        asked.wait()
        return kept.get(make)

    with ThreadPoolExecutor(8) as pool:
        assert {future.result() for future in [pool.submit(ask) for _ in range(8)]} == {1}


def test_a_failure_is_not_kept() -> None:
    kept: Kept[int] = Kept(30.0)
    with pytest.raises(ZeroDivisionError):
        kept.get(lambda: 1 // 0)
    assert kept.get(lambda: 7) == 7
