"""The demo's other processes: a real broker and a real server, on loopback."""

from __future__ import annotations

import contextlib
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

from device.errors import DemoError, MissingPartError

_HOST = "127.0.0.1"
_PATIENCE_S = 30.0


def pomona(*arguments: str | Path) -> str:
    """Run a ``pomona`` command in a process of its own, as a person would, and return what it printed.

    Raises:
        DemoError: it failed; the message holds what it said.
    """
    done = subprocess.run(
        [sys.executable, "-m", "pomona", *map(str, arguments)], capture_output=True, text=True, check=False
    )
    if done.returncode:
        raise DemoError(f"pomona {' '.join(map(str, arguments))}: {done.stderr.strip() or done.stdout.strip()}")
    return done.stdout


def free_ports(count: int) -> list[int]:
    """TCP ports of loopback that nobody listens on."""
    with contextlib.ExitStack() as probes:
        found = [probes.enter_context(socket.create_server((_HOST, 0))) for _ in range(count)]
        return [int(probe.getsockname()[1]) for probe in found]


@contextlib.contextmanager
def broker(configuration: Path, port: int, log: Path) -> Iterator[None]:
    """A Mosquitto broker with the server's configuration, until the block ends.

    Raises:
        MissingPartError: Mosquitto is not installed.
        DemoError: it does not start; the message holds the end of its log.
    """
    # Debian puts it where only root's PATH looks
    program = shutil.which("mosquitto") or shutil.which("mosquitto", path="/usr/sbin:/usr/local/sbin")
    if program is None:
        raise MissingPartError("the demo needs the broker Mosquitto: sudo apt install mosquitto")
    with _running([program, "-c", str(configuration)], log) as process:
        until = time.monotonic() + _PATIENCE_S
        while not _listens(port):
            if process.poll() is not None or time.monotonic() > until:
                raise DemoError(f"the broker does not start; {_end_of(log)}")
            time.sleep(0.05)
        yield


@contextlib.contextmanager
def server(folder: Path, log: Path) -> Iterator[None]:
    """``pomona server run`` on a server folder, until the block ends.

    Raises:
        DemoError: it does not get ready; the message holds the end of its log.
    """
    with _running([sys.executable, "-u", "-m", "pomona", "server", "run", "--folder", str(folder)], log) as process:
        until = time.monotonic() + _PATIENCE_S
        while "ready" not in log.read_text(encoding="utf-8").splitlines():
            if process.poll() is not None or time.monotonic() > until:
                raise DemoError(f"the server does not get ready; {_end_of(log)}")
            time.sleep(0.05)
        yield


@contextlib.contextmanager
def _running(command: list[str], log: Path) -> Iterator[subprocess.Popen[bytes]]:
    with log.open("wb") as output, subprocess.Popen(command, stdout=output, stderr=subprocess.STDOUT) as process:
        try:
            yield process
        finally:
            process.terminate()
            try:
                process.wait(timeout=10)
            except subprocess.TimeoutExpired:
                process.kill()


def _listens(port: int) -> bool:
    with socket.socket() as probe:
        probe.settimeout(0.2)
        return probe.connect_ex((_HOST, port)) == 0


def _end_of(log: Path) -> str:
    lines = log.read_text(encoding="utf-8", errors="replace").strip().splitlines()[-5:]
    return f"{log} ends with: {' | '.join(lines) or 'nothing'}"
