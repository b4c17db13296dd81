"""``pomona models install`` killed at each change of the disk, run twice at once, and on a disk that is full.

Real processes: whatever happens, the old model serves or the new one, and the next run ends what the last one began.
"""

from __future__ import annotations

import signal
import subprocess
import sys
from pathlib import Path

import pytest

from device.releases.active import read_active
from device.releases.installing import install
from device.releases.source import FolderSource
from device.store import Store
from tests.drawing import save_photo
from tests.processes import ROOT
from tests.releases import Releases
from tests.system.faults.apart import need_apart, run_apart

# dies of SIGKILL right before the n-th change of the disk, of which Python itself tells, and says at which it was
KILLED = """
import os, signal, sys
import pomona, device.cli, device.releases.installing  # what importing writes is not counted
CHANGES = {"os.rename", "os.remove", "os.mkdir", "os.rmdir", "os.truncate", "os.symlink", "sqlite3.connect"}
WRITES = os.O_WRONLY | os.O_RDWR | os.O_DIRECTORY  # a folder is opened to sync the names in it
home, source, step = sys.argv[1], sys.argv[2], int(sys.argv[3])
seen = 0
def watch(event, arguments):
    global seen
    writes = event == "open" and isinstance(arguments[2], int) and arguments[2] & WRITES
    if event in CHANGES or writes:
        seen += 1
        if seen == step:
            print(step, event, *arguments[:2], flush=True)
            os.kill(os.getpid(), signal.SIGKILL)
sys.argv[:] = ["pomona", "models", "install", source, "--home", home]
sys.addaudithook(watch)
pomona.main()
"""


def killed_install(home: Path, source: Path, step: int) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", KILLED, home, source, str(step)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


def serving(home: Path) -> str:
    store = Store(home)
    try:
        return read_active(store, "detection").bundle
    finally:
        store.close()


def counts(home: Path, photo: Path) -> str:
    """What counts in a photo, in a process of its own."""
    done = subprocess.run(
        [sys.executable, "-m", "pomona", "count", str(photo), "--json", "--home", str(home)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def killed_somewhere(releases: Releases, home: Path, tmp_path: Path, steps: range) -> list[str]:
    """Kill installations of one release after the other, and say where each died."""
    photo = save_photo(tmp_path / "tree.jpg", 3)
    store = Store(home)
    old = releases.add("1.0.1")
    install(store, FolderSource(releases.source))
    store.close()
    places = []
    for number, step in enumerate(steps):
        new = releases.add(f"2.0.{number}")
        done = killed_install(home, releases.source, step)
        if done.returncode == 0:
            assert serving(home) == new
            break
        assert done.returncode == -signal.SIGKILL, done.stderr
        places.append(done.stdout)
        assert serving(home) in {old, new}
        if number % 6 == 0:
            assert f'"bundle": "{serving(home)}"' in counts(home, photo)
        store = Store(home)
        install(store, FolderSource(releases.source))
        assert read_active(store, "detection").bundle == new
        store.close()
        old = new
        assert not list((home / "releases" / "downloads").iterdir())
    return places


def test_one_that_is_killed_leaves_the_old_model_or_the_new_one(trusting: Releases, home: Path, tmp_path: Path) -> None:
    assert len(killed_somewhere(trusting, home, tmp_path, range(43, 59, 15))) == 2


@pytest.mark.slow
@pytest.mark.timeout(3600)
def test_one_that_is_killed_anywhere_leaves_the_old_model_or_the_new_one(
    trusting: Releases, home: Path, tmp_path: Path
) -> None:
    places = killed_somewhere(trusting, home, tmp_path, range(1, 200))
    for part in ("timestamp.json", ".part", "/.new", "store.sqlite"):
        assert any(part in place for place in places), part


def test_a_copy_that_breaks_off_at_any_byte_goes_on(trusting: Releases, home: Path) -> None:
    identity = trusting.add("1.1.0")
    (archive,) = trusting.repository.targets.iterdir()
    downloads = home / "releases" / "downloads"
    downloads.mkdir(parents=True, exist_ok=True)
    whole = archive.read_bytes()
    store = Store(home)
    for cut in (0, 1, len(whole) - 1, len(whole)):
        (downloads / f"{archive.name.split('.')[0]}.part").write_bytes(whole[:cut])
        install(store, FolderSource(trusting.source))
        assert read_active(store, "detection").bundle == identity
        store.db.execute("DELETE FROM active_model")
        for path in (home / "bundles" / identity).iterdir():
            path.unlink()
        (home / "bundles" / identity).rmdir()
    store.close()


def test_of_two_at_once_one_installs_and_one_says_so(trusting: Releases, home: Path) -> None:
    Store(home).close()
    identity = trusting.add("1.1.0")
    command = [sys.executable, "-m", "pomona", "models", "install", str(trusting.source), "--home", str(home)]
    both = [
        subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) for _ in range(2)
    ]
    said = [process.communicate(timeout=120) for process in both]
    codes = [process.returncode for process in both]
    assert 0 in codes
    for code, (_, err) in zip(codes, said, strict=True):
        assert code == 0 or "another installation is under way on this device" in err
    assert serving(home) == identity


FULL = """
set -e
mount -t tmpfs -o size=3m none "$1"
cp -r "$2/home/." "$1"
if [ -n "$5" ]; then
    mkdir -p "$1/releases/downloads"
    cp "$4/targets/$5".* "$1/releases/downloads/$5"
    dd if=/dev/zero of="$1/filler" bs=1k 2>&- || true
    truncate -s -60k "$1/filler"
fi
exec "$3" -m pomona models install "$4" --home "$1"
"""


@pytest.mark.parametrize("fetched", [False, True])
def test_a_full_disk_is_named_and_leaves_what_was_there(
    trusting: Releases, home: Path, tmp_path: Path, fetched: bool
) -> None:
    """Nothing is begun without room for counts; and where the disk filled up meanwhile, unpacking says so."""
    need_apart()
    Store(home).close()
    trusting.add("1.1.0")
    (archive,) = trusting.repository.targets.iterdir()
    mounted = tmp_path / "mounted"
    mounted.mkdir()
    sha256 = archive.name.split(".")[0] if fetched else ""
    words = ["sh", "-c", FULL, "sh", mounted, tmp_path, sys.executable, trusting.source, sha256]
    done = run_apart(words, timeout_s=120)
    assert done.returncode == 1, done.stderr
    said = "discs-1.1.0 cannot be unpacked: No space left on device" if fetched else "MB are left for counts"
    assert said in done.stderr
    assert "free some space" in done.stderr
