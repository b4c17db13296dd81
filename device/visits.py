"""Bringing photos into a visit: each is kept, counted and queued for the server in one step that can be repeated."""

from __future__ import annotations

from collections import Counter as Tally
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from datetime import date, datetime, timezone
from pathlib import Path

from cloud_sync.boxes import MOST_BOXES
from device.documents.registry import registered_code
from device.errors import InputError
from device.model_state import note_counting
from device.names import clean_name, require_name
from device.photo_naming import TreePhoto
from device.recording import (
    Visit,
    find_visit_row,
    record_detections,
    record_photo,
    record_thumbnail,
    record_tree,
    record_tree_count,
    record_visit,
)
from device.store import Store
from device.thumbnails import make_thumbnail, thumbnails_wanted
from export.runtime.counter import Counter
from export.runtime.errors import MissingPartError, PhotoError
from export.runtime.photos import decode_photo, read_taken_at

# a camera whose clock was never set says 1970 or 2000
_EARLIEST_DAY = date(2010, 1, 1)


@dataclass(frozen=True)
class Failure:
    """A photo that could not be counted.

    Attributes:
        path: the file.
        error: why: a PhotoError where the photo itself is no good; anything else (InputError, MissingPartError,
            OSError) is mended without another photo.
    """

    path: Path
    error: Exception

    @property
    def reason(self) -> str:
        """Why, in words for people."""
        if isinstance(self.error, OSError):
            return f"cannot be read: {self.error.strerror or self.error}"
        return str(self.error)


@dataclass
class ImportReport:
    """What became of the photos of one import.

    Attributes:
        counted: photos that were kept and counted now.
        trees: codes of the trees they show.
        known: photos that this visit already had.
        joined_anew: trees that were counted before and whose sides now become one count in another way.
        elsewhere: photos that another tree or visit has, with where; counted there, not here.
        failed: photos that could not be counted.
    """

    counted: int = 0
    trees: set[str] = field(default_factory=set)
    known: int = 0
    joined_anew: int = 0
    elsewhere: list[tuple[Path, str]] = field(default_factory=list)
    failed: list[Failure] = field(default_factory=list)


def by_day(photos: Sequence[TreePhoto]) -> dict[date, list[TreePhoto]]:
    """Photos by the day they were taken, the earliest day first: a card that was not erased holds several visits.

    A photo without a believable time goes with most of the others, and where none has one, all go by :func:`day_of`.

    Raises:
        PhotoError: no photo has a time, and one has gone.
    """
    days = [_camera_day(item.path) for item in photos]
    usual = _usual_day(days, [item.path for item in photos])
    grouped: dict[date, list[TreePhoto]] = {}
    for item, day in zip(photos, days, strict=True):
        grouped.setdefault(day or usual, []).append(item)
    return dict(sorted(grouped.items()))


def day_of(photos: Sequence[Path]) -> date:
    """Day of photos that are one visit: the day most cameras' clocks say, else the day the files were written.

    Never today, so that importing the same folder tomorrow finds the same visit.

    Raises:
        PhotoError: no photo has a time, and one has gone.
    """
    return _usual_day([_camera_day(path) for path in photos], photos)


def _usual_day(days: Sequence[date | None], photos: Sequence[Path]) -> date:
    tally = Tally(day for day in days if day is not None) or Tally(_written_on(path) for path in photos)
    most = max(tally.values())
    return min(day for day, number in tally.items() if number == most)


def _camera_day(path: Path) -> date | None:
    moment = read_taken_at(path)
    return moment.date() if moment is not None and moment.date() >= _EARLIEST_DAY else None


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

    Safe to kill and to repeat: each photo is one transaction, and what is already there is left alone. An area that
    is given with the visit is that of all trees in ``photos``.

    Raises:
        InputError: another rule for sides of a visit with reviewed counts.
        StoreError: the store cannot be written; what was imported before stays.
        EngineError: the engine fails.
    """
    report = ImportReport()
    photos = [replace(item, tree=registered_code(store, visit.block, item.tree)) for item in photos]
    if visit.area_m2 is not None:
        visit = replace(visit, area_trees=len({item.tree for item in photos}))
    if visit.area_m2 is not None or visit.sides is not None:
        _record_known(store, visit, report)
    for number, item in enumerate(photos, start=1):
        try:
            _check_names(item)
            content = item.path.read_bytes()
            _import_one(store, counter, visit, item, content, report)
        except (InputError, PhotoError, MissingPartError, OSError) as error:
            report.failed.append(Failure(item.path, error))
        progress(number, len(photos))
    return report


def _record_known(store: Store, visit: Visit, report: ImportReport) -> None:
    """Record what is said of a visit that is known already; a new visit is recorded with its first photo."""
    with store.change():
        known = find_visit_row(store, visit)
        if known is None:
            return
        record_visit(store, visit)
        if visit.sides not in (None, known["sides"]):
            trees = store.one("SELECT count(*) AS trees FROM tree_count WHERE visit = ?", [known["id"]])
            report.joined_anew = trees["trees"] if trees else 0


def _check_names(item: TreePhoto) -> None:
    require_name(clean_name(item.path.name), "the photo's file name")
    require_name(item.tree, "the tree's code")
    require_name(item.side, "the side of the tree")


def _import_one(
    store: Store, counter: Counter, visit: Visit, item: TreePhoto, content: bytes, report: ImportReport
) -> None:
    sha256 = store.photos.digest(content)
    model = counter.bundle.identity
    if _is_settled(store, visit, item, sha256, model, report):
        _keep_again(store, sha256, content)
        return
    photo = decode_photo(content, str(item.path), counter.least_side_px)
    count = counter.count(photo)
    if (boxes := int(count.counted.sum())) > MOST_BOXES:
        raise PhotoError(
            f"{item.path} shows {boxes:,} fruit and flowers, and at most {MOST_BOXES:,} can be recorded of a photo; "
            "go nearer to the tree"
        )
    jpeg = make_thumbnail(photo) if thumbnails_wanted(store) else None
    store.photos.add(content, item.path.suffix.lower())
    with store.change():
        # asked again: another process may have brought the same photo in while this one counted
        if _is_settled(store, visit, item, sha256, model, report):
            return
        owners = (record_visit(store, visit), record_tree(store, visit, item.tree, photo))
        photo_id = record_photo(store, visit, item, owners, content, photo)
        record_detections(store, photo_id, sha256, counter, count)
        record_tree_count(store, visit, owners, item.tree, model)
        note_counting(store, model, counter.engine.name)
        if jpeg is not None:
            record_thumbnail(store, photo_id, sha256, jpeg)
    report.counted += 1
    report.trees.add(item.tree)


def _is_settled(store: Store, visit: Visit, item: TreePhoto, sha256: str, model: str, report: ImportReport) -> bool:
    """Whether nothing is left to count, because the photo counts already, here or elsewhere; the report says which."""
    if _is_counted(store, visit, item, sha256, model):
        report.known += 1
        return True
    if other := _other_place(store, visit, item, sha256):
        report.elsewhere.append((item.path, other))
        return True
    return False


def _keep_again(store: Store, sha256: str, content: bytes) -> None:
    """Put the file of a recorded photo back where it was lost."""
    row = store.one("SELECT suffix FROM photo WHERE sha256 = ?", [sha256])
    assert row is not None  # it was found a moment ago and photos are not deleted
    store.photos.add(content, row["suffix"])


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
    return (
        f"already counted for tree {row['code']} of {row['block']} on {row['day']} ({row['stage']}) and not counted "
        "again; nothing moves a counted photo, so if it counts in the wrong place, take another one for the right one"
    )
