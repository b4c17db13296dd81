"""A program with mounts and networks of its own: nothing it leaves behind outlives it, however it ends."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Sequence

import pytest

from tests.processes import ROOT

# set for a program that runs apart, so that it does not ask for it again
_IS_APART = "POMONA_TESTS_APART"


def is_apart() -> bool:
    """Whether this process may mount and make networks without harm."""
    return _IS_APART in os.environ


def apart(words: Sequence[object]) -> list[str]:
    """The command that runs Python with these words apart; without root rights as a user who has them in there."""
    rights = [] if os.geteuid() == 0 else ["--map-root-user"]
    with_loopback = ["sh", "-c", 'ip link set lo up && exec "$@"', "sh"]
    return ["unshare", "--mount", "--net", *rights, *with_loopback, sys.executable, *map(str, words)]


def need_apart() -> None:
    """Skip the test that asks where nothing can run apart."""
    if subprocess.run(apart(["-c", ""]), capture_output=True, check=False).returncode:
        pytest.skip("needs root, or a kernel that lets users make namespaces")


def run_apart(words: Sequence[object], timeout_s: float | None = None) -> subprocess.CompletedProcess[str]:
    """Run Python with these words apart; its output is captured."""
    environment = {**os.environ, _IS_APART: "yes", "PYTHONPATH": str(ROOT)}
    return subprocess.run(
        apart(words), env=environment, cwd=ROOT, capture_output=True, text=True, check=False, timeout=timeout_s
    )


def go_apart(words: Sequence[object]) -> None:
    """Become the same program apart."""
    os.environ[_IS_APART] = "yes"
    command = apart(words)
    os.execvp(command[0], command)
