"""Work in a process of its own: whatever becomes of it is told, and none is left running."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from export.runtime.child_process import run_child
from export.runtime.errors import EngineError
from tests.processes import ROOT

CHILD = "tests.child"


def wait_until(condition: Callable[[], bool], seconds: float = 20) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.01)


def is_running(process: int) -> bool:
    """Whether a process runs; one that has ended and waits to be asked about it does not."""
    try:
        return Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False


def test_work_that_is_done_says_nothing(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    run_child(CHILD, {"what": "end", "file": str(tmp_path / "done")}, 60)
    assert int((tmp_path / "done").read_text()) != os.getpid()
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize(
    ("what", "said"),
    [
        ("refuse", r"^the graph has no nodes; install the bundle again$"),
        ("fill the disk", r"^\[Errno 28\] No space left on device: '/engines/0\.engine'$"),
        ("mistake", r"^it ended with code 1; it said last: .*ZeroDivisionError$"),
        ("exit", r"^it ended with code 7; it said last: a library talks$"),
        (
            "be killed",
            r"^it was killed, most likely for want of memory; lower --workspace-mib, and end other",
        ),
        ("crash", r"^signal 11 ended it; it said last: "),
    ],
)
def test_how_it_failed_is_told(what: str, said: str) -> None:
    with pytest.raises(EngineError, match=said):
        run_child(CHILD, {"what": what}, 60)


def test_a_library_that_talks_a_lot_stops_nothing() -> None:
    run_child(CHILD, {"what": "end", "lines": 100_000}, 60)
    with pytest.raises(EngineError, match=r"^the graph has no nodes"):
        run_child(CHILD, {"what": "refuse", "lines": 100_000}, 60)


def test_after_the_time_limit_it_is_killed(tmp_path: Path) -> None:
    started = time.monotonic()
    with pytest.raises(EngineError, match=r"^stopped after 0\.05 minutes; raise --time-limit"):
        run_child(CHILD, {"what": "last", "file": str(tmp_path / "child")}, 3)
    assert time.monotonic() - started < 20
    assert not is_running(int((tmp_path / "child").read_text()))


def test_a_module_that_is_not_there_is_told() -> None:
    with pytest.raises(EngineError, match=r"it ended with code 1; it said last: .*No module named tests\.nowhere"):
        run_child("tests.nowhere", {"what": "end"}, 60)


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM, signal.SIGINT])
def test_it_does_not_outlive_its_parent(tmp_path: Path, number: signal.Signals) -> None:
    file = tmp_path / "child"
    code = f"""
import signal
from export.runtime.child_process import run_child
signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell lets its background jobs ignore it
run_child({CHILD!r}, {{"what": "last", "file": {str(file)!r}}}, 60)
"""
    with subprocess.Popen([sys.executable, "-c", code], cwd=ROOT, stderr=subprocess.DEVNULL) as parent:
        wait_until(lambda: file.exists() and file.read_text() != "")
        child = int(file.read_text())
        assert is_running(child)
        parent.send_signal(number)
    wait_until(lambda: not is_running(child))


@pytest.mark.skipif(sys.platform != "linux", reason="needs Linux")
def test_it_gives_way_to_others_and_dies_first_for_want_of_memory() -> None:
    nice = min(os.nice(0) + 10, 19)
    with pytest.raises(EngineError, match=rf"^{nice} 1000$"):
        run_child(CHILD, {"what": "manners"}, 60)
