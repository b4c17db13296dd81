"""``pomona map`` on the drawn region, in a process of its own."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

from tests.models.orchards.drawn_region import Region
from tests.processes import ROOT

ENVIRONMENT = {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}


def map_arguments(region: Region, out: Path, *more: object) -> list[str]:
    """The command that maps the region in tiles of 256 pixels."""
    command = [sys.executable, ROOT / "pomona.py", "map", "orchards", "--classifier", "cart", "--block-km", 1]
    files = ["--features", region.features, "--points", region.points, "--cropland", region.cover, "--out", out]
    return [str(part) for part in (*command, *files, "--memory-mb", 16, "--threads", 1, *more)]


def run_map(region: Region, out: Path, *more: object) -> str:
    """Map to the end; what the command says."""
    done = subprocess.run(
        map_arguments(region, out, *more), env=ENVIRONMENT, capture_output=True, text=True, timeout=200, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def kill_while_mapping(region: Region, out: Path, tiles: int) -> None:
    """Start to map, and kill -9 when so many tiles are there."""
    with subprocess.Popen(
        map_arguments(region, out), env=ENVIRONMENT, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    ) as process:
        deadline = time.monotonic() + 200
        while len(list((out / "tiles").glob("*.npy"))) < tiles:
            assert process.poll() is None, "it ended before it could be killed"
            assert time.monotonic() < deadline
            time.sleep(0.0005)
        process.kill()
