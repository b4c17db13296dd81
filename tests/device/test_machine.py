"""What a machine tells of itself, read from the files of three kinds of machine and of this one."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest

from device.machine import Machine, Power, disk
from tests.device.machines import JETSON, LAPTOP, RASPBERRY_PI, make_machine


def test_a_raspberry_pi_with_a_weak_supply(tmp_path: Path) -> None:
    pi = Machine(make_machine(tmp_path, RASPBERRY_PI))
    assert pi.temperature_c() == 61.835
    assert pi.power() == Power(undervoltage=True, undervoltage_since_boot=True, throttled=True)
    memory = pi.memory()
    assert memory is not None
    assert (memory.free_bytes, memory.total_bytes) == (3_133_900 * 1024, 3_884_396 * 1024)
    assert pi.load() == 0.52 / (os.cpu_count() or 1)
    assert pi.hardware() == "Raspberry Pi 4 Model B Rev 1.4"


@pytest.mark.parametrize(
    ("flags", "now", "since_boot", "throttled"),
    [
        ("0", False, False, False),
        ("50000", False, True, False),
        ("1", True, False, False),
        ("2", False, False, True),
        ("4", False, False, True),
        ("80008", False, False, True),
    ],
    ids=["never", "earlier", "weak-supply", "capped", "throttled", "warm"],
)
def test_each_flag_of_a_raspberry_pi(tmp_path: Path, flags: str, now: bool, since_boot: bool, throttled: bool) -> None:
    root = make_machine(tmp_path, RASPBERRY_PI, get_throttled=flags, in0_lcrit_alarm="0")
    power = Machine(root).power()
    assert (power.undervoltage, power.undervoltage_since_boot, power.throttled) == (now, since_boot, throttled)


def test_a_newer_kernel_tells_of_the_voltage_by_an_alarm_only(tmp_path: Path) -> None:
    root = make_machine(tmp_path, RASPBERRY_PI)
    (root / "sys/devices/platform/soc/soc:firmware/get_throttled").unlink()
    assert Machine(root).power() == Power(undervoltage=True, throttled=False)


def test_a_jetson_that_is_slowed_down(tmp_path: Path) -> None:
    """Its sensor without a meaning, and one that is switched off, say nothing; its fan slows nothing down."""
    jetson = Machine(make_machine(tmp_path, JETSON))
    assert jetson.temperature_c() == 51.093
    assert jetson.power() == Power(throttled=True)
    assert Machine(make_machine(tmp_path, JETSON, cur_state="0")).power().throttled is False


def test_a_laptop_on_its_battery(tmp_path: Path) -> None:
    """The battery of its mouse is not its own."""
    laptop = Machine(make_machine(tmp_path, LAPTOP))
    assert laptop.temperature_c() == 47.0
    assert laptop.power() == Power(battery_percent=73.0, on_battery=True)
    assert Machine(make_machine(tmp_path, LAPTOP, status="Charging")).power().on_battery is False
    assert laptop.hardware() == "ThinkPad X13"


def test_a_machine_that_tells_nothing(tmp_path: Path) -> None:
    nothing = Machine(tmp_path)
    assert nothing.temperature_c() is None
    assert nothing.power() == Power()
    assert (nothing.memory(), nothing.load(), nothing.hardware()) == (None, None, None)
    assert disk(tmp_path / "missing") is None


@pytest.mark.parametrize("told", ["", "N/A", "9999999999"])
def test_nonsense_from_a_sensor_is_no_temperature(tmp_path: Path, told: str) -> None:
    assert Machine(make_machine(tmp_path, RASPBERRY_PI, temp=told)).temperature_c() is None


def test_this_machine_is_asked(tmp_path: Path) -> None:
    here = Machine()
    memory, space = here.memory(), disk(tmp_path)
    assert memory is not None
    assert 0 < memory.free_bytes < memory.total_bytes == os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    assert space is not None
    assert space.total_bytes == shutil.disk_usage(tmp_path).total
    assert (here.load() or 0.0) >= 0
    assert here.system()
