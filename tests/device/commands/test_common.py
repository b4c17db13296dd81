"""What the device's commands share."""

from __future__ import annotations

import os
import signal
import sys
from pathlib import Path

import pytest

from device.commands.common import default_home, opened_store, progress_bar, stop_on_signals
from device.errors import StoreError
from tests.conftest import Pomona
from tests.processes import run_python


def test_records_lie_in_the_users_data_folder(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_DATA_HOME", "/data")
    assert default_home() == Path("/data/pomona")
    monkeypatch.delenv("XDG_DATA_HOME")
    monkeypatch.setenv("HOME", "/home/anna")
    assert default_home() == Path("/home/anna/.local/share/pomona")


def test_the_folder_of_records_can_be_named(run_pomona: Pomona, home: Path, tmp_path: Path) -> None:
    run_pomona("block", "add", "B1", "--orchard", "N", "--home", tmp_path / "other")
    assert (tmp_path / "other" / "store.sqlite").is_file()
    assert not home.exists()
    run_pomona("block", "add", "B1", "--orchard", "N")
    assert (home / "store.sqlite").is_file()


@pytest.mark.parametrize(
    "command",
    [
        *("summary", "block list", "sync status", "sync replay"),
        *("estimate --block B1 --predictions p.csv", "visit import . --block B1 --stage ripening"),
    ],
)
def test_a_folder_without_records_is_named_and_left_as_it_is(run_pomona: Pomona, tmp_path: Path, command: str) -> None:
    for folder in (tmp_path / "typo", tmp_path):
        done = run_pomona(*command.split(), "--home", folder)
        assert done.exit_code == 2
        assert f"{folder} holds no records; check --home, or begin: pomona block add NAME --orchard" in done.err
    assert list(tmp_path.iterdir()) == []


def test_no_command_loads_what_only_others_need() -> None:
    code = "import sys, device.cli; print({'fastapi', 'onnxruntime', 'uvicorn'} & set(sys.modules))"
    assert run_python(code).stdout == "set()\n"


def test_progress_is_silent_in_a_pipe(capfd: pytest.CaptureFixture[str]) -> None:
    with progress_bar("Counting") as progress:
        progress(1, 2)
    assert capfd.readouterr() == ("", "")


def test_progress_is_shown_on_a_terminal(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    monkeypatch.setenv("TERM", "xterm")
    with progress_bar("Counting") as progress:
        progress(1, 2)
    said = capsys.readouterr()
    assert said.out == ""
    assert "Counting" in said.err
    assert "1/2" in said.err


@pytest.mark.usefixtures("run_pomona")
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_signals_ask_to_stop(number: signal.Signals) -> None:
    stop = stop_on_signals()
    assert not stop.is_set()
    os.kill(os.getpid(), number)
    assert stop.is_set()


def test_what_the_disk_does_to_a_command_is_a_failure_with_a_remedy(run_pomona: Pomona, home: Path) -> None:
    home.mkdir()
    (home / "store.sqlite").write_bytes(b"This is no database. " * 100)
    done = run_pomona("summary")
    assert done.exit_code == 1
    assert done.err == f"Error: store {home / 'store.sqlite'}: file is not a database; restore it from a backup\n"


def test_a_query_that_the_disk_fails_is_explained(home: Path) -> None:
    def ask() -> None:
        with opened_store(home, create=True) as store:
            store.db.execute("PRAGMA writable_schema = ON")
            store.db.execute("UPDATE sqlite_master SET rootpage = 999999 WHERE name = 'orchard'")
        with opened_store(home) as damaged:
            list(damaged.db.query("SELECT * FROM orchard"))

    with pytest.raises(StoreError, match=r"malformed.*; restore it from a backup"):
        ask()
