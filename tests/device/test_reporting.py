"""The uplink's process says how the device fares: to the server in a message, to this machine in a file."""

from __future__ import annotations

import json
import logging
import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from cloud_sync import clock
from cloud_sync.messages import Envelope, decode_envelope
from cloud_sync.uplink import UplinkNews
from device import reporting
from device.reporting import Reporter, record_of
from device.store import Store
from device.uplink_status import FILE_NAME, read_uplink_status

CONNECTED = UplinkNews(connected=True, condition="connected to broker a:1 as kiwi-07", stored=0, rejected=0)
AWAY = UplinkNews(connected=False, condition="broker a:1 cannot be reached", stored=0, rejected=0)


class Ticking:
    """A clock that is set by hand."""

    def __init__(self) -> None:
        self.now = 1000.0

    def pass_by(self, seconds: float) -> None:
        self.now += seconds


@pytest.fixture
def ticking(monkeypatch: pytest.MonkeyPatch) -> Ticking:
    made = Ticking()
    monkeypatch.setattr(time, "monotonic", lambda: made.now)
    monkeypatch.setattr(clock, "uptime_s", lambda: int(made.now))
    return made


def reports(store: Store) -> list[Envelope]:
    return [decode_envelope(item.payload) for item in store.outbox.waiting("kiwi-07", 0, 10)]


def test_health_is_queued_on_connecting_and_every_quarter_of_an_hour_after(store: Store, ticking: Ticking) -> None:
    """SYNC-062."""
    reporter = Reporter(store, "kiwi-07")
    reporter.note(AWAY)
    assert reports(store) == []
    reporter.note(CONNECTED)
    (first,) = reports(store)
    assert (first.type, first.record, first.revision) == ("health", record_of(store.outbox.store), 1001)
    assert (first.body["device"], first.body["next_s"]) == ("kiwi-07", 900)
    for seconds, revision in ((899, 1001), (1, 1901), (899, 1901), (1, 2801)):
        ticking.pass_by(seconds)
        reporter.note(CONNECTED)
        assert [report.revision for report in reports(store)] == [revision]


def test_a_link_that_comes_and_goes_makes_a_message_a_minute_at_most(store: Store, ticking: Ticking) -> None:
    """SYNC-062."""
    reporter = Reporter(store, "kiwi-07")
    made = set()
    for _ in range(120):
        reporter.note(CONNECTED)
        made |= {report.message for report in reports(store)}
        reporter.note(AWAY)
        ticking.pass_by(1)
    assert len(made) == 2


def test_another_process_in_the_same_boot_goes_on_with_the_record(store: Store, ticking: Ticking) -> None:
    """SYNC-062: also in a store that was restored meanwhile, since nothing has to be remembered."""
    for _ in range(2):
        Reporter(store, "kiwi-07").report()
        ticking.pass_by(5)
    (report,) = reports(store)
    assert (report.record, report.revision) == (record_of(store.outbox.store), 1006)


def test_a_later_boot_and_another_store_have_a_record_of_their_own(
    store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """SYNC-062."""
    other = Store(tmp_path / "other")
    records = {record_of(store.outbox.store), record_of(other.outbox.store)}
    other.close()
    monkeypatch.setattr(clock, "boot_id", lambda: "01234567-89ab-cdef-0123-456789abcdef")
    assert len(records | {record_of(store.outbox.store)}) == 3


def test_two_reports_within_a_second_are_two_revisions(store: Store, ticking: Ticking) -> None:
    """SYNC-062."""
    reporter = Reporter(store, "kiwi-07")
    reporter.report()
    reporter.report()
    assert [report.revision for report in reports(store)] == [1002]


def test_none_is_sent_where_none_is_wanted(store: Store, ticking: Ticking) -> None:
    reporter = Reporter(store, "kiwi-07", every_s=0)
    for _ in range(3):
        reporter.note(CONNECTED)
        ticking.pass_by(10_000)
    assert reports(store) == []


def test_this_machine_can_read_how_the_uplink_fares(store: Store, home: Path, ticking: Ticking) -> None:
    assert read_uplink_status(home) is None
    reporter = Reporter(store, "kiwi-07")
    reporter.note(AWAY)
    away = read_uplink_status(home)
    assert away is not None
    assert (away.connected, away.condition) == (False, "broker a:1 cannot be reached")
    ticking.pass_by(60)
    reporter.note(CONNECTED)
    ticking.pass_by(30)
    reporter.note(UplinkNews(connected=True, condition=CONNECTED.condition, stored=7, rejected=1))
    here = read_uplink_status(home)
    assert here is not None
    assert (here.connected, here.stored, here.since_s) == (True, 0, 30), "written once a minute"
    ticking.pass_by(30)
    reporter.note(UplinkNews(connected=True, condition=CONNECTED.condition, stored=9, rejected=1))
    later = read_uplink_status(home)
    assert later is not None
    assert (later.stored, later.rejected, later.since_s) == (9, 1, 60)


def test_an_uplink_that_was_killed_does_not_look_alive(store: Store, home: Path) -> None:
    gone = subprocess.Popen([sys.executable, "-c", ""])
    gone.wait()
    Reporter(store, "kiwi-07").note(CONNECTED)
    written = json.loads((home / FILE_NAME).read_text())
    assert written["process"] == os.getpid()
    for change in ({"process": gone.pid}, {"boot": "an earlier one"}, {"connected": "perhaps"}):
        (home / FILE_NAME).write_text(json.dumps({**written, **change}))
        assert read_uplink_status(home) is None
    (home / FILE_NAME).write_text(json.dumps(written)[:20])
    assert read_uplink_status(home) is None


@pytest.mark.parametrize(
    "hurt",
    [
        lambda store: store.db.execute("DROP TABLE tree_count"),
        lambda store: (store.folder / f".{FILE_NAME}.new").mkdir(),
    ],
    ids=["store", "file"],
)
def test_what_cannot_be_told_is_said_once_and_stops_nothing(
    store: Store,
    ticking: Ticking,
    caplog: pytest.LogCaptureFixture,
    hurt: Callable[[Store], object],
) -> None:
    hurt(store)
    reporter = Reporter(store, "kiwi-07")
    with caplog.at_level(logging.WARNING, logger=reporting.__name__):
        for _ in range(5):
            ticking.pass_by(1000)
            reporter.note(UplinkNews(connected=True, condition="", stored=int(ticking.now), rejected=0))
    assert [record.message.partition(":")[0] for record in caplog.records] == ["this device cannot say how it fares"]
