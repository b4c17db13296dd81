"""Which season a visit belongs to."""

from __future__ import annotations

from datetime import date

import pytest

from cloud_sync.messages import Stage
from device.seasons.years import season_of


@pytest.mark.parametrize(
    ("day", "stage"),
    [
        (date(2025, 3, 20), "flowering"),
        (date(2025, 6, 5), "flowering"),
        (date(2025, 7, 31), "young_fruit"),
        (date(2025, 10, 10), "fruit_expansion"),
        (date(2025, 11, 30), "ripening"),
    ],
)
def test_in_the_north_a_season_is_a_calendar_year(day: date, stage: Stage) -> None:
    assert season_of(day, stage) == 2025


@pytest.mark.parametrize(
    ("day", "stage"),
    [
        (date(2024, 9, 5), "flowering"),
        (date(2024, 10, 25), "flowering"),
        (date(2024, 11, 20), "young_fruit"),
        (date(2024, 12, 15), "fruit_expansion"),
        (date(2025, 1, 20), "ripening"),
        (date(2025, 4, 30), "ripening"),
    ],
)
def test_in_the_south_a_season_is_called_by_the_year_of_picking(day: date, stage: Stage) -> None:
    assert season_of(day, stage) == 2025
