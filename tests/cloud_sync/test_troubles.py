"""What is wrong with a device, by its own account."""

from __future__ import annotations

from typing import Any

import pytest

from cloud_sync.messages import HealthBody
from cloud_sync.troubles import age_words, find_troubles
from tests.cloud_sync.helpers import EXAMPLES


def troubles(*, synchronised: bool = True, **changes: Any) -> list[tuple[str, str, str]]:
    health = HealthBody.model_validate({**EXAMPLES["health"], **changes})
    found = find_troubles(health, clock_synchronised=synchronised)
    assert all(trouble.remedy for trouble in found)
    return [(trouble.level, trouble.about, trouble.text) for trouble in found]


def test_a_device_that_fares_well_has_none() -> None:
    assert troubles() == []


def test_a_device_that_tells_little_has_none() -> None:
    little = HealthBody(device="a", uptime_s=1, waiting=0, rejected=0)
    assert find_troubles(little, clock_synchronised=True) == []


@pytest.mark.parametrize(
    ("changes", "level", "about", "text"),
    [
        ({"disk_free_bytes": 499_999_999}, "bad", "disk", "0.5 GB free on the disk: the next visit may not fit"),
        ({"disk_free_bytes": 1_999_999_999}, "note", "disk", "2.0 GB free on the disk"),
        ({"rejected": 1}, "bad", "refused", "1 record refused by the server, kept on the device"),
        ({"rejected": 1200}, "bad", "refused", "1,200 records refused by the server, kept on the device"),
        ({"undervoltage": True}, "bad", "power", "the supply voltage is too low: the memory card may be damaged"),
        (
            {"undervoltage_since_boot": True},
            *("note", "power", "the supply voltage was too low since the device was started"),
        ),
        ({"temperature_c": 75.0}, "note", "heat", "75 °C"),
        ({"temperature_c": 86.2, "throttled": True}, "bad", "heat", "86 °C, and slowed down by it"),
        ({"throttled": True}, "note", "heat", "the processor is slowed down, by heat or by a weak supply"),
        ({"battery_percent": 25.0, "on_battery": True}, "note", "battery", "25 % left in the battery"),
        ({"battery_percent": 9.6, "on_battery": True}, "bad", "battery", "10 % left in the battery"),
        ({"memory_free_bytes": 390_000_000}, "note", "memory", "390 MB of memory left of 8.0 GB"),
        (
            {"waiting": 15_000, "oldest_waiting_s": 30 * 86_400},
            *("note", "backlog", "15,000 records wait to be sent, the oldest for 30 days"),
        ),
        (
            {"waiting": 1, "oldest_waiting_s": 3 * 86_400},
            *("note", "backlog", "1 record waits to be sent, the oldest for 3 days"),
        ),
    ],
)
def test_each_trouble(changes: dict[str, Any], level: str, about: str, text: str) -> None:
    assert troubles(**changes) == [(level, about, text)]


@pytest.mark.parametrize(
    "changes",
    [
        {"disk_free_bytes": 2_000_000_000},
        {"temperature_c": 74.9},
        {"battery_percent": 5.0, "on_battery": False},
        {"battery_percent": 26.0, "on_battery": True},
        {"waiting": 900, "oldest_waiting_s": 3 * 86_400 - 1},
        {"photos_waiting": 500},
    ],
)
def test_what_is_no_trouble(changes: dict[str, Any]) -> None:
    assert troubles(**changes) == []


def test_a_clock_nobody_vouches_for_is_noted() -> None:
    assert [(level, about) for level, about, _ in troubles(synchronised=False)] == [("note", "clock")]


def test_the_worst_comes_first() -> None:
    found = troubles(synchronised=False, temperature_c=80.0, undervoltage=True, disk_free_bytes=0)
    assert [(level, about) for level, about, _ in found] == [
        *(("bad", "disk"), ("bad", "power"), ("note", "heat"), ("note", "clock")),
    ]


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        *((-5, "0 s"), (0.4, "0 s"), (59, "59 s"), (60, "1 min"), (3599, "59 min"), (3600, "1 h"), (86_400, "24 h")),
        *((2 * 86_400 - 1, "47 h"), (2 * 86_400, "2 days"), (30 * 86_400, "30 days")),
        (1_795_000_000, "56 years"),
    ],
)
def test_an_age_is_told_in_its_largest_unit(seconds: float, words: str) -> None:
    assert age_words(seconds) == words
