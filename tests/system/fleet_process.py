"""A real ``pomona server fleet`` process on a server that virtual devices have sent to."""

from __future__ import annotations

import re
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from cloud_sync.server.database import Database
from tests.cloud_sync.helpers import make_server
from tests.cloud_sync.virtual_fleet import VirtualDevice, fill, fill_blocks

_ROOT = Path(__file__).parents[2]


@dataclass(frozen=True)
class FleetServer:
    """A server folder and its pages.

    Attributes:
        folder: the folder.
        address: where the pages are.
        process: who serves them.
    """

    folder: Path
    address: str
    process: subprocess.Popen[str]

    def receive(self, *devices: VirtualDevice) -> None:
        """Let devices send what they would."""
        database = Database.in_file(self.folder / "pomona.sqlite")
        fill(database, list(devices))
        database.close()

    def stop(self) -> None:
        """End the process."""
        self.process.terminate()
        self.process.communicate(timeout=30)


def start_fleet_server(folder: Path, devices: list[VirtualDevice]) -> FleetServer:
    """Make a server folder, let devices send to it, and serve its pages."""
    home = make_server(folder)
    database = Database.in_file(home.database)
    fill(database, devices)
    fill_blocks(database)
    database.close()
    process = subprocess.Popen(
        [sys.executable, "-m", "pomona", "server", "fleet", "--folder", str(folder), "--port", "0"],
        cwd=_ROOT,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    address = re.search(r"http://\S+", process.stdout.readline())
    assert address is not None
    return FleetServer(folder, address[0], process)
