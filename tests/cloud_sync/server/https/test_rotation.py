"""A new key for the authority, while devices go on."""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest

from cloud_sync import keys
from cloud_sync.enrolling import hear, renew
from cloud_sync.errors import HttpsError
from cloud_sync.identity import install_enrolment, read_identity
from cloud_sync.server import rotation
from cloud_sync.server.certificates import Authority, read_revoked
from cloud_sync.server.errors import FolderError
from cloud_sync.server.folder import ServerFolder
from cloud_sync.upkeep import Upkeep
from tests.cloud_sync.helpers import enrolment_file
from tests.cloud_sync.server.https.conftest import HttpsSite
from tests.cloud_sync.server.https.test_deaths import dies


def is_signed_by_current(home: Path, folder: ServerFolder) -> bool:
    return keys.is_signed_by(keys.read_certificate(read_identity(home).certificate), Authority(folder).root)


def test_devices_follow_a_change_of_the_authority(tmp_path: Path) -> None:
    """SYNC-085: while the server runs, which takes the new certificates by itself."""
    site = HttpsSite(tmp_path)
    folder, home = site.server_folder, site.home("kiwi")
    with site.serving():
        site.device("kiwi")
        former = Authority(folder).root
        rotation.prepare(folder)
        assert rotation.state_of(folder).left_behind == ["kiwi"]
        Upkeep(home).once()
        assert rotation.state_of(folder).left_behind == []
        assert is_signed_by_current(home, folder)

        rotation.switch(folder)
        assert Authority(folder).root != former
        assert rotation.state_of(folder).left_behind == ["kiwi"]
        assert hear(home).renew is True
        Upkeep(home).once()
        assert is_signed_by_current(home, folder)
        assert rotation.state_of(folder).left_behind == []

        rotation.finish(folder)
        Upkeep(home).once()
        identity = read_identity(home)
        assert keys.parse_certificates(identity.trust_root.read_bytes(), "test") == [Authority(folder).root]
        new = site.device("banana")
        assert keys.is_signed_by(keys.read_certificate(new.certificate), Authority(folder).root)


def test_what_was_revoked_before_stays_so_in_each_step(tmp_path: Path) -> None:
    """SYNC-085."""
    site = HttpsSite(tmp_path)
    folder = site.server_folder
    with site.serving():
        site.device("stolen")
        Authority(folder).withdraw("stolen")
        revoked = read_revoked(folder)
        for step in (rotation.prepare, rotation.switch, rotation.finish):
            step(folder)
            assert set(revoked) <= set(read_revoked(folder))
            with pytest.raises(HttpsError):
                hear(site.home("stolen"))


def test_who_did_not_follow_is_shut_out_at_the_end(tmp_path: Path) -> None:
    """SYNC-085."""
    site = HttpsSite(tmp_path)
    with site.serving():
        site.device("slow")
        site.device("slower")
        rotation.prepare(site.server_folder)
        hear(site.home("slow"))
        rotation.switch(site.server_folder)
        with pytest.raises(HttpsError, match="does not trust"):
            hear(site.home("slower"))
        assert hear(site.home("slow")).renew
        rotation.finish(site.server_folder)
        with pytest.raises(HttpsError):
            hear(site.home("slow"))


def test_a_device_without_a_network_follows_by_file(tmp_path: Path) -> None:
    """SYNC-085."""
    site = HttpsSite(tmp_path)
    folder, home = site.server_folder, site.home("kiwi")
    with site.serving():
        site.device("kiwi")
        for step in (rotation.prepare, rotation.switch):
            step(folder)
            install_enrolment(home, enrolment_file(folder, home / "identity" / "device.csr", tmp_path / "kiwi.json"))
        rotation.finish(folder)
        assert hear(home).renew is False


def test_steps_out_of_order_are_refused(tmp_path: Path) -> None:
    """SYNC-085."""
    folder = HttpsSite(tmp_path).server_folder
    with pytest.raises(FolderError, match="no next authority; make it with `pomona server authority prepare`"):
        rotation.switch(folder)
    with pytest.raises(FolderError, match="nothing is left to finish"):
        rotation.finish(folder)
    rotation.prepare(folder)
    rotation.prepare(folder)
    rotation.switch(folder)
    with pytest.raises(FolderError, match="end that first: `pomona server authority finish`"):
        rotation.prepare(folder)
    rotation.finish(folder)
    rotation.prepare(folder)


@pytest.mark.slow
@pytest.mark.parametrize("step", [rotation.prepare, rotation.switch, rotation.finish])
@pytest.mark.parametrize("done", [False, True])
def test_a_step_that_dies_anywhere_can_be_repeated(
    tmp_path: Path, step: Callable[[ServerFolder], None], done: bool, caplog: pytest.LogCaptureFixture
) -> None:
    """SYNC-085: and in between no device is shut out that was not before."""
    caplog.set_level(logging.CRITICAL)
    steps = (rotation.prepare, rotation.switch, rotation.finish)
    for count in range(30):
        site = HttpsSite(tmp_path / str(count))
        folder, home = site.server_folder, site.home("kiwi")
        with site.serving():
            site.device("kiwi")
            for earlier in steps[: steps.index(step)]:
                earlier(folder)
                Upkeep(home).once()
            placed = dies(partial(step, folder), count, done=done)
            with contextlib.suppress(HttpsError):  # between two keys the server signs nothing
                Upkeep(home).once()
            if placed:
                step(folder)
            for later in steps[steps.index(step) + 1 :]:
                Upkeep(home).once()
                assert rotation.state_of(folder).left_behind == []
                later(folder)
            assert hear(home).renew is False
            renew(home)
        if not placed:
            break
    else:
        pytest.fail("it never finishes")
