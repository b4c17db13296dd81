"""Waits between connection attempts."""

from __future__ import annotations

from cloud_sync.backoff import Backoff


def test_waits_double_up_to_the_limit_and_are_drawn_at_random() -> None:
    """SYNC-030."""
    series = []
    for _ in range(50):
        backoff = Backoff(1.0, 20.0)
        series.append([backoff.next_s() for _ in range(8)])
    for place, longest in enumerate([1, 2, 4, 8, 16, 20, 20, 20]):
        waits = [waits[place] for waits in series]
        assert all(0 <= wait <= longest for wait in waits)
        assert max(waits) - min(waits) > 0.2 * longest  # a fleet does not come at once, not even the first time
        assert place == 0 or min(waits) >= longest / 2


def test_reset_begins_with_short_waits() -> None:
    backoff = Backoff(1.0, 300.0)
    for _ in range(2000):
        backoff.next_s()
    assert backoff.next_s() >= 150
    backoff.reset()
    assert backoff.next_s() <= 1.0
