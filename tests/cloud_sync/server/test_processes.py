"""One of several ingest processes by itself."""

from __future__ import annotations

import multiprocessing
from pathlib import Path

import pytest

from cloud_sync.server.processes import Work, _member
from tests.cloud_sync.helpers import make_server


def test_one_that_fails_when_nobody_watches_any_more_ends_without_a_traceback(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    """The one that started it was killed meanwhile."""
    server = make_server(tmp_path / "server")
    context = multiprocessing.get_context("spawn")
    news, tell = context.Pipe(duplex=False)
    news.close()
    no_such = 99
    process = context.Process(target=_member, args=(Work(server.path, "localhost", 1, None), no_such, tell))
    process.start()
    tell.close()
    process.join(30)
    assert process.exitcode == 2
    assert "Traceback" not in capfd.readouterr().err
