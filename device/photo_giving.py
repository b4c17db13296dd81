"""Sending full photos that the server asks for, beside the uplink and after all records."""

from __future__ import annotations

import logging
import time
from functools import partial
from pathlib import Path

from cloud_sync.documents import decode_catalogue
from cloud_sync.errors import MessageError, SendError
from cloud_sync.files import sha256_of
from cloud_sync.photos import MOST_PHOTO_BYTES, AskedPhoto
from cloud_sync.sending_photos import PhotoSender, asked_photos, say_absent
from device.errand import LOOK_AGAIN_S, Errand
from device.link import is_sparing
from device.store import Store

_log = logging.getLogger(__name__)

_TURN_S = 0.25


class PhotoGiver(Errand):
    """Sends the photos that are asked of this device.

    Which they are, and how much of each has come, the server alone knows: nothing of it can be lost here.

    Args:
        home: the device's folder.
        least_wait_s: longest wait after a first attempt that failed.
    """

    def __init__(self, home: Path, least_wait_s: float = 2.0) -> None:
        super().__init__("photos", home, least_wait_s)
        self._sender = PhotoSender()
        self._is_asked = False
        self._held: tuple[AskedPhoto, ...] = ()

    def work(self, store: Store, payload: bytes | None) -> float | None:
        """Send what is asked for, each photo tried once; as the base class says."""
        if payload is not None:
            self._note(payload)
        if self._held and is_sparing(store):
            return LOOK_AGAIN_S
        self._held = ()
        dealt_with: set[str] = set()
        while self._is_asked:
            asked = asked_photos(self.server()).photos
            sparing = bool(asked) and is_sparing(store)
            held = [photo for photo in asked if sparing and not photo.metered]
            due = [photo.photo for photo in asked if photo not in held]
            given = [self._give(store, photo, sparing=sparing) for photo in due]
            if not all(given) or not dealt_with.isdisjoint(due):  # the server asks anew for what it has
                return self.after_failure_s()
            dealt_with.update(due)
            self.succeeded()
            if held:
                self._hold(held)
                return LOOK_AGAIN_S
            self._is_asked = bool(asked)  # there may be more than were listed
        return None

    def _note(self, payload: bytes) -> None:
        try:
            self._is_asked = decode_catalogue(payload).photos > 0
        except MessageError:
            return  # whoever fetches documents says so
        self._held = ()

    def _hold(self, held: list[AskedPhoto]) -> None:
        self._held = tuple(held)
        _log.info(
            "%d photos that the server asks for wait for a link that is not metered, or for `pomona sync metered no`",
            len(held),
        )

    def _give(self, store: Store, photo: str, *, sparing: bool) -> bool:
        """Whether a photo is dealt with; what is wrong with the server, the link or the disk is raised."""
        row = store.one("SELECT suffix FROM photo WHERE sha256 = ?", [photo])
        file = store.photos.path(photo, row["suffix"] if row is not None else "")
        absence = _absence(file, photo) if row is not None else "this device does not know it"
        if absence is not None:
            say_absent(self.server(), photo, absence)
            _log.warning("photo %s, which the server asks for, cannot be sent: %s", photo, absence)
            return True
        before = self._sender.confirmed_bytes
        try:
            # over a metered link records wait for each other, not for the line
            wait_for_turn = (lambda: False) if sparing else partial(_wait_for_turn, store)
            sent = self._sender.send(self.server(), photo, file, wait_for_turn)
        except SendError as error:
            _log.warning("photo %s, which the server asked for, is not taken: %s", photo, error)
            return False
        finally:
            if self._sender.confirmed_bytes > before:
                self.succeeded()  # a link that breaks off again and again carries it all the same
        _log.info("photo %s is at the server, which asked for it; %d bytes were sent", photo, sent)
        return True


def _wait_for_turn(store: Store) -> bool:
    """Records go before photos. Returns whether there were any."""
    waited = False
    while store.outbox.count_waiting(with_bulk=False):
        waited = True
        time.sleep(_TURN_S)
    return waited


def _absence(file: Path, photo: str) -> str | None:
    """Why a photo cannot be sent; None where it can.

    Raises:
        OSError: it cannot be read now.
    """
    try:
        if file.stat().st_size > MOST_PHOTO_BYTES:
            return f"its file is longer than {MOST_PHOTO_BYTES >> 20} MiB"
        return None if sha256_of(file) == photo else "its file is damaged on this device"
    except FileNotFoundError:
        return "this device does not have it any more"
