"""What a power cut leaves: of the simulated disk, of the device's store and of the server's database."""

from __future__ import annotations

import random
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.processes import ROOT
from tests.system.faults.cut_device import cut_device_power
from tests.system.faults.cut_page import cut_page_power
from tests.system.faults.cut_server import cut_server_power
from tests.system.faults.cuts import LostError, cut_power
from tests.system.faults.power import Disk
from tests.system.faults.tracing import Op, TraceError, read_trace, strace

PRELUDE = """
import os, sqlite3, sys
from pathlib import Path
root = Path(sys.argv[1])
"""
SAY = r"""
said = os.open(root / "said", os.O_WRONLY | os.O_CREAT | os.O_APPEND)
db = sqlite3.connect(root / "db", isolation_level=None)
db.execute("PRAGMA journal_mode = WAL")
db.execute("PRAGMA synchronous = {synchronous}")
db.execute("CREATE TABLE number (value INTEGER, text TEXT)")
for value in range(15):
    db.execute("INSERT INTO number VALUES (?, ?)", [value, "x" * 300])
    os.write(said, f"{{value}}\n".encode())
"""


@pytest.fixture
def trace(tmp_path: Path) -> Callable[[str], list[Op]]:
    """Runs a program under the tracer; returns what it did to the folder it was given."""
    assert shutil.which("strace"), "the tests of power cuts need strace: apt-get install strace, or run make test"
    (tmp_path / "root").mkdir()

    def run(program: str) -> list[Op]:
        words = [sys.executable, "-c", PRELUDE + program, tmp_path / "root"]
        subprocess.run(strace(tmp_path / "trace", words), check=True, cwd=ROOT)
        return read_trace(tmp_path / "trace", tmp_path / "root")

    return run


def futures(root: Path, ops: list[Op], scratch: Path, number: int = 200) -> list[dict[str, bytes]]:
    """Files as they may be after a cut at the end of a trace."""
    disk = Disk(root)
    for op in ops:
        disk.apply(op)
    found = []
    for seed in range(number):
        folder = scratch / f"future-{seed}"
        disk.cut(random.Random(seed), folder)
        found.append({str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()})
    return found


def test_a_trace_tells_all_that_was_done(trace: Callable[[str], list[Op]], tmp_path: Path) -> None:
    """With everything synced there is one future, and it is what the processes see."""
    ops = trace("""
from device.store import Store
store = Store(root / "home")
store.photos.add(b"photo" * 10_000, ".jpg")
other = Store(root / "home")
for number in range(3):
    with store.change():
        store.db.execute("UPDATE store_identity SET raised = ?", [number])
store.close()
(root / "home" / "old").write_text("old")
(root / "home" / "old").rename(root / "new")
(root / "new").open("a").write("er")
os.unlink(root / "home" / "store.sqlite-shm")
os._exit(0)
""")
    root = tmp_path / "root"
    ops += [Op(0, "sync", str(path), covers=len(ops)) for path in [root, *root.rglob("*")]]
    real = {str(path.relative_to(root)): path.read_bytes() for path in root.rglob("*") if path.is_file()}
    assert real["new"] == b"older"
    assert len(real) == 4, "database, its log, photo and renamed file"
    assert all(future == real for future in futures(root, ops, tmp_path, 5))


def test_what_was_not_synced_may_be_there_in_part_or_not(trace: Callable[[str], list[Op]], tmp_path: Path) -> None:
    ops = trace("""
file = (root / "a").open("wb", buffering=0)
file.write(b"a" * 4096)
os.fsync(file.fileno())
folder = os.open(root, os.O_RDONLY)
os.fsync(folder)
file.write(b"b" * 2048)
os.pwrite(file.fileno(), b"c" * 100, 0)
(root / "a").rename(root / "b")
""")
    found = futures(tmp_path / "root", ops, tmp_path)
    assert {name for future in found for name in future} == {"a", "b"}
    assert all(len(future) == 1 for future in found), "a rename is whole"
    contents = {content for future in found for content in future.values()}
    assert {b"a" * 4096, b"c" * 100 + b"a" * 3996 + b"b" * 2048} <= contents
    assert {len(content) for content in contents} >= {4096, 4096 + 512, 4096 + 2048}
    assert any(b"\0" * 512 + b"b" * 512 in content for content in contents), "later sectors without earlier ones"
    assert all(content[100:4096] == b"a" * 3996 for content in contents), "what was synced stays"


@pytest.mark.parametrize(
    ("program", "lasts"),
    [
        ("(root / 'new').write_bytes(b'n' * 2000); (root / 'new').rename(root / 'file')", False),
        ("from cloud_sync.files import write_whole; write_whole(root / 'file', b'n' * 2000)", True),
    ],
)
def test_a_file_that_is_replaced_lasts_only_if_it_is_synced(
    trace: Callable[[str], list[Op]], tmp_path: Path, program: str, lasts: bool
) -> None:
    ops = trace(f"from cloud_sync.files import write_whole\nwrite_whole(root / 'file', b'old')\n{program}")
    found = [future.get("file") for future in futures(tmp_path / "root", ops, tmp_path)]
    assert (set(found) == {b"n" * 2000}) is lasts


@pytest.mark.parametrize(("synchronous", "lasts"), [("FULL", True), ("NORMAL", False)])
def test_a_database_lasts_only_if_it_is_synced(
    trace: Callable[[str], list[Op]], tmp_path: Path, synchronous: str, lasts: bool
) -> None:
    """The simulation finds what it is there to find."""
    root = tmp_path / "root"
    ops = trace(SAY.format(synchronous=synchronous))
    said = [number for number, op in enumerate(ops, start=1) if op.path == str(root / "said") and op.kind == "write"]
    assert len(said) == 15

    def check(folder: Path, moment: int) -> list[str]:
        program = "print(sqlite3.connect(root / 'db').execute('SELECT count(*) FROM number').fetchone()[0])"
        if not (acknowledged := sum(number <= moment for number in said)):
            return []
        done = subprocess.run(
            [sys.executable, "-c", PRELUDE + program, folder], capture_output=True, text=True, check=False
        )
        return [] if int(done.stdout or -1) >= acknowledged else [f"{acknowledged} were said: {done.stdout}"]

    scratch = tmp_path / "scratch"
    scratch.mkdir()
    if lasts:
        assert cut_power(root, ops, check, 15, 1, scratch).cuts == 15
    else:
        with pytest.raises(LostError, match=r"seed 1, cut \d+ after op"):
            cut_power(root, ops, check, 15, 1, scratch)


def test_a_call_that_is_not_understood_is_an_error(trace: Callable[[str], list[Op]]) -> None:
    with pytest.raises(TraceError, match=r"link on .* is not understood"):
        trace("(root / 'a').write_text('a'); os.link(root / 'a', root / 'b')")
    with pytest.raises(TraceError, match="is written through memory"):
        trace("import mmap; f = (root / 'm').open('w+b'); f.truncate(4096); mmap.mmap(f.fileno(), 4096)[0] = 1")


def test_a_device_loses_nothing_it_has_acknowledged(mosquitto: None, tmp_path: Path) -> None:
    """SYNC-013."""
    cut_device_power(tmp_path, 20, random.randrange(10**6), trees=3)


def test_a_server_loses_nothing_it_has_answered_for(mosquitto: None, tmp_path: Path) -> None:
    """SYNC-022, SYNC-048."""
    cut_server_power(tmp_path, 30, random.randrange(10**6), records=50)


@pytest.mark.slow
@pytest.mark.timeout(3600)
def test_a_thousand_cuts_of_a_device_lose_nothing(mosquitto: None, tmp_path: Path) -> None:
    """SYNC-013."""
    cut_device_power(tmp_path, 1000, random.randrange(10**6))


@pytest.mark.slow
@pytest.mark.timeout(3600)
def test_a_thousand_cuts_lose_no_photo_that_a_phone_has_sent(tmp_path: Path) -> None:
    cut_page_power(tmp_path, 1000, random.randrange(10**6))


@pytest.mark.slow
@pytest.mark.timeout(3600)
def test_a_thousand_cuts_of_a_server_lose_nothing(mosquitto: None, tmp_path: Path) -> None:
    """SYNC-022, SYNC-048."""
    cut_server_power(tmp_path, 1000, random.randrange(10**6))
