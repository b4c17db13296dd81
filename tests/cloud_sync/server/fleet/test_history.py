"""Lines over time: to scale, interrupted where nothing is known, and no longer than they can be seen."""

from __future__ import annotations

import re
from datetime import datetime, timedelta, timezone

import pytest

from cloud_sync import clock
from cloud_sync.server.database import Database, HealthSample
from cloud_sync.server.fleet.history import HEIGHT, WIDTH, Point, draw_charts, line, read_samples

_NOON = datetime(2025, 9, 24, 12, tzinfo=timezone.utc)
_DAY = timedelta(days=1)


def corners(path: str) -> list[tuple[str, float, float]]:
    found = re.findall(r"([ML])([\d.-]+) ([\d.-]+)", path)
    return [(how, float(x), float(y)) for how, x, y in found]


def at(minutes: float, value: float) -> Point:
    return _NOON - _DAY + timedelta(minutes=minutes), value


def test_a_line_goes_from_edge_to_edge_and_from_the_least_to_the_most() -> None:
    quarters = [at(15 * step, 10 + step % 5) for step in range(97)]
    drawn = corners(line(quarters, _NOON - _DAY, _NOON))
    assert (drawn[0], drawn[-1][1]) == (("M", 0.0, HEIGHT - 4), WIDTH)
    assert {how for how, _, _ in drawn[1:]} == {"L"}
    assert (min(y for _, _, y in drawn), max(y for _, _, y in drawn)) == (4, HEIGHT - 4)


def test_a_figure_that_never_changes_is_a_line_in_the_middle() -> None:
    drawn = corners(line([at(0, 7.0), at(15, 7.0)], _NOON - _DAY, _NOON))
    assert [y for _, _, y in drawn] == [HEIGHT / 2, HEIGHT / 2]


@pytest.mark.parametrize(("minutes", "parts"), [(45, 1), (46, 2)])
def test_a_device_that_was_away_leaves_a_gap(minutes: float, parts: int) -> None:
    points = [at(0, 1), at(15, 2), at(15 + minutes, 3), at(30 + minutes, 4)]
    drawn = line(points, _NOON - _DAY, _NOON)
    assert drawn.count("M") == parts
    assert line([at(0, 1), at(600, 2)], _NOON - _DAY, _NOON).count("h.1") == 2, "each alone is a dot"


def samples(number: int, days: int, spike: int = -1) -> list[HealthSample]:
    now = clock.now()
    step = timedelta(days=days) / number
    return [
        HealthSample(
            device="a",
            received_at=now - (number - place) * step,
            waiting=0,
            temperature_c=99.5 if place == spike else 50.0 + place % 2,
            disk_free_bytes=2_000_000_000,
        )
        for place in range(number)
    ]


def test_charts_show_what_is_known_and_how_far_it_went() -> None:
    charts = {chart.name: chart for chart in draw_charts(samples(96, 1, spike=40), 1)}
    assert list(charts) == ["Waiting to be sent", "Temperature", "Free disk"], "of others nothing is known"
    heat = charts["Temperature"]
    assert (heat.lowest, heat.highest, heat.last, heat.unit) == ("50", "100", "51", "°C")
    assert charts["Free disk"].last == "2.0"


def test_a_month_is_drawn_in_few_points_and_keeps_its_extremes() -> None:
    (chart,) = [chart for chart in draw_charts(samples(2880, 30, spike=1234), 30) if chart.name == "Temperature"]
    drawn = corners(chart.path)
    assert len(drawn) <= 2 * 150 + 2
    assert chart.path.count("M") == 1
    assert sum(y == 4 for _, _, y in drawn) == 1, "the spike is there"


def test_one_value_is_no_line() -> None:
    assert draw_charts(samples(1, 1), 1) == []


def test_samples_are_those_of_the_device_and_the_days(database: Database) -> None:
    now = clock.now()
    with database.write() as session:
        for device, hours in (("a", 1), ("a", 30), ("b", 2)):
            session.add(HealthSample(device=device, received_at=now - timedelta(hours=hours), waiting=hours))
    with database.read() as session:
        assert [sample.waiting for sample in read_samples(session, "a", 1)] == [1]
        assert [sample.waiting for sample in read_samples(session, "a", 7)] == [30, 1]
