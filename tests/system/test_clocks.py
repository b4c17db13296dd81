"""Devices whose clocks are wrong by decades, against a broker and HTTPS whose clocks are right, over real TLS."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import pytest

from cloud_sync.server import signing
from cloud_sync.server.certificates import Authority
from cloud_sync.server.invitations import invite
from cloud_sync.timekeeping import RELEASED
from tests.system.conftest import Site
from tests.system.faults.test_clocks import faketime

_ROOT = Path(__file__).parents[2]

# A process sees another wall clock, and the counter since the boot as it is. The kernel of the machine that runs the
# tests may vouch for its own clock; it would not for this one.
_UNVOUCHED = """
import sys
from cloud_sync import clock
clock.kernel_state = lambda: 5
"""
_POMONA = f"{_UNVOUCHED}\nimport pomona\nsys.argv[0] = 'pomona'\npomona.main()"
_RECORD = f"""{_UNVOUCHED}
from pathlib import Path
from device.store.database import Store
from tests.cloud_sync.helpers import enqueue, tree
store = Store(Path(sys.argv[1]))
enqueue(store, [tree(sys.argv[2]).model_copy(update={{"block": sys.argv[3]}})])
store.close()
"""


@dataclass(frozen=True)
class Dated:
    """A device that lives at a moment of its own."""

    home: Path
    site: Site
    at: str

    def run(self, code: str, *arguments: object, said: str = "") -> subprocess.CompletedProcess[str]:
        environment = {
            **os.environ,
            "PYTHONPATH": str(_ROOT),
            "POMONA_HOME": str(self.home),
            "LD_PRELOAD": str(faketime()),
            "FAKETIME": f"@{self.at}",
            "FAKETIME_DONT_FAKE_MONOTONIC": "1",
        }
        command = [sys.executable, "-c", code, *map(str, arguments)]
        return subprocess.run(
            command, env=environment, input=said, capture_output=True, text=True, check=False, timeout=60
        )

    def pomona(self, *arguments: object, said: str = "") -> str:
        done = self.run(_POMONA, *arguments, said=said)
        assert done.returncode == 0, done.stderr
        return done.stdout

    def record(self, code: str) -> None:
        done = self.run(_RECORD, self.home, code, self.home.name)
        assert done.returncode == 0, done.stderr

    def stored(self) -> dict[str, tuple[datetime, bool]]:
        """What the server holds of it: when each tree was recorded, and whether that was known."""
        rows = self.site.rows(
            "SELECT json_extract(body, '$.tree'), recorded_at, clock_synchronised FROM record WHERE block = ?",
            self.home.name,
        )
        return {code: (_aware(recorded_at), bool(known)) for code, recorded_at, known in rows}


def _aware(text: str) -> datetime:
    moment = datetime.fromisoformat(text)
    return moment if moment.tzinfo else moment.replace(tzinfo=timezone.utc)


def is_now(moment: datetime) -> bool:
    return abs(datetime.now(timezone.utc) - moment) < timedelta(seconds=120)


@pytest.mark.parametrize(
    "at",
    [
        "1970-01-01 00:05:00",
        "2038-01-20 00:00:00",
        pytest.param("2001-09-11 12:00:00", marks=pytest.mark.slow),
        pytest.param("2099-06-01 12:00:00", marks=pytest.mark.slow),
    ],
)
def test_a_clock_that_is_decades_off_keeps_no_device_away(running_site: Site, at: str) -> None:
    """SYNC-090: it enrols, sends what it recorded, learns the time, and records with it from then on."""
    home = running_site.folder / "devices" / f"kiwi-{at[:4]}"
    device = Dated(home, running_site, at)
    device.record("before")
    invitation = invite(running_site.server_folder, home.name, timedelta(hours=1))
    assert f"This device is {home.name}" in device.pomona("sync", "enroll", said=invitation.text)
    # asking NetworkManager means sleeping, and to sleep by a faked clock of the past takes for ever
    device.pomona("sync", "metered", "no")
    device.record("after")
    assert "2 stored at the server, 0 refused, 0 waiting" in device.pomona("sync", "--once", "--health-every", 0)
    stored = device.stored()
    moment, known = stored["before"]
    assert not known
    assert (moment == RELEASED) is (moment.year < 2030)
    moment, known = stored["after"]
    assert known
    assert is_now(moment)


@pytest.mark.slow
@pytest.mark.parametrize("at", ["1970-01-01 00:05:00", "2038-01-20 00:00:00"])
def test_a_device_whose_clock_is_decades_off_renews(running_site: Site, at: str) -> None:
    """SYNC-090."""
    name = f"renewing-{at[:4]}"
    device = Dated(running_site.device(name).folder, running_site, at)
    device.pomona("sync", "metered", "no")
    two_years_on = datetime.now(timezone.utc) + signing.DEVICE_LIFE
    assert f"{two_years_on:%Y-%m}" in device.pomona("sync", "renew")
    device.record("renewed")
    assert "1 stored" in device.pomona("sync", "--once", "--health-every", 0)
    moment, known = device.stored()["renewed"]
    assert known
    assert is_now(moment)


def test_what_the_device_s_own_clock_said_is_told_too(running_site: Site) -> None:
    """SYNC-089: on the wire; see it in the outbox, where the message waits."""
    device = Dated(running_site.folder / "devices" / "twofold", running_site, "1970-01-01 00:05:00")
    device.record("early")
    reader = (
        "import json, sys; from pathlib import Path; from device.store.database import Store\n"
        "store = Store(Path(sys.argv[1])); print(store.outbox.waiting('x', 0, 1)[0].payload.decode()); store.close()"
    )
    envelope: dict[str, Any] = json.loads(device.run(reader, device.home).stdout)
    assert envelope["device_clock"].startswith("1970-01-01T00:05")
    assert datetime.fromisoformat(envelope["recorded_at"]) == RELEASED
    assert envelope["clock_synchronised"] is False


@pytest.mark.parametrize("at", ["1970-01-01 00:05:00", pytest.param("2038-01-20 00:00:00", marks=pytest.mark.slow)])
def test_a_wrong_clock_does_not_bring_an_ended_certificate_back(
    site: Site, monkeypatch: pytest.MonkeyPatch, at: str
) -> None:
    """SYNC-084: of the broker, which ended before this Pomona was released."""
    device = site.device("kiwi")
    device.record(1)
    monkeypatch.setattr(signing, "VALID_UNTIL", RELEASED - timedelta(days=1))
    folder = site.server_folder
    Authority(folder).issue_broker(["localhost"], folder.broker / "broker.key", folder.broker / "broker.pem")
    site.start_broker()
    done = Dated(device.folder, site, at).run(_POMONA, "sync", "--once", "--time-limit", 20)
    assert done.returncode == 1
    assert f"shows a certificate this device does not trust: it ended on {RELEASED - timedelta(days=1):%Y-%m-%d}" in (
        done.stderr
    )
    assert device.waiting() == 1
