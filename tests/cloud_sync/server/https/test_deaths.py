"""Enrolment and renewal when either side dies in the middle: at each file that is put in place, before and after."""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import pytest

from cloud_sync import keys
from cloud_sync.enrolling import enroll, hear, renew
from cloud_sync.errors import HttpsError
from cloud_sync.server.certificates import read_revoked
from tests.cloud_sync.server.https.conftest import HttpsSite, serial_of


class DiedError(Exception):
    """A power cut, as the code sees it."""


@contextlib.contextmanager
def dying_at(count: int, *, done: bool) -> Iterator[list[str]]:
    """Let one of the files that are put in place be the last, on whichever side.

    Args:
        count: which one, from 0.
        done: whether it still is put in place.
    """
    real = Path.replace
    placed: list[str] = []

    def place(self: Path, target: Path) -> Path:
        placed.append(Path(target).name)
        if len(placed) - 1 == count and not done:
            raise DiedError
        result = real(self, target)
        if len(placed) - 1 == count:
            raise DiedError
        return result

    with pytest.MonkeyPatch.context() as patches:
        patches.setattr(Path, "replace", place)
        yield placed


def dies(action: Callable[[], object], count: int, *, done: bool) -> list[str]:
    """Files put in place until it died; empty when it did not die."""
    with dying_at(count, done=done) as placed:
        try:
            action()
        except (DiedError, HttpsError):
            return placed
    return []


@pytest.mark.parametrize("done", [False, pytest.param(True, marks=pytest.mark.slow)])
def test_an_enrolment_that_dies_anywhere_can_be_repeated(
    https_site: HttpsSite, tmp_path: Path, done: bool, caplog: pytest.LogCaptureFixture
) -> None:
    """SYNC-079: on the device or on the server, at each file that is written."""
    caplog.set_level(logging.CRITICAL)  # uvicorn tells what died
    died_at: list[str] = []
    for count in range(100):
        name = f"mortal-{int(done)}-{count}"
        home = tmp_path / name
        invitation = https_site.invite(name)
        placed = dies(partial(enroll, home, invitation), count, done=done)
        if not placed:
            break
        died_at.append(placed[-1])
        identity = enroll(home, invitation)
        assert hear(home).device == name
        enrolled = keys.read_certificate(https_site.server_folder.enrolled / f"{name}.pem")
        assert enrolled == keys.read_certificate(identity.certificate)
    own = {"device.key", "device.csr", "root.pem", "broker.json", "https.json", "time.json", "device.pem"}
    assert {file.removeprefix(name.rpartition("-")[0] + "-") for file in died_at} >= own
    assert any(file.endswith(".json") and file.startswith("mortal") for file in died_at)  # the invitation
    assert any(file.endswith(".pem") and file.startswith("mortal") for file in died_at)  # the list of devices


@pytest.mark.parametrize("done", [pytest.param(False, marks=pytest.mark.slow), True])
def test_a_renewal_that_dies_anywhere_leaves_a_device_that_connects(
    https_site: HttpsSite, done: bool, caplog: pytest.LogCaptureFixture
) -> None:
    """SYNC-079, SYNC-083."""
    caplog.set_level(logging.CRITICAL)
    died_at: list[str] = []
    for count in range(100):
        name = f"renewing-{int(done)}-{count}"
        https_site.device(name)
        home = https_site.home(name)
        first = serial_of(home)
        placed = dies(partial(renew, home), count, done=done)
        if not placed:
            break
        died_at.append(placed[-1])
        assert hear(home).device == name
        renew(home)
        assert serial_of(home) != first
        revoked = read_revoked(https_site.server_folder)
        assert first in revoked
        assert serial_of(home) not in revoked
        assert not (https_site.server_folder.renewed / f"{name}.pem").exists()
    assert {"device.key", "device.csr", "time.json", "device.pem", "revoked.pem"} <= set(died_at)
