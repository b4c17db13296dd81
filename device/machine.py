"""What the machine tells of itself: temperature, power, memory, disk.

Read from Linux's own files, so that a Raspberry Pi, a Jetson and a laptop are asked alike and without another program.
Sources: Documentation/ABI/testing/sysfs-class-thermal, sysfs-class-power and Documentation/filesystems/proc.rst of the
Linux kernel; the meaning of the bits of ``get_throttled``: Raspberry Pi documentation, *vcgencmd*.
"""

from __future__ import annotations

import contextlib
import os
import platform
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

# A sensor outside this range is not connected or not meant: some boards have one that always says 100 °C.
_BELIEVABLE_C = (-40.0, 150.0)
_FIXED_ZONE = "PMIC-Die"
_UNDERVOLTAGE, _SLOWED, _UNDERVOLTAGE_SINCE_BOOT = 0x1, 0x2 | 0x4 | 0x8, 0x10000


@dataclass(frozen=True)
class Power:
    """What is known of the power supply; None where the board does not tell.

    Attributes:
        battery_percent: charge of the battery.
        on_battery: whether it is being drawn on.
        undervoltage: whether the supply voltage is too low now.
        undervoltage_since_boot: whether it was since the start.
        throttled: whether heat or voltage slow the processor down now.
    """

    battery_percent: float | None = None
    on_battery: bool | None = None
    undervoltage: bool | None = None
    undervoltage_since_boot: bool | None = None
    throttled: bool | None = None


@dataclass(frozen=True)
class Space:
    """Memory or a disk.

    Attributes:
        free_bytes: what programs can still have.
        total_bytes: all of it.
    """

    free_bytes: int
    total_bytes: int


class Machine:
    """The machine this runs on.

    Args:
        root: where ``/proc`` and ``/sys`` lie.
    """

    def __init__(self, root: Path = Path("/")) -> None:
        self._root = root

    def temperature_c(self) -> float | None:
        """Temperature of the hottest sensor, in °C; None where there is none."""
        zones = self._find("sys/class/thermal/thermal_zone*")
        meant = [zone / "temp" for zone in zones if _text(zone / "type") != _FIXED_ZONE]
        for sensors in (meant, list(self._find("sys/class/hwmon/hwmon*/temp*_input"))):
            told = [millidegrees / 1000 for path in sensors if (millidegrees := _number(path)) is not None]
            believed = [degrees for degrees in told if _BELIEVABLE_C[0] < degrees < _BELIEVABLE_C[1]]
            if believed:
                return max(believed)
        return None

    def power(self) -> Power:
        """What is known of the power supply."""
        flags = self._throttled_flags()
        slowed = self._cooling_slows()
        batteries = list(self._batteries())
        charges = [charge for battery in batteries if (charge := _number(battery / "capacity")) is not None]
        states = [_text(battery / "status") for battery in batteries]
        alarm = next(self._find_hwmon("rpi_volt", "in0_lcrit_alarm"), None)
        return Power(
            battery_percent=min(100.0, max(0.0, min(charges))) if charges else None,
            on_battery="Discharging" in states if any(states) else None,
            undervoltage=bool(flags & _UNDERVOLTAGE) if flags is not None else None if alarm is None else bool(alarm),
            undervoltage_since_boot=None if flags is None else bool(flags & _UNDERVOLTAGE_SINCE_BOOT),
            throttled=slowed if flags is None else bool(flags & _SLOWED) or bool(slowed),
        )

    def memory(self) -> Space | None:
        """Memory of the machine."""
        lines = (line.split() for line in (_text(self._root / "proc/meminfo") or "").splitlines())
        kilobytes = {words[0].rstrip(":"): int(words[1]) for words in lines if len(words) > 1 and words[1].isdigit()}
        if not {"MemAvailable", "MemTotal"} <= kilobytes.keys():
            return None
        return Space(1024 * kilobytes["MemAvailable"], 1024 * kilobytes["MemTotal"])

    def load(self) -> float | None:
        """Programs that want to run for each processor core, mean of a minute."""
        told = (_text(self._root / "proc/loadavg") or "").split()
        with contextlib.suppress(IndexError, ValueError):
            return float(told[0]) / (os.cpu_count() or 1)
        return None

    def hardware(self) -> str | None:
        """What the maker calls the board or computer."""
        device_tree = _text(self._root / "proc/device-tree/model")
        return device_tree or _text(self._root / "sys/class/dmi/id/product_name") or None

    def system(self) -> str:
        """The operating system."""
        with contextlib.suppress(OSError):
            return platform.freedesktop_os_release()["PRETTY_NAME"]
        return platform.system()

    def _throttled_flags(self) -> int | None:
        for path in self._find("sys/devices/platform/soc*/soc*firmware/get_throttled"):
            with contextlib.suppress(ValueError):
                return int(_text(path) or "", 16)
        return None

    def _cooling_slows(self) -> bool | None:
        """Whether the kernel slows a processor down to cool it; None where it has no such means."""
        means = [
            path
            for path in self._find("sys/class/thermal/cooling_device*")
            if (kind := _text(path / "type") or "") == "Processor" or "cpufreq" in kind
        ]
        return any((_number(path / "cur_state") or 0) > 0 for path in means) if means else None

    def _batteries(self) -> Iterator[Path]:
        for supply in self._find("sys/class/power_supply/*"):
            # the battery of a mouse or a headset has the scope "Device"
            if _text(supply / "type") == "Battery" and _text(supply / "scope") != "Device":
                yield supply

    def _find_hwmon(self, name: str, file: str) -> Iterator[int]:
        for folder in self._find("sys/class/hwmon/hwmon*"):
            if _text(folder / "name") == name and (value := _number(folder / file)) is not None:
                yield value

    def _find(self, pattern: str) -> Iterator[Path]:
        return iter(sorted(self._root.glob(pattern)))


def disk(folder: Path) -> Space | None:
    """The file system a folder lies on; None where it cannot be asked."""
    try:
        usage = shutil.disk_usage(folder)
    except OSError:
        return None
    return Space(usage.free, usage.total)


def _text(path: Path) -> str | None:
    """What a file of the kernel's says; a sensor that is switched off or broken cannot be read."""
    try:
        return path.read_text(encoding="utf-8", errors="replace").strip(" \n\0")
    except OSError:
        return None


def _number(path: Path) -> int | None:
    try:
        return int(_text(path) or "")
    except ValueError:
        return None
