"""How this device fares: what waits on it, its clock, disk, temperature and power."""

from __future__ import annotations

import importlib.metadata
import os
import platform
from collections.abc import Iterator
from pathlib import Path

from cloud_sync import clock
from cloud_sync.files import identity_folder
from cloud_sync.messages import HealthBody
from cloud_sync.timekeeping import Timekeeper
from device.machine import Machine, disk
from device.names import LONGEST, clean_name
from device.page.uploads import UploadFolder
from device.store import Store
from export.runtime.photos import PHOTO_SUFFIXES


def gather_health(
    store: Store, device: str, *, inbox: Path | None = None, next_s: int | None = None, machine: Machine | None = None
) -> HealthBody:
    """Ask the store and the machine.

    Args:
        store: the device's records.
        device: name of the device.
        inbox: folder in which photos arrive to be counted.
        next_s: seconds until the next health message is due.
        machine: the machine, None for this one.

    Raises:
        sqlite3.Error: the store cannot be read; ``store.explained`` says why.
    """
    outbox = store.outbox.state(health=False)
    now = Timekeeper(identity_folder(store.folder)).read().at
    # a clock that was set back meanwhile would make the age negative
    age_s = None if outbox.oldest is None else max(0, int((now - outbox.oldest).total_seconds()))
    alone = machine_health(store.folder, device, machine)
    told = {
        "next_s": next_s,
        "waiting": outbox.waiting,
        "rejected": outbox.rejected,
        "oldest_waiting_s": age_s,
        "photos_waiting": photos_waiting(store.folder, inbox),
        "photos": _number_of(store, "photo"),
        "tree_counts": _number_of(store, "tree_count"),
    }
    return alone.model_copy(update=told)


def machine_health(home: Path, device: str, machine: Machine | None = None) -> HealthBody:
    """Ask the machine alone, as before there are records.

    Args:
        home: folder for the device's records.
        device: name of the device.
        machine: the machine, None for this one.
    """
    machine = machine or Machine()
    power, memory, space = machine.power(), machine.memory(), disk(home)
    return HealthBody(
        device=device,
        versions=_versions(machine),
        uptime_s=clock.uptime_s(),
        waiting=0,
        rejected=0,
        clock_error_s=clock.error_s(),
        disk_free_bytes=space.free_bytes if space else None,
        disk_total_bytes=space.total_bytes if space else None,
        memory_free_bytes=memory.free_bytes if memory else None,
        memory_total_bytes=memory.total_bytes if memory else None,
        load=machine.load(),
        temperature_c=machine.temperature_c(),
        battery_percent=power.battery_percent,
        on_battery=power.on_battery,
        undervoltage=power.undervoltage,
        undervoltage_since_boot=power.undervoltage_since_boot,
        throttled=power.throttled,
    )


def photos_waiting(home: Path, inbox: Path | None) -> int:
    """How many photos are on the device and not counted yet: uploaded through the page, or lying in the inbox."""
    waiting = UploadFolder(home / "uploads").photos_waiting()
    return waiting + (sum(1 for _ in _inbox_photos(inbox)) if inbox is not None else 0)


def _inbox_photos(inbox: Path) -> Iterator[str]:
    for _folder, folders, files in os.walk(inbox):
        folders[:] = [name for name in folders if not name.startswith(".")]  # where counted photos go
        yield from (name for name in files if not name.startswith(".") and Path(name).suffix.lower() in PHOTO_SUFFIXES)


def _number_of(store: Store, table: str) -> int:
    (number,) = store.db.execute(f"SELECT count(*) FROM {table}").fetchone()  # noqa: S608  (our own names)
    return int(number)


def _versions(machine: Machine) -> dict[str, str]:
    """What runs here, by name."""
    told = {
        "pomona": pomona_version(),
        "python": platform.python_version(),
        "system": machine.system(),
        "kernel": platform.release(),
        "hardware": machine.hardware() or "",
    }
    return {name: printable for name, text in told.items() if (printable := _printable(text))}


def pomona_version() -> str:
    """The version of this program."""
    try:
        return importlib.metadata.version("pomona-orchard")
    except importlib.metadata.PackageNotFoundError:
        return "not installed"


def _printable(text: str) -> str:
    return clean_name("".join(character for character in text if character.isprintable()))[:LONGEST]
