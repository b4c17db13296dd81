"""What is wrong with a device, in words and with the remedy: the same on the device and at the server.

The limits, each with its reason:

* free disk: a visit of 30 trees with two photos of 8 MB each takes 0.5 GB; below that the next visit does not fit.
* temperature: a Raspberry Pi slows down from 80 °C and more from 85 °C, a Jetson from 97 °C on.
* age of what waits: after three days somebody should take the device to a network.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

from cloud_sync.messages import HealthBody

Level = Literal["bad", "note"]
"""``bad`` needs somebody now, ``note`` before long."""

LEAST_DISK_BYTES, LOW_DISK_BYTES = 500_000_000, 2_000_000_000
WARM_C, HOT_C = 75.0, 85.0
LOW_BATTERY_PERCENT, LEAST_BATTERY_PERCENT = 25.0, 10.0
LOW_MEMORY_SHARE = 0.05
OLD_S = 3 * 86_400


@dataclass(frozen=True)
class Trouble:
    """Something that is wrong.

    Attributes:
        level: how soon somebody is needed.
        about: what it concerns, in a word or two.
        text: what is wrong.
        remedy: what to do.
    """

    level: Level
    about: str
    text: str
    remedy: str


def find_troubles(health: HealthBody, *, clock_synchronised: bool) -> list[Trouble]:
    """What a device's own account of itself says is wrong, the worst first."""
    found = [
        _disk(health),
        _rejected(health),
        _voltage(health),
        _temperature(health),
        _battery(health),
        _memory(health),
        _backlog(health),
        None if clock_synchronised else _CLOCK,
    ]
    return worst_first(trouble for trouble in found if trouble is not None)


def refused_release(candidate: str | None, refused: str) -> Trouble:
    """A bundle that came to count on a device and does not."""
    return Trouble(
        "note",
        "model",
        f"release {candidate or 'of no name'} was refused: {refused}",
        "the device goes on with the model it has; on the server, publish a release that fits it, or withdraw this one",
    )


def worst_first(troubles: Iterable[Trouble]) -> list[Trouble]:
    """Troubles that need somebody now before those that can wait, otherwise in their order."""
    return sorted(troubles, key=lambda trouble: trouble.level != "bad")


def age_words(seconds: float) -> str:
    """A time span to its largest unit: ``40 s``, ``12 min``, ``3 h``, ``5 days``, ``56 years``."""
    for unit, length, least in (("years", 31_557_600, 2), ("days", 86_400, 2), ("h", 3600, 1), ("min", 60, 1)):
        if seconds >= least * length:
            return f"{int(seconds // length)} {unit}"
    return f"{int(max(0, seconds))} s"


_CLOCK = Trouble(
    "note",
    "clock",
    "the clock is not synchronised, so that times of records may be wrong",
    "give the device a network with a time server (timedatectl shows which), or a clock module with a battery",
)


def _disk(health: HealthBody) -> Trouble | None:
    free = health.disk_free_bytes
    if free is None or free >= LOW_DISK_BYTES:
        return None
    return Trouble(
        "bad" if free < LEAST_DISK_BYTES else "note",
        "disk",
        f"{free / 1e9:.1f} GB free on the disk" + (": the next visit may not fit" if free < LEAST_DISK_BYTES else ""),
        "take other files off it, or use a larger card; records and photos stay whole when it is full",
    )


def _rejected(health: HealthBody) -> Trouble | None:
    if not health.rejected:
        return None
    return Trouble(
        "bad",
        "refused",
        f"{health.rejected:,} record{'s' if health.rejected > 1 else ''} refused by the server, kept on the device",
        "see the reasons at the server (pomona server dead-letters); a newer server is sent them again by itself",
    )


def _voltage(health: HealthBody) -> Trouble | None:
    if health.undervoltage:
        return Trouble(
            "bad",
            "power",
            "the supply voltage is too low: the memory card may be damaged",
            "use the maker's power supply and a short, thick cable; unplug what draws much",
        )
    if health.undervoltage_since_boot:
        return Trouble(
            "note",
            "power",
            "the supply voltage was too low since the device was started",
            "use the maker's power supply and a short, thick cable",
        )
    return None


def _temperature(health: HealthBody) -> Trouble | None:
    degrees, slowed = health.temperature_c, bool(health.throttled)
    if degrees is not None and degrees >= WARM_C:
        return Trouble(
            "bad" if degrees >= HOT_C else "note",
            "heat",
            f"{degrees:.0f} °C" + (", and slowed down by it" if slowed else ""),
            "put the device into the shade and free its vents; counting goes on, more slowly",
        )
    if slowed:
        return Trouble(
            "note",
            "heat",
            "the processor is slowed down, by heat or by a weak supply",
            "put the device into the shade and check its power supply; counting goes on, more slowly",
        )
    return None


def _battery(health: HealthBody) -> Trouble | None:
    charge = health.battery_percent
    if charge is None or not health.on_battery or charge > LOW_BATTERY_PERCENT:
        return None
    level: Level = "bad" if charge <= LEAST_BATTERY_PERCENT else "note"
    return Trouble(level, "battery", f"{charge:.0f} % left in the battery", "charge it; records survive a power cut")


def _memory(health: HealthBody) -> Trouble | None:
    free, total = health.memory_free_bytes, health.memory_total_bytes
    if free is None or not total or free >= LOW_MEMORY_SHARE * total:
        return None
    return Trouble(
        "note",
        "memory",
        f"{free / 1e6:,.0f} MB of memory left of {total / 1e9:.1f} GB",
        "end other programs on the device; the service that takes too much is started again by itself",
    )


def _backlog(health: HealthBody) -> Trouble | None:
    age_s, number = health.oldest_waiting_s, health.waiting
    if age_s is None or age_s < OLD_S:
        return None
    records = "1 record waits" if number == 1 else f"{number:,} records wait"
    return Trouble(
        "note",
        "backlog",
        f"{records} to be sent, the oldest for {age_words(age_s)}",
        "take the device to a network, and leave it on until nothing waits",
    )
