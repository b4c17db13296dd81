"""Lanes: what is recent though clocks lie, and how the line is shared."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone

import pytest

from cloud_sync import clock
from cloud_sync.lanes import Lane, Recent, Turns

NOW = datetime(2025, 9, 24, 12, tzinfo=timezone.utc)
HOUR = 3600.0


def recent(monkeypatch: pytest.MonkeyPatch, *, synchronised: bool = True, up_s: float = HOUR) -> Recent:
    monkeypatch.setattr(clock, "now", lambda: NOW)
    monkeypatch.setattr(clock, "is_synchronised", lambda: synchronised)
    monkeypatch.setattr(clock, "uptime_s", lambda: up_s)
    monkeypatch.setattr(clock, "boot_id", lambda: "this")
    return Recent.now()


@pytest.mark.parametrize(
    ("hours_ago", "its_clock", "its_boot", "now_synchronised", "up_s", "historical"),
    [
        (25, True, "other", True, HOUR, True),
        (23, True, "other", True, HOUR, False),
        (-5, True, "other", True, HOUR, False),
        # a clock that nobody vouches for, now or then, tells nothing
        (25, False, "other", True, HOUR, False),
        (25, True, "other", False, HOUR, False),
        (500_000, False, "other", True, HOUR, False),
        # whatever the clocks say: what was made since the machine was started is no older than that
        (500_000, True, "this", True, HOUR, False),
        (25, True, "this", True, 48 * HOUR, True),
    ],
)
def test_a_record_is_historical_only_where_its_age_is_known(
    monkeypatch: pytest.MonkeyPatch,
    hours_ago: float,
    its_clock: bool,
    its_boot: str,
    now_synchronised: bool,
    up_s: float,
    historical: bool,
) -> None:
    """SYNC-104."""
    now = recent(monkeypatch, synchronised=now_synchronised, up_s=up_s)
    recorded_at = (NOW - timedelta(hours=hours_ago)).isoformat()
    assert now.is_historical(recorded_at, clock_synchronised=its_clock, boot=its_boot) is historical


def served(turns: Turns, sizes: dict[Lane, int], total: int) -> dict[Lane, int]:
    """Bytes of each lane when all always have packets of these sizes."""
    sent = dict.fromkeys(sizes, 0)
    while sum(sent.values()) < total:
        lane = turns.next(sizes)
        turns.sent(lane, sizes[lane])
        sent[lane] += sizes[lane]
    return sent


@pytest.mark.parametrize("sizes", [(300, 30_000, 20_000), (30_000, 300, 20_000), (1000, 1000, 1000)])
def test_lanes_share_a_full_line_by_bytes(sizes: tuple[int, int, int]) -> None:
    """SYNC-103."""
    total = 10_000_000
    sent = served(Turns(), dict(zip(Lane, sizes, strict=True)), total)
    for lane, share in zip(Lane, (16 / 21, 4 / 21, 1 / 21), strict=True):
        assert sent[lane] / total == pytest.approx(share, abs=0.01)


def test_a_lane_alone_has_the_whole_line() -> None:
    """SYNC-103."""
    assert served(Turns(), {Lane.BULK: 1000}, 50_000) == {Lane.BULK: 50_000}


def test_what_comes_into_an_empty_lane_is_next_and_has_saved_nothing_up() -> None:
    """SYNC-103."""
    turns = Turns()
    for _ in range(100):
        turns.sent(Lane.BACKLOG, 30_000)
    assert turns.next([Lane.FRESH, Lane.BACKLOG]) is Lane.FRESH
    after = served(turns, {Lane.FRESH: 1000, Lane.BACKLOG: 1000}, 1_000_000)
    assert after[Lane.BACKLOG] / 1_000_000 == pytest.approx(4 / 20, abs=0.03)


def test_the_lane_with_the_right_of_way_begins() -> None:
    assert Turns().next([Lane.BULK, Lane.BACKLOG]) is Lane.BACKLOG
    assert Turns().next(list(Lane)) is Lane.FRESH
