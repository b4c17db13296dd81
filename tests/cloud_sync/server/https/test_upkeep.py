"""What a device does beside sending: it hears the time and whom to trust, and renews in time."""

from __future__ import annotations

import json
import logging
import threading
from datetime import datetime, timedelta, timezone

import pytest

from cloud_sync.enrolling import hear
from cloud_sync.identity import read_identity
from cloud_sync.server.broker import initialise
from cloud_sync.server.certificates import Authority
from cloud_sync.server.signing import DEVICE_LIFE
from cloud_sync.timekeeping import Timekeeper
from cloud_sync.upkeep import Upkeep
from tests.cloud_sync.helpers import free_port
from tests.cloud_sync.server.https.conftest import HttpsSite, serial_of


def test_it_learns_the_time_and_asks_again_within_hours(https_site: HttpsSite) -> None:
    """SYNC-082."""
    identity = https_site.device("kiwi-30")
    (identity.certificate.parent / "time.json").unlink()
    wait_s = Upkeep(https_site.home("kiwi-30")).once()
    assert 5 * 3600 < wait_s < 7 * 3600
    told = json.loads((identity.certificate.parent / "time.json").read_text())
    assert abs(datetime.fromisoformat(told["at"]) - datetime.now(timezone.utc)) < timedelta(seconds=20)


def test_it_hears_whom_to_trust_and_where_the_server_is_now(https_site: HttpsSite) -> None:
    """SYNC-082."""
    https_site.device("kiwi-31")
    home, folder = https_site.home("kiwi-31"), https_site.server_folder
    settings = folder.read_settings()
    moved = settings.model_copy(update={"port": free_port()})
    Authority(folder).revoke([12345])
    initialise(folder, moved)
    Upkeep(home).once()
    identity = read_identity(home)
    assert identity.broker_port == moved.port
    assert identity.trust_root.read_bytes() == folder.trusted.read_bytes() + folder.revoked.read_bytes()
    initialise(folder, settings)


def test_what_has_not_changed_is_not_written(https_site: HttpsSite) -> None:
    identity = https_site.device("kiwi-32")
    Upkeep(https_site.home("kiwi-32")).once()
    folder = identity.certificate.parent
    before = {file: file.stat().st_ino for file in folder.iterdir() if file.name != "time.json"}
    Upkeep(https_site.home("kiwi-32")).once()
    assert {file: file.stat().st_ino for file in before} == before


def test_it_renews_when_the_server_says_so(
    https_site: HttpsSite, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """SYNC-082, SYNC-083."""
    caplog.set_level(logging.INFO)
    https_site.device("kiwi-33")
    home = https_site.home("kiwi-33")
    first = serial_of(home)
    upkeep = Upkeep(home)
    upkeep.once()
    assert serial_of(home) == first
    later = datetime.now(timezone.utc) + DEVICE_LIFE * 0.6
    monkeypatch.setattr("cloud_sync.server.signing._now", lambda: later)
    upkeep.once()
    assert serial_of(home) != first
    assert "this device has a new key and certificate" in caplog.text
    second = serial_of(home)
    upkeep.once()
    assert serial_of(home) == second


def test_one_log_line_for_a_server_that_is_away_and_waits_that_double(
    https_site: HttpsSite, caplog: pytest.LogCaptureFixture
) -> None:
    """SYNC-082."""
    https_site.device("kiwi-34")
    home = https_site.home("kiwi-34")
    address = home / "identity" / "https.json"
    good = address.read_text()
    address.write_text(json.dumps({"host": "localhost", "port": free_port()}))
    upkeep = Upkeep(home, least_backoff_s=10)
    waits = [upkeep.once() for _ in range(5)]
    assert waits[0] <= 10
    assert 80 <= waits[4] <= 160
    assert [record.levelname for record in caplog.records] == ["WARNING"]
    assert "cannot be reached" in caplog.text
    address.write_text(good)
    assert upkeep.once() > 3600
    assert upkeep.once() > 3600


def test_a_device_without_https_is_left_in_peace(https_site: HttpsSite, caplog: pytest.LogCaptureFixture) -> None:
    identity = https_site.device("kiwi-35")
    (identity.certificate.parent / "https.json").unlink()
    assert Upkeep(https_site.home("kiwi-35")).once() > 3600
    assert caplog.records == []


def test_it_runs_beside_other_work_and_ends_with_it(https_site: HttpsSite) -> None:
    """SYNC-082."""
    identity = https_site.device("kiwi-36")
    (identity.certificate.parent / "time.json").unlink()
    timekeeper = Timekeeper(identity.certificate.parent)
    before = threading.active_count()
    with Upkeep(https_site.home("kiwi-36"), every_s=0.1).running():
        deadline = datetime.now(timezone.utc) + timedelta(seconds=20)
        while timekeeper._server_time() is None:
            assert datetime.now(timezone.utc) < deadline
    assert threading.active_count() == before
    assert hear(https_site.home("kiwi-36")).device == "kiwi-36"
