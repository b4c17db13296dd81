"""Starts processes of the product within milliseconds: a warm interpreter that forks one for each request.

A campaign restarts thousands of processes, and most of a start is importing libraries. What runs in the fork is the
product's own command or loop, in a process of its own that SIGKILL ends like any other.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import traceback
from collections.abc import Sequence
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import Any

import pomona
from cloud_sync import uplink
from cloud_sync.uplink import UplinkSettings
from tests.processes import ROOT
from tests.system.faults.moments import AtCall, die_at

# everything that a start would import; named here so that the fork finds it imported
_WARM = (
    "cloud_sync.server.cli",
    "cloud_sync.server.ingest",
    "device.cli",
    "device.by_hand",
    "device.watching",
    "device.commands.visit",
    "device.commands.sync",
    "export.runtime.engines.choice",
    "export.runtime.engines.onnx_runtime",
    "onnxruntime",
)


class Process:
    """A process that the starter made.

    Args:
        starter: who made it and can say how it ended.
        pid: its number, which is not given to another before :meth:`wait`.
        log: what it has said.
    """

    def __init__(self, starter: Starter, pid: int, log: Path) -> None:
        self._starter = starter
        self.pid = pid
        self.log = log
        self.returncode: int | None = None

    def poll(self) -> int | None:
        """Its exit code, negative for a signal; None while it runs."""
        if self.returncode is None:
            self.returncode = self._starter.ask({"poll": self.pid})
        return self.returncode

    def wait(self) -> int:
        """Wait for its end."""
        if self.returncode is None:
            self.returncode = self._starter.ask({"wait": self.pid})
        assert self.returncode is not None
        return self.returncode

    def kill(self) -> int:
        """SIGKILL, as a crash: no handler runs. Returns its exit code, another than -9 when it had ended before."""
        if self.poll() is None:
            os.kill(self.pid, signal.SIGKILL)
        return self.wait()

    def stop(self) -> int:
        """End it as systemd would."""
        if self.poll() is None:
            os.kill(self.pid, signal.SIGTERM)
        return self.wait()


class Starter:
    """The warm interpreter.

    Args:
        folder: where logs go.
        enter: words before its command, such as those that make it run in another network.
    """

    def __init__(self, folder: Path, enter: Sequence[str] = ()) -> None:
        self._folder = folder
        self._number = 0
        self._service = subprocess.Popen(
            [*enter, sys.executable, "-m", __name__],
            cwd=ROOT,
            env={**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": str(ROOT)},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            bufsize=1,
        )

    def ask(self, request: dict[str, Any]) -> int | None:
        """One question to the service, one number as its answer."""
        assert self._service.stdin is not None
        assert self._service.stdout is not None
        self._service.stdin.write(json.dumps(request) + "\n")
        answer = self._service.stdout.readline()
        assert answer, "the starter has died; see its traceback above"
        number: int | None = json.loads(answer)
        return number

    def pomona(self, *arguments: object, name: str = "pomona", until: AtCall | None = None) -> Process:
        """Start a command line, which may be killed at a moment."""
        return self._start({"pomona": [str(argument) for argument in arguments]}, name, until)

    def uplink(self, folder: Path, settings: UplinkSettings, until: AtCall | None = None) -> Process:
        """Start `pomona sync` with timers short enough for a campaign."""
        request = {"pomona": ["sync", "--home", str(folder)], "settings": asdict(settings)}
        return self._start(request, "uplink", until)

    def _start(self, request: dict[str, Any], name: str, until: AtCall | None) -> Process:
        self._number += 1
        log = self._folder / f"{name}-{self._number:05}.log"
        log.touch()  # it may be killed before it opens it
        pid = self.ask({**request, "log": str(log), "until": until and asdict(until)})
        assert pid is not None
        return Process(self, pid, log)

    def close(self) -> None:
        """End the service; its processes are to be ended before."""
        self._service.communicate(timeout=30)


def _serve() -> None:
    for name in _WARM:
        __import__(name)
    for line in sys.stdin:
        request = json.loads(line)
        if "poll" in request or "wait" in request:
            answer = _ended(request.get("poll") or request["wait"], os.WNOHANG if "poll" in request else 0)
        else:
            answer = os.fork()
            if answer == 0:
                _become(request)
        sys.stdout.write(json.dumps(answer) + "\n")
        sys.stdout.flush()


def _ended(pid: int, options: int) -> int | None:
    found, status = os.waitpid(pid, options)
    return os.waitstatus_to_exitcode(status) if found else None


def _become(request: dict[str, Any]) -> None:
    """In the fork: run what was asked for, and end without what the service would do at its own end."""
    code = 1
    try:
        log = os.open(request["log"], os.O_WRONLY | os.O_APPEND)
        nothing = os.open(os.devnull, os.O_RDONLY)
        for source, target in ((nothing, 0), (log, 1), (log, 2)):
            os.dup2(source, target)
        os.closerange(3, 256)
        code = _run(request)
    except SystemExit as ended:
        code = int(ended.code or 0)
    except BaseException:  # noqa: BLE001  (the interpreter would print it too)
        traceback.print_exc()
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)


def _run(request: dict[str, Any]) -> int:
    if request["until"]:
        die_at(AtCall(**request["until"]))
    if "settings" in request:
        hurry(UplinkSettings(**request["settings"]))
    sys.argv = ["pomona", *request["pomona"]]
    pomona.main()
    return 0


def hurry(settings: UplinkSettings) -> None:
    """Have `pomona sync` run in this process with these timers, which the command line does not offer."""
    fixed = {name: value for name, value in asdict(settings).items() if name != "metered"}
    uplink.UplinkSettings = partial(UplinkSettings, **fixed)  # type: ignore[assignment,misc]


if __name__ == "__main__":
    _serve()
