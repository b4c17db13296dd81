"""A running server signs its releases again in time."""

from __future__ import annotations

import logging
import threading
import time
from datetime import datetime, timedelta, timezone
from pathlib import Path

import pytest

from cloud_sync.server.folder import ServerFolder
from cloud_sync.server.releases.freshness import fresh_releases
from tests.releases import Releases, days_ago


def days_left(made: Releases, role: str) -> float:
    return (made.repository.expiries()[role] - datetime.now(timezone.utc)) / timedelta(days=1)


def test_half_of_the_time_is_soon_enough(tmp_path: Path) -> None:
    assert not Releases(tmp_path, days_ago(14)).repository.renew_in_time()
    repository = Releases(tmp_path).repository
    before = repository.expiries()
    assert not repository.renew_in_time()
    assert repository.expiries() == before


@pytest.mark.parametrize("days", [16, 31])
def test_a_running_server_renews_what_is_half_over_or_has_ended(tmp_path: Path, days: float) -> None:
    made = Releases(tmp_path, days_ago(days))
    stop = threading.Event()
    with fresh_releases(made.server, stop):
        until = time.monotonic() + 10
        while days_left(made, "timestamp") < 29 and time.monotonic() < until:
            time.sleep(0.01)
    assert days_left(made, "timestamp") > 29
    assert days_left(made, "snapshot") > 89
    assert stop.is_set()


def test_a_key_that_lies_elsewhere_is_said(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    made = Releases(tmp_path, days_ago(16))
    made.repository.keys.path("timestamp").unlink()
    with caplog.at_level(logging.ERROR), fresh_releases(made.server, threading.Event()):
        until = time.monotonic() + 10
        while not caplog.messages and time.monotonic() < until:
            time.sleep(0.01)
    assert "timestamp.key cannot be read" in caplog.messages[0]


def test_a_server_without_releases_has_nothing_to_renew(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    with fresh_releases(ServerFolder(tmp_path), threading.Event()):
        pass
    assert not caplog.messages
