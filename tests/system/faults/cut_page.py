"""A device whose power is cut while a phone sends photos: what the phone was told has arrived must be there."""

from __future__ import annotations

import os
import random
import re
import signal
import sqlite3
import sys
import time
from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import httpx2

from device.errors import InputError, StoreError
from device.page.uploads import UploadFolder
from device.store import FILE_NAME, PhotoFiles, Store
from tests.disc_bundle import make_disc_bundle
from tests.system.conftest import Site, wait_until
from tests.system.faults.card import Card
from tests.system.faults.cuts import CutReport, cut_traced_power, last_sending
from tests.system.faults.tracing import Op, strace

# a block, then the pages, as one traced command
_DEVICE = '"$0" -m pomona block add B1 --orchard "North farm" --home "$1" && exec "$0" -m pomona page --home "$@"'


@dataclass(frozen=True)
class _Arrived:
    """What a phone was told.

    Attributes:
        at: when it was told, seconds since 1970.
        upload: id of the upload.
        hashes: of its photos.
    """

    at: float
    upload: str
    hashes: tuple[str, ...]


def cut_page_power(folder: Path, cuts: int, seed: int, trees: int = 8) -> CutReport:
    """Trace the pages of a device that photos are sent to, and cut its power.

    Raises:
        LostError: a photo that had arrived was lost.
    """
    site = Site(folder)
    root = folder / "device"
    root.mkdir()
    try:
        bundle = make_disc_bundle(folder / "bundle")
        options = ["--port", "0", "--threads", "1", "--bundle", str(bundle.folder)]
        words = ["sh", "-c", _DEVICE, sys.executable, str(root / "home"), *options]
        traced = site.start(strace(folder / "trace", words))
        assert traced.stdout is not None
        lines = iter(traced.stdout.readline, "")
        (address,) = next(found for line in lines if (found := re.findall(r"http://\S+", line)))
        arrived = _send(address, Card(folder / "card", trees), random.Random(seed))
        uploads = UploadFolder(root / "home" / "uploads")
        wait_until(lambda: not uploads.unfinished(), "all counted", 60)
        os.kill(int(Path(f"/proc/{traced.pid}/task/{traced.pid}/children").read_text()), signal.SIGTERM)
        traced.wait(timeout=60)
    finally:
        site.close()
    return cut_traced_power(folder, root, partial(PageCheck, arrived), cuts, seed)


def _send(address: str, card: Card, chance: random.Random) -> list[_Arrived]:
    """Send the card's photos tree by tree, as a phone does."""
    card.put(2 * card.trees)
    arrived = []
    with httpx2.Client(base_url=address, headers={"Origin": address}) as phone:
        for tree in sorted(card.folder.iterdir()):
            photos = [path.read_bytes() for path in sorted(tree.iterdir())]
            form = {"block": "B1", "stage": "ripening", "tree": tree.name, "side": "a"}
            files = [("photos", (f"{number}.jpg", photo)) for number, photo in enumerate(photos)]
            answer = phone.post("/upload", data=form, files=files)
            assert answer.status_code == 303, answer.text
            upload = answer.headers["location"].rpartition("/")[2]
            arrived.append(_Arrived(time.time(), upload, tuple(map(PhotoFiles.digest, photos))))
            time.sleep(chance.uniform(0, 0.3))
    return arrived


class PageCheck:
    """Opens what is left of a device as the pages would.

    Args:
        arrived: what the phone was told.
        ops: the trace.
    """

    def __init__(self, arrived: list[_Arrived], ops: Sequence[Op]) -> None:
        self._arrived = [(last_sending(ops, upload.at), upload) for upload in arrived]

    def __call__(self, folder: Path, moment: int) -> list[str]:
        """What is wrong after so many ops."""
        home = folder / "home"
        try:
            Store(home).close()
        except StoreError as error:
            return [f"the store does not open: {error}"]
        there = _counted(home)
        uploads = UploadFolder(home / "uploads")
        found = []
        for number, arrived in self._arrived:
            if number <= moment:
                lost = set(arrived.hashes) - there - _waiting(uploads, arrived.upload)
                found += [f"photo {sha256} of upload {arrived.upload} is lost" for sha256 in lost]
        return found


def _counted(home: Path) -> set[str]:
    """Photos that are recorded and whole."""
    files = PhotoFiles(home / "photos")
    with closing(sqlite3.connect(home / FILE_NAME)) as database:
        rows = database.execute("SELECT sha256, suffix FROM photo").fetchall()
    paths = {sha256: files.path(sha256, suffix) for sha256, suffix in rows}
    return {sha256 for sha256, path in paths.items() if path.exists() and files.digest(path.read_bytes()) == sha256}


def _waiting(uploads: UploadFolder, identifier: str) -> set[str]:
    """Photos that are there to be counted."""
    try:
        upload = uploads.read(identifier)
    except InputError:
        return set()
    paths = [uploads.photo_path(upload, photo) for photo in upload.photos if photo.state == "waiting"]
    return {PhotoFiles.digest(path.read_bytes()) for path in paths if path.exists()}
