"""Machines to be asked: the files in which their kernels tell of sensors and supplies."""

from __future__ import annotations

from pathlib import Path

_THERMAL, _HWMON, _SUPPLY = "sys/class/thermal", "sys/class/hwmon", "sys/class/power_supply"
# as `cat` shows them on a Raspberry Pi 4 with 4 GB, a Jetson Orin Nano and a laptop
RASPBERRY_PI = {
    f"{_THERMAL}/thermal_zone0/type": "cpu-thermal\n",
    f"{_THERMAL}/thermal_zone0/temp": "61835\n",
    f"{_THERMAL}/cooling_device0/type": "cpufreq-cpu0\n",
    f"{_THERMAL}/cooling_device0/cur_state": "0\n",
    "sys/devices/platform/soc/soc:firmware/get_throttled": "50005\n",
    f"{_HWMON}/hwmon1/name": "rpi_volt\n",
    f"{_HWMON}/hwmon1/in0_lcrit_alarm": "1\n",
    "proc/meminfo": "MemTotal:        3884396 kB\nMemFree:          201000 kB\nMemAvailable:    3133900 kB\n",
    "proc/loadavg": "0.52 0.58 0.59 1/250 1234\n",
    "proc/device-tree/model": "Raspberry Pi 4 Model B Rev 1.4\0",
}
JETSON = {
    f"{_THERMAL}/thermal_zone0/type": "cpu-thermal\n",
    f"{_THERMAL}/thermal_zone0/temp": "48281\n",
    f"{_THERMAL}/thermal_zone1/type": "tj-thermal\n",
    f"{_THERMAL}/thermal_zone1/temp": "51093\n",
    f"{_THERMAL}/thermal_zone2/type": "PMIC-Die\n",
    f"{_THERMAL}/thermal_zone2/temp": "100000\n",
    f"{_THERMAL}/thermal_zone3/type": "cv0-thermal\n",
    f"{_THERMAL}/thermal_zone3/temp": "-256000\n",
    f"{_THERMAL}/cooling_device0/type": "thermal-cpufreq-0\n",
    f"{_THERMAL}/cooling_device0/cur_state": "3\n",
    f"{_THERMAL}/cooling_device1/type": "pwm-fan\n",
    f"{_THERMAL}/cooling_device1/cur_state": "2\n",
    "proc/device-tree/model": "NVIDIA Jetson Orin Nano Developer Kit\0",
}
LAPTOP = {
    f"{_HWMON}/hwmon0/name": "coretemp\n",
    f"{_HWMON}/hwmon0/temp1_input": "44000\n",
    f"{_HWMON}/hwmon0/temp2_input": "47000\n",
    f"{_SUPPLY}/AC/type": "Mains\n",
    f"{_SUPPLY}/AC/online": "0\n",
    f"{_SUPPLY}/BAT0/type": "Battery\n",
    f"{_SUPPLY}/BAT0/capacity": "73\n",
    f"{_SUPPLY}/BAT0/status": "Discharging\n",
    f"{_SUPPLY}/hidpp_battery_0/type": "Battery\n",
    f"{_SUPPLY}/hidpp_battery_0/scope": "Device\n",
    f"{_SUPPLY}/hidpp_battery_0/capacity": "5\n",
    f"{_SUPPLY}/hidpp_battery_0/status": "Full\n",
    "sys/class/dmi/id/product_name": "ThinkPad X13\n",
}


def make_machine(root: Path, files: dict[str, str], **changes: str) -> Path:
    """The files of a machine below a folder; changes by the end of their name."""
    for name, text in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(changes.get(path.name, text))
    return root
