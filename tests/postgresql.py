"""A real PostgreSQL in a temporary folder, on a free port of loopback."""

from __future__ import annotations

import contextlib
import os
import pwd
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

import psutil
import psycopg
import pytest

_USER = "pomona"


def programs() -> Path | None:
    """The folder of its programs, which Debian keeps out of the path; None where it is not installed."""
    found = shutil.which("initdb")
    if found is not None:
        return Path(found).resolve().parent  # a link to one of several programs
    versions = [path for path in Path("/usr/lib/postgresql").glob("*/bin") if (path / "initdb").exists()]
    return max(versions, key=lambda path: float(path.parent.name), default=None)


def need_postgresql() -> None:
    """Skip the test that asks where PostgreSQL is not installed."""
    if programs() is None:
        pytest.skip("needs PostgreSQL: apt-get install postgresql postgresql-postgis, or run make test, which does so")


class PostgreSQL:
    """A server of its own, durable as installed.

    Args:
        settings: further settings, such as ``max_connections=20``.

    Raises:
        RuntimeError: it does not start.
    """

    def __init__(self, settings: Sequence[str] = ()) -> None:
        folder = programs()
        assert folder is not None, "ask programs() first"
        self._programs = folder
        self.folder = Path(tempfile.mkdtemp(prefix="pomona-postgresql-"))
        self._settings = settings
        # it refuses to run as root
        self._owner: str | None = None
        if os.geteuid() == 0:
            self._owner = "nobody"
            os.chown(self.folder, pwd.getpwnam("nobody").pw_uid, -1)
        self._data = self.folder / "data"
        self._process: subprocess.Popen[bytes] | None = None
        self._made = 0
        with socket.socket() as listener:
            listener.bind(("127.0.0.1", 0))
            self.port: int = listener.getsockname()[1]
        try:
            self._run("initdb", "--auth=trust", "--encoding=UTF8", "--locale=C", "--no-sync", f"--username={_USER}")
            self.start()
        except BaseException:
            self.remove()
            raise

    def start(self) -> None:
        """Start it, again after :meth:`kill`."""
        settings = [f"port={self.port}", "listen_addresses=127.0.0.1", "unix_socket_directories=", *self._settings]
        command = [str(self._programs / "postgres"), "-D", str(self._data)]
        for setting in settings:
            command += ["-c", setting]
        log = self.folder / "log"
        with log.open("ab") as stderr:
            self._process = subprocess.Popen(
                command, cwd=self.folder, user=self._owner, stderr=stderr, start_new_session=True
            )
        deadline = time.monotonic() + 30
        while not self._takes_connections():
            if time.monotonic() > deadline or self._process.poll() is not None:
                raise RuntimeError(f"PostgreSQL does not start: {log.read_text(errors='replace')[-2000:]}")
            time.sleep(0.05)

    def kill(self) -> None:
        """As a power cut would: no process of it writes anything more."""
        assert self._process is not None
        workers = psutil.Process(self._process.pid).children(recursive=True)
        self._process.kill()  # first, so that it starts no others
        for worker in workers:
            with contextlib.suppress(psutil.NoSuchProcess):
                worker.kill()
        self._process.wait(20)
        psutil.wait_procs(workers, timeout=20)

    @property
    def pid(self) -> int:
        """The process whose children are all others."""
        assert self._process is not None
        return self._process.pid

    def stop(self) -> None:
        """End it in good order."""
        if self._process is not None and self._process.poll() is None:
            self._process.send_signal(signal.SIGINT)
            self._process.wait(20)

    def remove(self) -> None:
        """End it without a word and delete all it held."""
        if self._process is not None and self._process.poll() is None:
            self._process.send_signal(signal.SIGQUIT)
            self._process.wait(20)
        shutil.rmtree(self.folder, ignore_errors=True)

    def url(self, database: str = "postgres") -> str:
        """Where a database is, as SQLAlchemy writes it."""
        return f"postgresql://{_USER}@127.0.0.1:{self.port}/{database}"

    def make_database(self) -> str:
        """An empty database; returns its URL."""
        self._made += 1
        name = f"made_{self._made}"
        with psycopg.connect(self.url(), autocommit=True) as connection:
            connection.execute(f"CREATE DATABASE {name}")  # type: ignore[arg-type, unused-ignore]
        return self.url(name)

    def _takes_connections(self) -> bool:
        command = [str(self._programs / "pg_isready"), "-q", "-h", "127.0.0.1", "-p", str(self.port)]
        return subprocess.run(command, check=False).returncode == 0

    def _run(self, program: str, *arguments: str) -> None:
        subprocess.run(
            [str(self._programs / program), "-D", str(self._data), *arguments],
            cwd=self.folder,
            user=self._owner,
            check=True,
            capture_output=True,
        )
