"""Bringing photos into a visit: each is kept, counted and queued for the server in one step that can be repeated."""

from __future__ import annotations

from collections import Counter as Tally
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, timezone
from pathlib import Path

from device.errors import InputError
from device.names import require_name
from device.photo_naming import TreePhoto
from device.recording import Visit, record_detections, record_photo, record_tree, record_tree_count, record_visit
from device.store import Store
from export.runtime.counter import Counter
from export.runtime.errors import MissingPartError, PhotoError
from export.runtime.photos import decode_photo, read_taken_at

# a camera whose clock was never set says 1970 or 2000
_EARLIEST_DAY = date(2010, 1, 1)


@dataclass
class ImportReport:
    """What became of the photos of one import.

    Attributes:
        counted: photos that were kept and counted now.
        known: photos that this visit already had.
        elsewhere: photos that another tree or visit has, with where; counted there, not here.
        failed: photos that could not be counted, with the reason.
    """

    counted: int = 0
    known: int = 0
    elsewhere: list[tuple[Path, str]] = field(default_factory=list)
    failed: list[tuple[Path, str]] = field(default_factory=list)


def day_of(photos: Sequence[Path]) -> date:
    """Day of a visit by its photos: the day most cameras' clocks say, else the day the files were written.

    Never today, so that importing the same folder tomorrow finds the same visit.

    Raises:
        PhotoError: a photo that has gone.
    """
    moments = (read_taken_at(path) for path in photos)
    days = Tally(moment.date() for moment in moments if moment is not None and moment.date() >= _EARLIEST_DAY)
    if not days:
        days.update(_written_on(path) for path in photos)
    most = max(days.values())
    return min(day for day, number in days.items() if number == most)


def _written_on(path: Path) -> date:
    try:
        written = datetime.fromtimestamp(path.stat().st_mtime, timezone.utc)
        return written.astimezone().date()  # a camera's clock shows local time, so the file's is read likewise
    except OSError as error:
        raise PhotoError(f"{path} cannot be read: {error.strerror}; is the card still in?") from error


def import_photos(
    store: Store,
    counter: Counter,
    visit: Visit,
    photos: Sequence[TreePhoto],
    progress: Callable[[int, int], None] = lambda _done, _total: None,
) -> ImportReport:
    """Bring photos into a visit. A photo that cannot be counted is reported and the rest go on.

    Safe to kill and to repeat: each photo is one transaction, and what is already there is left alone.

    Raises:
        StoreError: the store cannot be written; what was imported before stays.
        EngineError: the engine fails.
    """
    report = ImportReport()
    for number, item in enumerate(photos, start=1):
        try:
            _check_names(item)
            content = item.path.read_bytes()
            _import_one(store, counter, visit, item, content, report)
        except OSError as error:
            report.failed.append((item.path, f"cannot be read: {error.strerror}"))
        except (InputError, PhotoError, MissingPartError) as error:
            report.failed.append((item.path, str(error)))
        progress(number, len(photos))
    return report


def _check_names(item: TreePhoto) -> None:
    require_name(item.path.name, "the photo's file name")
    require_name(item.tree, "the tree's code")
    require_name(item.side, "the side of the tree")


def _import_one(
    store: Store, counter: Counter, visit: Visit, item: TreePhoto, content: bytes, report: ImportReport
) -> None:
    sha256 = store.photos.digest(content)
    model = counter.bundle.identity
    if _is_counted(store, visit, item, sha256, model):
        report.known += 1
        return
    if other := _other_place(store, visit, item, sha256):
        report.elsewhere.append((item.path, other))
        return
    photo = decode_photo(content, str(item.path))
    count = counter.count(photo)
    store.photos.add(content, item.path.suffix.lower())
    with store.change():
        # asked again: another process may have brought the same photo in while this one counted
        if other := _other_place(store, visit, item, sha256):
            report.elsewhere.append((item.path, other))
            return
        owners = (record_visit(store, visit), record_tree(store, visit, item.tree, photo))
        photo_id = record_photo(store, visit, item, owners, content, photo)
        record_detections(store, photo_id, sha256, counter, count)
        record_tree_count(store, visit, owners, item.tree, model)
    report.counted += 1


_PLACES = """
    FROM photo JOIN visit ON visit.id = photo.visit JOIN tree ON tree.id = photo.tree
    JOIN block ON block.id = visit.block
"""


def _is_counted(store: Store, visit: Visit, item: TreePhoto, sha256: str, model: str) -> bool:
    """Whether this model has counted the photo for this tree and visit."""
    row = store.one(
        f"SELECT 1 {_PLACES} JOIN detections ON detections.photo = photo.id WHERE photo.sha256 = ? "
        "AND detections.model = ? AND block.id = ? AND visit.day = ? AND visit.stage = ? AND tree.code = ?",
        [sha256, model, visit.block.id, visit.day.isoformat(), visit.stage, item.tree],
    )
    return row is not None


def _other_place(store: Store, visit: Visit, item: TreePhoto, sha256: str) -> str | None:
    """Where else the photo already counts, None where it is new or belongs here."""
    row = store.one(
        f"SELECT block.name AS block, visit.day, visit.stage, tree.code {_PLACES} WHERE photo.sha256 = ?",
        [sha256],
    )
    own = {"block": visit.block.name, "day": visit.day.isoformat(), "stage": visit.stage, "code": item.tree}
    if row is None or row == own:
        return None
    return f"already counted for tree {row['code']} of {row['block']} on {row['day']} ({row['stage']})"
