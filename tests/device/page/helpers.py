"""Drawn photos, an engine that sees what it is told to, and what a browser sends."""

from __future__ import annotations

import io
import re
import threading
from collections.abc import Callable
from datetime import datetime
from functools import cache
from html import unescape
from pathlib import Path
from typing import IO, Any

import numpy as np
import pytest
from fastapi.testclient import TestClient
from httpx2 import Response
from numpy.typing import NDArray
from PIL import ExifTags, Image

from device.orchards import Block, BlockSettings, register_block
from device.page.application import create_app
from device.page.settings import PageSettings
from device.store import Store
from export.runtime.bundle import BUNDLES, Bundle, open_bundle
from export.runtime.counter import Counter

ORIGIN = "http://localhost"
TAKEN_AT = datetime(2025, 9, 24, 10, 30)  # noqa: DTZ001  (cameras know no zone)


@cache
def the_bundle() -> Bundle:
    """A bundle that comes with Pomona, with tiles of 640 px; checked once."""
    return open_bundle(BUNDLES / "yolo-a")


class SeeingEngine:
    """Sees the same apples in every tile; photos of 640 px are one tile.

    Args:
        apples: how many.
    """

    name = "seeing-1"
    at_once = 1

    def __init__(self, apples: int) -> None:
        self.apples = apples
        self.may_go_on = threading.Event()
        self.may_go_on.set()
        self.at_once = 0
        self.most_at_once = 0
        self.fails_with: Exception | None = None

    def rest(self) -> None:
        """Nothing to give back."""

    def infer(self, images: NDArray[np.float32]) -> NDArray[np.float32]:
        """Apples of 20 px in rows of ten."""
        assert images.shape[:2] == (1, 3)
        self.at_once += 1
        self.most_at_once = max(self.most_at_once, self.at_once)
        assert self.may_go_on.wait(30)
        self.at_once -= 1
        if self.fails_with is not None:
            raise self.fails_with
        labels = the_bundle().manifest.labels
        output = np.zeros((1, 4 + len(labels), self.apples), np.float32)
        for i in range(self.apples):
            output[0, :4, i] = (30 + 40 * (i % 10), 30 + 40 * (i // 10), 20, 20)
        output[0, 4 + labels.index("apple")] = 0.9
        return output


def seeing_counter(apples: int = 7) -> Counter:
    """A counter that counts so many apples in every small photo."""
    return Counter(the_bundle(), SeeingEngine(apples))


def draw_photo(
    seed: int = 0, taken_at: datetime | None = TAKEN_AT, size: tuple[int, int] = (640, 480), kind: str = "JPEG"
) -> bytes:
    """A photo file of coarse noise, the same for the same seed."""
    noise = np.random.default_rng(seed).integers(0, 255, (12, 16, 3), np.uint8)
    image = Image.fromarray(noise).resize(size)
    exif = Image.Exif()
    if taken_at is not None:
        exif[ExifTags.Base.DateTime] = f"{taken_at:%Y:%m:%d %H:%M:%S}"
    content = io.BytesIO()
    image.save(content, kind, exif=exif)
    return content.getvalue()


def text_of(page: str) -> str:
    """What a person reads, without markup."""
    return " ".join(unescape(re.sub(r"<[^>]+>", " ", page)).split())


def add_example_block(folder: Path, name: str = "B1") -> Block:
    """A block that a person registered."""
    store = Store(folder)
    settings = BlockSettings(area_m2=20_000, trees=1650, fruit_weight_g=210)
    block = register_block(store, name, "North farm", settings, "kg/mu")
    store.close()
    return block


def browser(folder: Path, counter: Counter | None = None, settings: PageSettings | None = None) -> TestClient:
    """A browser on the pages; use it as a context, so that they start and stop."""
    app = create_app(folder, lambda: counter or seeing_counter(), settings or PageSettings())
    return TestClient(app, base_url=ORIGIN, headers={"Origin": ORIGIN})


def send_photos(client: TestClient, *photos: tuple[str, bytes], **fields: str) -> Response:
    """Send the upload form; returns the page it leads to."""
    form = {"block": "B1", "stage": "ripening", "tree": "R01-T01", "side": "a", **fields}
    return client.post("/upload", data=form, files=[("photos", photo) for photo in photos])


def damage_table(folder: Path, table: str) -> None:
    """Overwrite a table of the database in a folder, as a worn-out card does; the rest can still be read."""
    store = Store(folder)
    store.db.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    (size,) = store.db.execute("PRAGMA page_size").fetchone()
    (page,) = store.db.execute("SELECT rootpage FROM sqlite_master WHERE name = ?", [table]).fetchone()
    store.close()
    content = bytearray(store.path.read_bytes())
    content[(page - 1) * size : page * size] = size * b"\x55"
    store.path.write_bytes(content)


def full_disk(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let every file that is newly made for writing lie on a device that is always full."""
    opened = Path.open

    def open_file(path: Path, mode: str = "r", *rest: Any, **options: Any) -> IO[Any]:
        lies = path if "r" in mode else Path("/dev/full")
        return opened(lies, mode.replace("x", "w"), *rest, **options)

    monkeypatch.setattr(Path, "open", open_file)


def wait_until(is_so: Callable[[], object]) -> None:
    """Wait for what another thread does."""
    waited = threading.Event()
    for _ in range(600):
        if is_so():
            return
        waited.wait(0.05)
    raise AssertionError("waited in vain")


def wait_for_counts(client: TestClient, page: Response) -> str:
    """The result page once nothing is running any more."""
    wait_until(lambda: 'data-running="no"' in client.get(page.url.path).text)
    return client.get(page.url.path).text
