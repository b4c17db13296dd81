"""Sync as a person does it: every step a command, each a process of its own."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

from device.store.database import Store
from tests.cloud_sync.helpers import EXAMPLES, enqueue, example
from tests.system.conftest import Site

_ROOT = Path(__file__).parents[2]


def pomona(home: Path, *arguments: object) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "pomona", *map(str, arguments)],
        env={**os.environ, "PYTHONPATH": str(_ROOT), "POMONA_HOME": str(home)},
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )


def test_from_enrolment_to_holdings(site: Site, tmp_path: Path) -> None:
    """SYNC-033, SYNC-034: and what is said when the broker, and then the server, is not there yet."""
    home, server = tmp_path / "home", site.server_folder.path
    store = Store(home)
    enqueue(store, [example(kind) for kind in EXAMPLES])
    store.close()

    early = pomona(home, "sync", "--once")
    assert (early.returncode, "pomona sync request NAME" in early.stderr) == (2, True)
    assert pomona(home, "sync", "request", "kiwi-07").returncode == 0
    request = home / "identity" / "device.csr"
    enrolled = pomona(home, "server", "enroll", request, "--folder", server, "--out", tmp_path / "kiwi.json")
    assert enrolled.returncode == 0, enrolled.stderr
    assert pomona(home, "sync", "accept", tmp_path / "kiwi.json").returncode == 0

    absent = pomona(home, "sync", "--once", "--time-limit", 1)
    assert absent.returncode == 1
    assert f"broker localhost:{site.port} cannot be reached" in absent.stderr
    site.start_broker()
    alone = pomona(home, "sync", "--once", "--time-limit", 1)
    assert alone.returncode == 1
    assert f"{len(EXAMPLES)} messages still wait" in alone.stderr
    assert "Nothing was lost" in alone.stderr
    process = site.start_server()
    done = pomona(home, "sync", "--once")
    assert (done.returncode, done.stderr) == (0, "")
    assert site.stop(process)[0] == 0

    held = json.loads(pomona(home, "server", "holdings", "--folder", server, "--json").stdout)
    assert held["records"] == dict.fromkeys(sorted(EXAMPLES), 1)
    assert held["blocks"][0]["counts"] == {"apple": 131}
    for failed in (early, absent, alone):
        assert "Traceback" not in failed.stderr
