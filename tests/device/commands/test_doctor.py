"""``pomona doctor``: what it looks at, what it says is wrong, and the remedy."""

from __future__ import annotations

import json
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import pytest

from cloud_sync import clock
from cloud_sync.messages import HealthBody
from cloud_sync.server.signing import DEVICE_LIFE
from cloud_sync.timekeeping import Timekeeper, uptime_s
from cloud_sync.troubles import find_troubles
from cloud_sync.uplink import UplinkNews
from device import doctor, health
from device.doctor import Finding, examine
from device.machine import Machine
from device.model_state import note_candidate, note_counting
from device.orchards import Block
from device.reporting import Reporter
from device.store import FILE_NAME, Store
from export.runtime.errors import BundleError
from tests.cloud_sync.helpers import enrol, make_server
from tests.conftest import Pomona
from tests.device.machines import RASPBERRY_PI, make_machine


def findings(home: Path, machine: Path | None = None) -> dict[str, Finding]:
    _, found = examine(home, None, Machine(machine) if machine else None)
    return {finding.name: finding for finding in found}


@pytest.fixture(autouse=True)
def _synchronised(monkeypatch: pytest.MonkeyPatch) -> None:
    """A machine that is well, but for what a test does to it."""
    monkeypatch.setattr(clock, "_adjtimex", lambda: (0, 2000))


def test_a_device_that_lacks_nothing(
    run_pomona: Pomona, home: Path, tmp_path: Path, store: Store, block: Block, monkeypatch: pytest.MonkeyPatch
) -> None:
    enrol(make_server(tmp_path / "server", 8999), home, "kiwi-07")
    Reporter(store, "kiwi-07").note(UplinkNews(connected=True, condition="", stored=12, rejected=0))
    well = {"get_throttled": "0", "in0_lcrit_alarm": "0"}
    monkeypatch.setattr(health, "Machine", lambda: Machine(make_machine(tmp_path / "pi", RASPBERRY_PI, **well)))
    done = run_pomona("doctor")
    assert (done.exit_code, done.err) == (0, "")
    lines = {" ".join(line.split()) for line in done.out.splitlines()}
    assert "records 0 photos, 0 counts of trees" in lines
    assert any(line.startswith("waiting to be sent 2 records, the oldest for ") for line in lines)
    ends = datetime.now(timezone.utc) + DEVICE_LIFE
    assert f"server localhost:8999, as kiwi-07, until {ends:%Y-%m-%d}" in lines
    assert {"temperature 62 °C", "power voltage as it should be"} <= lines
    assert "uplink connected for 0 s; 12 sent, 0 refused" in lines
    assert "Nothing is wrong." in lines
    assert any(line.startswith("clock 2") and line.endswith("UTC, synchronised to 0.002 s") for line in lines)


def test_a_new_device_is_told_how_to_begin(run_pomona: Pomona, home: Path) -> None:
    done = run_pomona("doctor")
    said = " ".join(done.out.split())
    assert done.exit_code == 0
    assert "holds none yet: check --home, or begin: pomona block add" in said
    assert "this device is not enrolled yet: run `pomona sync enroll` with the invitation" in said
    assert "nothing is being sent" not in said, "before there is a server that is no trouble"
    assert not home.exists(), "looking makes nothing"


def test_the_troubles_of_the_machine_stand_beside_what_they_concern(home: Path, store: Store, tmp_path: Path) -> None:
    found = findings(home, make_machine(tmp_path / "pi", RASPBERRY_PI, temp="86000"))
    assert [trouble.text for trouble in found["power"].troubles] == [
        "the supply voltage is too low: the memory card may be damaged"
    ]
    assert found["power"].told == "voltage too low"
    assert found["temperature"].told == "86 °C"
    assert [trouble.text for trouble in found["temperature"].troubles] == ["86 °C, and slowed down by it"]
    assert "hardware Raspberry Pi 4" in found["versions"].told


def test_what_counts_and_what_was_refused_is_told(home: Path, store: Store) -> None:
    assert findings(home)["counted with"].told == "nothing was counted yet"
    with store.change():
        note_counting(store, "yolo-a 1.0.0", "onnxruntime")
    note_candidate(store, "yolo-a 2", "is cut short")
    found = findings(home)["counted with"]
    assert found.told.startswith("yolo-a 1.0.0 on onnxruntime, since 20")
    assert [trouble.text for trouble in found.troubles] == ["release yolo-a 2 was refused: is cut short"]


def test_every_trouble_is_shown_somewhere(home: Path, store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    """A trouble about something that no finding concerns would be lost."""
    monkeypatch.setattr(clock, "_adjtimex", lambda: (5, 0))
    values: dict[str, Any] = {
        "device": "a",
        "uptime_s": 1,
        "waiting": 9,
        "rejected": 1,
        "oldest_waiting_s": 10**6,
        "disk_free_bytes": 0,
        "disk_total_bytes": 1,
        "memory_free_bytes": 0,
        "memory_total_bytes": 1,
        "temperature_c": 99.0,
        "battery_percent": 1.0,
        "on_battery": True,
        "undervoltage": True,
    }
    monkeypatch.setattr(doctor, "gather_health", lambda *_, **__: HealthBody.model_validate(values))
    told, found = examine(home, None)
    shown = [trouble for finding in found for trouble in finding.troubles if trouble.about != "server"]
    expected = find_troubles(told, clock_synchronised=False)
    assert len(expected) == 8
    assert sorted(shown, key=str) == sorted(expected, key=str)


@pytest.mark.parametrize(
    ("days_left", "said"),
    [(400, None), (80, "the certificate of this device ends on"), (-1, "the certificate of this device ended on")],
)
def test_a_certificate_that_ends_is_told_in_time(
    home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, days_left: int, said: str | None
) -> None:
    enrol(make_server(tmp_path / "server"), home, "kiwi-07")
    now = datetime.now(timezone.utc) + DEVICE_LIFE - timedelta(days=days_left)
    monkeypatch.setattr(clock, "now", lambda: now)
    troubles = findings(home)["server"].troubles
    assert [trouble.text.rpartition(" ")[0] for trouble in troubles] == ([said] if said else [])


def test_a_clock_that_was_never_set_is_no_trouble_once_the_server_has_told_the_time(
    home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """SYNC-088."""
    monkeypatch.setattr(clock, "_adjtimex", lambda: (5, 0))
    true_now = datetime.now(timezone.utc)
    monkeypatch.setattr(clock, "now", lambda: datetime(1970, 1, 1, tzinfo=timezone.utc))
    enrol(make_server(tmp_path / "server"), home, "kiwi-07")
    assert "not synchronised" in findings(home)["clock"].told
    assert len(findings(home)["clock"].troubles) == 1
    Timekeeper(home / "identity").learn(true_now, uptime_s())
    told = findings(home)["clock"]
    assert told.told.startswith(f"{true_now:%Y-%m-%d}")
    assert told.told.endswith("as the server said; its own clock says 1970-01-01 00:00:00 UTC")
    assert told.troubles == ()


def test_an_uplink_that_cannot_connect_says_why(home: Path, store: Store, tmp_path: Path) -> None:
    enrol(make_server(tmp_path / "server"), home, "kiwi-07")
    assert findings(home)["uplink"].troubles[0].remedy == "systemctl start pomona-sync, or run: pomona sync"
    cause = "broker localhost:8883 cannot be reached: Connection refused; is it running?"
    Reporter(store, "kiwi-07").note(UplinkNews(connected=False, condition=cause, stored=0, rejected=0))
    uplink = findings(home)["uplink"]
    assert uplink.told == "not connected for 0 s"
    assert (uplink.troubles[0].text, uplink.troubles[0].remedy) == (
        *("broker localhost:8883 cannot be reached: Connection refused", "is it running?"),
    )


def test_a_damaged_store_and_a_damaged_bundle_need_somebody_now(
    run_pomona: Pomona, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    home.mkdir()
    (home / FILE_NAME).write_bytes(1000 * b"no database ")

    def altered(_folder: Path | None) -> None:
        raise BundleError("model.onnx was altered: its SHA-256 is not the manifest's; install the bundle again")

    monkeypatch.setattr(doctor, "open_bundle", altered)
    done = run_pomona("doctor", "--json")
    assert done.exit_code == 1
    told = json.loads(done.out)
    bad = {trouble["about"]: trouble["remedy"] for trouble in told["troubles"] if trouble["level"] == "bad"}
    assert bad["records"] == "restore it from a backup"
    assert bad["bundle"] == "install the bundle again"
    assert told["health"]["device"] == "this-device"
    said = run_pomona("doctor")
    assert (said.exit_code, "! store" in said.out) == (1, True)
