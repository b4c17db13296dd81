"""Counting what was uploaded: one photo at a time, in a thread of its own, so that the pages stay quick."""

from __future__ import annotations

import logging
import queue
import threading
from collections.abc import Callable
from pathlib import Path

from device.disk import remedy_for
from device.errors import InputError, MissingPartError, StoreError
from device.orchards import find_block
from device.page.stores import open_store
from device.page.uploads import Upload, UploadedPhoto, UploadFolder
from device.photo_naming import TreePhoto
from device.photo_views import get_photo
from device.recording import Visit
from device.store import Store
from device.visits import import_photos
from export.runtime.counter import Counter
from export.runtime.errors import BundleError, EngineError, PhotoError
from export.runtime.errors import MissingPartError as MissingEngineError

_log = logging.getLogger(__name__)
_STOP_WITHIN_S = 10.0
# what no retake of a photo mends: the photos wait until somebody has
_KNOWN_PROBLEMS = (BundleError, EngineError, InputError, MissingEngineError, MissingPartError, StoreError)


class CountingWorker:
    """Counts uploads in the order in which they came.

    Stopping it, even by pulling the plug, loses nothing: a photo leaves its upload only after it is in the store, or
    because nothing can be counted in it on any device; and one that comes twice counts once.

    Args:
        folder: the store's folder.
        uploads: the uploads.
        counter_factory: gives what counts; asked when photos are there, since the engine takes time to start.
    """

    def __init__(self, folder: Path, uploads: UploadFolder, counter_factory: Callable[[], Counter]) -> None:
        self._folder = folder
        self._uploads = uploads
        self._counter_factory = counter_factory
        self._waiting: queue.SimpleQueue[str | None] = queue.SimpleQueue()
        self._due: set[str] = set()
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="counting", daemon=True)

    def start(self) -> None:
        """Begin, with what an earlier run left."""
        self._uploads.tidy()
        for identifier in self._uploads.unfinished():
            self.submit(identifier)
        self._thread.start()

    def stop(self) -> None:
        """End after the photo that is being counted."""
        self._stopping.set()
        self._waiting.put(None)
        self._thread.join(_STOP_WITHIN_S)

    def submit(self, identifier: str) -> None:
        """Count an upload when its turn comes."""
        self._due.add(identifier)
        self._waiting.put(identifier)

    def is_due(self, identifier: str) -> bool:
        """Whether an upload waits for its turn; what stopped it last time no longer stands then."""
        return identifier in self._due

    def _run(self) -> None:
        while (identifier := self._waiting.get()) is not None and not self._stopping.is_set():
            try:
                self._count(self._begin(identifier))
            except (InputError, StoreError) as error:  # noqa: PERF203  (seconds a turn, and the next upload must go on)
                _log.error("upload %s: %s", identifier, error)

    def _begin(self, identifier: str) -> Upload:
        """An upload whose turn has come; until the pages read of no problem in it, it is due."""
        try:
            upload = self._uploads.read(identifier)
            if upload.problem is not None:
                upload.problem = None
                self._uploads.save(upload)
        finally:
            self._due.discard(identifier)
        return upload

    def _count(self, upload: Upload) -> None:
        try:
            self._count_photos(upload)
        except _KNOWN_PROBLEMS as error:
            upload.problem = str(error)
        except Exception:  # noqa: BLE001  (the thread must outlive every mistake, or later uploads would wait for ever)
            _log.exception("upload %s could not be counted", upload.id)
            upload.problem = "counting stopped by a mistake in Pomona; the device's log says more"
        if upload.problem is not None:
            _log.error("upload %s: %s", upload.id, upload.problem)
            self._uploads.save(upload)

    def _count_photos(self, upload: Upload) -> None:
        counter = self._counter_factory()
        problem = None
        with open_store(self._folder) as store:
            visit = Visit(find_block(store, upload.block), upload.day, upload.stage)
            for photo in upload.photos:
                if photo.state == "waiting" and not self._stopping.is_set():
                    problem = self._count_photo(store, counter, visit, upload, photo) or problem
        upload.problem = problem

    def _count_photo(
        self, store: Store, counter: Counter, visit: Visit, upload: Upload, photo: UploadedPhoto
    ) -> str | None:
        """Count a photo and drop its file, or say what on this device keeps it waiting."""
        path = self._uploads.photo_path(upload, photo)
        try:
            _import_photo(store, counter, visit, TreePhoto(path, upload.tree, upload.side), photo)
        except PhotoError as error:
            photo.state, photo.message = "failed", str(error).replace(str(path), photo.name)
        except FileNotFoundError:
            photo.state, photo.message = "failed", f"{photo.name} is gone from this device; send it again"
        except OSError as error:
            return f"{photo.name} cannot be read: {error.strerror}; {remedy_for(error)}"
        except (InputError, MissingEngineError) as error:
            return str(error).replace(str(path), photo.name)
        self._uploads.settle(upload, photo)
        return None


def _import_photo(store: Store, counter: Counter, visit: Visit, item: TreePhoto, photo: UploadedPhoto) -> None:
    """Bring a photo into its visit and note what became of it; whatever failed in it is raised."""
    sha256 = store.photos.digest(item.path.read_bytes())
    report = import_photos(store, counter, visit, [item])
    for failure in report.failed:
        raise failure.error
    for _path, place in report.elsewhere:
        photo.state, photo.message = "failed", f"{photo.name}: {place}"
        return
    photo.state = "counted" if report.counted else "known"
    photo.sha256 = sha256
    photo.count = get_photo(store, sha256).detections.count_by_label().get(visit.label, 0)
