"""Which installed bundle serves for a task, and going back to the one before."""

from __future__ import annotations

import contextlib
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from cloud_sync import clock
from device.errors import InputError
from device.model_state import note_candidate
from device.store import Store
from export.runtime.bundle import ModelBundle, open_any_bundle
from export.runtime.errors import BundleError

DETECTION, YIELD = "detection", "yield"
_DYING = ".old-"
# stands for the bundle that comes with Pomona, or for none where it brings none of a task
SHIPPED = ""
_Started = TypeVar("_Started")


@dataclass(frozen=True)
class ActiveModel:
    """What serves for a task.

    Attributes:
        task: the task.
        bundle: identity of the installed bundle; empty for what comes with Pomona.
        previous: of the one before; None where there is none to go back to.
        since: the device's clock when it was made to serve.
        reason: why it serves.
    """

    task: str
    bundle: str = SHIPPED
    previous: str | None = None
    since: str = ""
    reason: str = ""


def bundles_folder(home: Path) -> Path:
    """Where installed bundles lie, each in a folder named by its identity."""
    return home / "bundles"


def folder_of(store: Store, bundle: str | None) -> Path | None:
    """Folder of an installed bundle; None for what comes with Pomona."""
    return bundles_folder(store.folder) / bundle if bundle else None


def read_active(store: Store, task: str) -> ActiveModel:
    """What serves for a task."""
    row = store.one("SELECT * FROM active_model WHERE task = ?", [task])
    return ActiveModel(task) if row is None else ActiveModel(**row)


def read_all_active(store: Store) -> list[ActiveModel]:
    """What serves for each task for which something was ever installed."""
    return [ActiveModel(**row) for row in store.db.query("SELECT * FROM active_model ORDER BY task")]


def activate(store: Store, task: str, bundle: str, reason: str) -> ActiveModel:
    """Make an installed bundle serve; what served before is the one to go back to.

    Raises:
        InputError: it is not installed any more.
        StoreError: the store cannot be written.
    """
    with store.change():
        before = read_active(store, task)
        if before.bundle == bundle:
            return before
        if not (bundles_folder(store.folder) / bundle).is_dir():
            raise InputError(f"{bundle} is not installed any more; see `pomona models list`")
        return _write(store, ActiveModel(task, bundle, before.bundle, _now(), reason))


def roll_back(store: Store, task: str) -> ActiveModel:
    """Go back to the bundle that served before.

    Raises:
        InputError: there is none, or it is no longer whole.
        StoreError: the store cannot be written.
    """
    active = read_active(store, task)
    if active.previous is None:
        raise InputError(f"there is no earlier model for {task} to go back to; see `pomona models list`")
    folder = folder_of(store, active.previous)
    if folder is not None:
        open_any_bundle(folder)
    with store.change():
        return _write(store, ActiveModel(task, active.previous, None, _now(), f"taken back from {active.bundle}"))


def start_active(
    store: Store,
    task: str,
    start: Callable[[Path | None, Path | None], _Started],
    blamed: tuple[type[Exception], ...],
    tell: Callable[[str], None],
) -> _Started:
    """Start what serves for a task; where it fails, the one before comes back, if that starts.

    Args:
        store: the device's records.
        task: the task.
        start: starts a bundle by its folder, None for what comes with Pomona; the second folder is that of the bundle
            that served before, None where that comes with Pomona or is not there.
        blamed: errors that are the bundle's own.
        tell: says what happened.

    Raises:
        Exception: what ``start`` raised, where nothing before starts either.
    """
    active = read_active(store, task)
    try:
        return start(folder_of(store, active.bundle), folder_of(store, active.previous))
    except blamed as error:
        failed = error
    for bundle in dict.fromkeys((active.previous or SHIPPED, SHIPPED)):
        if bundle == active.bundle:
            continue
        try:
            started = start(folder_of(store, bundle), None)
        except blamed:
            continue
        with store.change():
            if read_active(store, task).bundle == active.bundle:  # unless another process was here first
                _write(store, ActiveModel(task, bundle, None, _now(), f"{active.bundle} failed: {failed}"))
        note_candidate(store, active.bundle, f"it failed, and the one before came back: {failed}")
        tell(f"{active.bundle} does not start ({failed}). {bundle or 'What comes with Pomona'} serves again.")
        return started
    raise failed


def installed(store: Store) -> list[ModelBundle]:
    """Every installed bundle that is whole, by its identity."""
    found: list[ModelBundle] = []
    for folder in sorted(bundles_folder(store.folder).glob("[!.]*")):
        with contextlib.suppress(BundleError):  # what serves of the others says so when it starts
            found.append(open_any_bundle(folder))
    return found


def forget_unused(store: Store) -> None:
    """Delete installed bundles that nothing needs; what cannot be deleted now is left for the next time.

    What serves for any task, what served before it, and what counted something stays: estimates of old visits ask the
    manifest of the bundle that counted how far it is off.

    Raises:
        StoreError: the store cannot be written.
    """
    folder = bundles_folder(store.folder)
    with contextlib.suppress(OSError), store.change() as db:  # nobody makes one serve meanwhile
        counted = db.query("SELECT model FROM tree_count UNION SELECT model FROM detections")
        needed = {row["model"] for row in counted}
        needed |= {bundle for active in read_all_active(store) for bundle in (active.bundle, active.previous)}
        for path in [path for path in folder.glob("[!.]*") if path.name not in needed]:
            path.replace(folder / f"{_DYING}{path.name}")  # a death leaves no half bundle under its name
    for path in folder.glob(f"{_DYING}*"):
        shutil.rmtree(path, ignore_errors=True)


def _write(store: Store, active: ActiveModel) -> ActiveModel:
    store.db.table("active_model").upsert(vars(active), pk="task")
    return active


def _now() -> str:
    return clock.now().replace(microsecond=0).isoformat().replace("+00:00", "Z")
