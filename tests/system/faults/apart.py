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
    """The command that runs a program apart; without root rights as a user who has them in there."""
    rights = [] if os.geteuid() == 0 else ["--map-root-user"]
    with_loopback = ["sh", "-c", 'ip link set lo up && exec "$@"', "sh"]
    return ["unshare", "--mount", "--net", *rights, *with_loopback, *map(str, words)]


def need_apart() -> None:
    """Skip the test that asks where nothing can run apart."""
    if subprocess.run(apart(["true"]), capture_output=True, check=False).returncode:
        pytest.skip(
            "needs a disk and a network of its own: run it as root, or let users make namespaces, on Ubuntu with "
            "sysctl kernel.apparmor_restrict_unprivileged_userns=0"
        )


def run_apart(words: Sequence[object], timeout_s: float | None = None) -> subprocess.CompletedProcess[str]:
    """Run a program apart; its output is captured."""
    environment = {**os.environ, _IS_APART: "yes", "PYTHONPATH": str(ROOT)}
    return subprocess.run(
        apart(words), env=environment, cwd=ROOT, capture_output=True, text=True, check=False, timeout=timeout_s
    )


def go_apart(words: Sequence[object]) -> None:
    """Become the same program apart."""
    os.environ[_IS_APART] = "yes"
    command = apart([sys.executable, *words])
    os.execvp(command[0], command)
