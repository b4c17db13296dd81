"""The root of the command line."""

from __future__ import annotations

import importlib
import time
from collections.abc import Callable

import click
import pytest

import pomona
from tests.conftest import Pomona
from tests.processes import run_pomona_process, run_python


def test_help_lists_every_command_without_importing_any(record_property: Callable[[str, object], None]) -> None:
    code = """
import sys
import pomona
sys.argv = ["pomona", "--help"]
try:
    pomona.main()
except SystemExit as ended:
    ours = {"calibration", "models", "export", "cloud_sync", "device", "numpy", "pydantic"} & set(sys.modules)
    print(ended.code, sorted(ours), file=sys.stderr)
"""
    started = time.monotonic()
    done = run_python(code)
    seconds = time.monotonic() - started
    record_property("seconds of pomona --help", round(seconds, 2))
    assert done.stderr == "0 []\n"
    assert all(f"  {name} " in done.stdout for name in pomona.cli.list_commands(click.Context(pomona.cli)))
    assert seconds < 10


@pytest.mark.parametrize("name", pomona.cli.list_commands(click.Context(pomona.cli)))
def test_every_command_that_is_listed_is_there_and_helps(run_pomona: Pomona, name: str) -> None:
    done = run_pomona(name, "--help")
    assert done.exit_code == 0
    assert f"Usage: pomona {name}" in done.out


@pytest.mark.parametrize("arguments", [["cuont"], ["visit", "export"], ["count", "--all", "a.jpg"]])
def test_what_is_no_command_or_option_is_wrong_input(run_pomona: Pomona, arguments: list[str]) -> None:
    done = run_pomona(*arguments)
    assert done.exit_code == 2
    assert "No such" in done.err


def test_the_version_is_told(run_pomona: Pomona) -> None:
    done = run_pomona("--version")
    assert (done.exit_code, done.out) == (0, "pomona, version 0.1.0\n")


def test_a_part_that_is_not_installed_is_named_with_its_remedy() -> None:
    done = run_pomona_process("block", "list", blocked=["cloud_sync"])
    assert done.returncode == 1
    assert "'pomona block' needs cloud_sync, which is not installed here" in done.stderr
    assert "pip install '.[device]' in Pomona's folder" in done.stderr


class _OurError(RuntimeError):
    exit_code = 1


@pytest.mark.parametrize(
    ("raised", "code", "said"),
    [
        (_OurError("the disk is full; free some space"), 1, "Error: the disk is full; free some space\n"),
        (KeyboardInterrupt(), 130, "Stopped.\n"),
    ],
)
def test_errors_of_ours_end_with_their_code_and_no_traceback(
    run_pomona: Pomona, monkeypatch: pytest.MonkeyPatch, raised: BaseException, code: int, said: str
) -> None:
    def fail() -> None:
        raise raised

    module = importlib.import_module("device.cli")
    monkeypatch.setattr(module, "block", click.Command("block", callback=fail))
    done = run_pomona("block")
    assert done.exit_code == code
    assert done.err.lstrip() == said


def test_a_mistake_in_the_code_keeps_its_traceback(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def fail() -> None:
        raise ZeroDivisionError

    monkeypatch.setattr(importlib.import_module("device.cli"), "block", click.Command("block", callback=fail))
    monkeypatch.setattr("sys.argv", ["pomona", "block"])
    with pytest.raises(ZeroDivisionError):
        pomona.main()
