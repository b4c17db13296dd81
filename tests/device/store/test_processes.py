"""The store under several processes, on a full disk and on one that cannot be written."""

from __future__ import annotations

import shutil
import subprocess
import sys
from collections import Counter as Tally
from pathlib import Path

import pytest

from device.store import Store
from tests.device.visiting import table
from tests.processes import ROOT

WRITER = """
import sys
from pathlib import Path
from device.orchards import BlockSettings, register_block
from device.store import Store
store = Store(Path(sys.argv[1]))
for number in range(15):
    register_block(store, f"{sys.argv[2]}-{number}", "North farm", BlockSettings(trees=number + 1))
"""

FILLER = """
import itertools, os, sys
from pathlib import Path
from device.errors import StoreError
from device.orchards import BlockSettings, register_block
from device.store import Store
home = Path(sys.argv[1])
store = Store(home)
register_block(store, "B1", "North farm", BlockSettings())
kept = 0
try:
    for number in itertools.count():
        store.photos.add(os.urandom(100_000), ".jpg")
        kept += 1
except StoreError as error:
    print(error)
try:
    for number in itertools.count():
        register_block(store, f"block {number}" + "x" * 150, "North farm", BlockSettings())
except StoreError as error:
    print(error)
photos = [path for path in (home / "photos").rglob("*") if path.is_file()]
assert len(photos) == kept > 0, photos
photos[0].unlink()
register_block(store, "after the disk was full", "North farm", BlockSettings())
assert next(iter(store.db.query("PRAGMA integrity_check")))["integrity_check"] == "ok"
print("went on")
"""

READER = """
import sys
from pathlib import Path
from device.errors import StoreError
from device.store import Store
try:
    Store(Path(sys.argv[1]))
except StoreError as error:
    print(error)
"""


def run_mounted(mount: str, code: str, home: Path) -> subprocess.CompletedProcess[str]:
    """Run code with something mounted that nobody else sees and that goes with the process."""
    unshare = shutil.which("unshare")
    allowed = unshare and subprocess.run([unshare, "-rm", "true"], capture_output=True, check=False).returncode == 0
    if not unshare or not allowed:
        pytest.skip("this machine lets nobody mount: needs unshare of util-linux and user namespaces")
    script = f'{mount} && exec "$0" -c "$2" "$1"'
    return subprocess.run(
        [unshare, "-rm", "sh", "-c", script, sys.executable, str(home), code],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


def test_processes_that_open_and_write_a_new_store_at_once_lose_nothing(home: Path) -> None:
    writers = [
        subprocess.Popen([sys.executable, "-c", WRITER, home, name], cwd=ROOT, stderr=subprocess.PIPE, text=True)
        for name in ("page", "sync", "counting")
    ]
    assert [writer.communicate(timeout=120)[1] for writer in writers] == ["", "", ""]
    store = Store(home)
    assert len(table(store, "block")) == 45
    assert Tally(row["type"] for row in table(store, "outbox")) == {"orchard": 1, "block": 45}
    assert len(table(store, "store_identity")) == 1
    store.close()


def test_a_full_disk_is_named_and_nothing_recorded_is_lost(home: Path) -> None:
    home.mkdir()
    done = run_mounted('mount -t tmpfs -o size=1m none "$1"', FILLER, home)
    assert done.stderr == ""
    photo, database, end = done.stdout.splitlines()
    assert photo.startswith(f"photo {home}")
    assert photo.endswith("cannot be written: No space left on device; free some space")
    assert database.startswith(f"store {home / 'store.sqlite'}: ")
    assert database.endswith("database or disk is full; free some space; nothing recorded was lost")
    assert end == "went on"


def test_a_folder_that_cannot_be_written_is_named_with_the_remedy(home: Path) -> None:
    home.mkdir()
    read_only = 'mount --bind "$1" "$1" && mount -o remount,ro,bind "$1"'
    new = run_mounted(read_only, READER, home)
    assert f"store {home / 'store.sqlite'}: unable to open database file; check the folder's permissions" in new.stdout
    Store(home).close()
    known = run_mounted(read_only, READER, home)
    assert f"store {home / 'store.sqlite'}: " in known.stdout
    assert "; check the folder's permissions and the disk" in known.stdout
