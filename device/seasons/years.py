"""Which season a visit belongs to, and what a season is called."""

from __future__ import annotations

from datetime import date, timedelta

from cloud_sync.messages import Stage

# Roughly. Only the year they lead to counts, so that a season is one from blossom to picking also where it is not a
# calendar year: south of the equator apples flower in October and are picked from January on.
_DAYS_TO_HARVEST: dict[Stage, int] = {"flowering": 150, "young_fruit": 110, "fruit_expansion": 50, "ripening": 10}


def season_of(day: date, stage: Stage) -> int:
    """The year in which the fruit of a visit is picked, by which its season is called."""
    return (day + timedelta(days=_DAYS_TO_HARVEST[stage])).year
