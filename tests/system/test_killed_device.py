"""A device whose import and sync are killed at random, and started again, tells the server what a calm one tells it."""

from __future__ import annotations

import random
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from device.orchards import BlockSettings, register_block
from export.runtime.bundle import Bundle
from tests.drawing import draw_discs, encode
from tests.processes import ROOT
from tests.system.conftest import Device, Site

TREES, ROUNDS = 15, 8


@pytest.fixture
def card(tmp_path: Path) -> Path:
    """Photos of trees with one fruit more from tree to tree, every other tree from two sides."""
    folder = tmp_path / "card"
    folder.mkdir()
    for number in range(TREES):
        for side in "ab" if number % 2 else "a":
            apples = [(50.0 + 60 * i, 60.0) for i in range(number + 1)]
            photo = encode(draw_discs(apples, size=(960, 720), seed=number + 100 * (side == "b")))
            (folder / f"T{number:02}_{side}.jpg").write_bytes(photo)
    return folder


def start(device: Device, *command: object) -> subprocess.Popen[str]:
    line = [sys.executable, "-m", "pomona", *map(str, command), "--home", str(device.folder)]
    return subprocess.Popen(line, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def end(process: subprocess.Popen[str]) -> tuple[int, str]:
    _, errors = process.communicate(timeout=120)
    return process.returncode, errors


def start_import(device: Device, card: Path, bundle: Bundle) -> subprocess.Popen[str]:
    options = ["--block", "B1", "--stage", "ripening", "--threads", 1, "--bundle", bundle.folder]
    return start(device, "visit", "import", card, *options)


def told(site: Site, device: Device) -> list[tuple[Any, ...]]:
    """What the server holds from a device, by natural keys; ids and times of recording are the device's own.

    So is what a device says of itself.
    """
    return site.rows(
        "SELECT natural_key, type, revision, body FROM record "
        "WHERE device = ? AND type NOT IN ('health', 'model_state') ORDER BY natural_key",
        device.name,
    )


def test_a_device_killed_at_any_moment_tells_the_server_what_a_calm_one_tells(
    running_site: Site, card: Path, disc_bundle: Bundle, record_property: Any
) -> None:
    calm, shaken = running_site.device("calm-device"), running_site.device("shaken-device")
    for device in (calm, shaken):
        register_block(device.store, "B1", "North farm", BlockSettings(trees=100, area_m2=1000))
    assert end(start_import(calm, card, disc_bundle)) == (0, "")
    assert end(start(calm, "sync", "--once")) == (0, "")

    seed = random.randrange(10**6)
    record_property("seed", seed)
    chance = random.Random(seed)
    imports_killed = 0
    for _ in range(ROUNDS):
        importing, sending = start_import(shaken, card, disc_bundle), start(shaken, "sync")
        for process in chance.sample((importing, sending), 2):
            time.sleep(chance.uniform(0.1, 0.9))
            process.send_signal(signal.SIGKILL)
            process.communicate(timeout=30)
        assert sending.returncode == -signal.SIGKILL, f"it ended by itself; seed {seed}"
        imports_killed += importing.returncode == -signal.SIGKILL
    assert imports_killed, f"no kill hit an import; seed {seed}"

    assert end(start_import(shaken, card, disc_bundle)) == (0, ""), f"seed {seed}"
    assert end(start(shaken, "sync", "--once")) == (0, ""), f"seed {seed}"
    assert shaken.waiting() == 0
    expected = told(running_site, calm)
    assert {row[1] for row in expected} >= {"photo", "count", "tree", "visit"}
    assert told(running_site, shaken) == expected, f"seed {seed}"
