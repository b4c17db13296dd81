"""Installing a release: verified, fetched, unpacked, tried, put in place, and only then made to serve.

Each step can be the last one before the power goes. What is begun lies in folders that nobody reads; a bundle gets its
name by one rename, and serves by one row of the store. Until that row is there, what served before serves.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import shutil
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from cloud_sync.documents import Notice
from cloud_sync.fetching import PART
from cloud_sync.files import make_folder, sync_folder
from device.disk import remedy_for
from device.errors import InputError, ReleaseError, StoreError
from device.model_state import note_candidate
from device.releases.active import DETECTION, YIELD, activate, bundles_folder, forget_unused, read_active
from device.releases.source import Source
from device.releases.trust import Offered, offered
from device.store import Store
from export.runtime.bundle import ModelBundle, open_any_bundle
from export.runtime.bundle_archive import unpack_bundle
from export.runtime.errors import BundleError
from export.runtime.fitting import fits
from export.runtime.manifest_file import TASKS
from export.runtime.self_test import try_bundle

_FRESH = ".new"


@dataclass(frozen=True)
class Wanted:
    """What shall be installed; of each task the newest release that fits this device, where nothing more is said.

    Attributes:
        name: name and version of one release.
        task: releases of this task only.
        anywhere: whether the owner takes a yield model of another region.
    """

    name: str | None = None
    task: str | None = None
    anywhere: bool = False


@dataclass(frozen=True)
class Installed:
    """What became of a release.

    Attributes:
        name: name and version.
        task: its task.
        identity: of the bundle.
        previous: identity of what served before, empty for what comes with Pomona.
        anew: it serves from now on; otherwise it did before.
    """

    name: str
    task: str
    identity: str
    previous: str
    anew: bool


def install(
    store: Store, source: Source, wanted: Wanted | None = None, say: Callable[[str], None] = lambda _: None
) -> list[Installed]:
    """Install what a source has released.

    Args:
        store: the device's records.
        source: where from.
        wanted: what.
        say: told of each step that takes time.

    Raises:
        InputError: nothing is released that fits, or a bundle is not what it should be; that is noted for the server.
        ReleaseError: the releases cannot be trusted, or another installation is under way.
        FetchError: a bundle cannot be fetched now; what came is kept.
        HttpsError: the server cannot be reached, or says no.
        StoreError: the disk or store does not take it.
    """
    with _alone(store.folder):
        say(f"Asking {source.where}")
        chosen = _choose(store, offered(store.folder, source), wanted or Wanted())
        _forget_parts(store.folder, chosen)
        return [_install(store, source, release, say) for release in chosen]


def crops_of(store: Store) -> list[str]:
    """What grows in the orchards this device knows; nothing where it knows none."""
    return [row["crop"] for row in store.db.query("SELECT DISTINCT crop FROM orchard ORDER BY crop")]


def _choose(store: Store, releases: Sequence[Offered], wanted: Wanted) -> list[Offered]:
    """The releases to install, one a task at most."""
    if wanted.name is not None:
        named = [release for release in releases if release.name == wanted.name]
        if not named:
            raise InputError(f"no release is called {wanted.name}; there are {_names(releases)}")
        if reason := _misfit(store, named[0], wanted):
            note_candidate(store, named[0].told.identity, reason)
            raise InputError(f"{reason}; it is not installed")
        return named
    newest: dict[str, Offered] = {}
    misfits: list[str] = []
    for release in releases:
        if wanted.task not in {None, release.told.task}:
            continue
        if reason := _misfit(store, release, wanted):
            misfits.append(reason)
        else:
            newest[release.told.task] = release
    if not newest:
        raise InputError(f"nothing is released that fits this device: {'; '.join(misfits) or 'nothing at all'}")
    return list(newest.values())


def regions_of(store: Store) -> list[str]:
    """Where the orchards stand of which somebody has said it."""
    return [row["region"] for row in store.db.query("SELECT DISTINCT region FROM orchard WHERE region > '' ORDER BY 1")]


def _misfit(store: Store, release: Offered, wanted: Wanted) -> str | None:
    """Why a release is not for this device, by what is said of it."""
    told = release.told
    if told.task not in TASKS:
        return f"{release.name} is for {told.task}, which this Pomona does not know; upgrade it"
    predicts = told.task == YIELD
    crops: list[str | None] = [*crops_of(store)]
    for crop in crops or [None]:
        if reason := fits(told, crop, target=YIELD if predicts else None):
            return reason
    if not predicts or wanted.anywhere:  # a detector knows fruit of any region
        return None
    # orchards in several regions: a model of one of them is for this device, and estimates of the others refuse it
    elsewhere = [fits(told, None, region) for region in regions_of(store)]
    return elsewhere[0] if elsewhere and all(elsewhere) else None


def _install(store: Store, source: Source, release: Offered, say: Callable[[str], None]) -> Installed:
    told = release.told
    try:
        _put_in_place(store, source, release, say)
    except BundleError as error:
        note_candidate(store, told.identity, str(error))
        raise InputError(f"{release.name} is not installed: {error}") from error
    before = read_active(store, told.task)
    activate(store, told.task, told.identity, f"installed from {source.where}")
    forget_unused(store)
    if told.task == DETECTION and before.bundle != told.identity:
        note_candidate(store, told.identity)
    with contextlib.suppress(OSError):
        (_downloads(store.folder) / release.sha256).unlink(missing_ok=True)
    return Installed(release.name, told.task, told.identity, before.bundle, before.bundle != told.identity)


def _put_in_place(store: Store, source: Source, release: Offered, say: Callable[[str], None]) -> None:
    """Have the bundle in its folder, whole and tried."""
    target = bundles_folder(store.folder) / release.told.identity
    if target.exists():
        with contextlib.suppress(BundleError):
            _check(open_any_bundle(target), release)
            return  # a folder gets this name only after it was tried
    say(f"Fetching {release.name}, {release.size_bytes / 1e6:.1f} MB")
    notice = Notice(kind="release", name=release.name, version=1, sha256=release.sha256, size_bytes=release.size_bytes)
    archive = source.fetch(notice, release.file, _downloads(store.folder))
    fresh = bundles_folder(store.folder) / _FRESH
    try:
        make_folder(fresh.parent)
        shutil.rmtree(fresh, ignore_errors=True)
        bundle = unpack_bundle(archive, fresh)
        _check(bundle, release)
        say(f"Trying {release.name}")
        try_bundle(fresh)
        for path in (*fresh.iterdir(), fresh):
            _sync(path)
        shutil.rmtree(target, ignore_errors=True)  # only where what lies there is broken
        fresh.replace(target)
        sync_folder(target.parent)
    except BundleError:
        shutil.rmtree(fresh, ignore_errors=True)
        archive.unlink(missing_ok=True)
        raise
    except OSError as error:
        shutil.rmtree(fresh, ignore_errors=True)
        raise StoreError(
            f"{release.name} cannot be unpacked: {error.strerror or error}; {remedy_for(error)}"
        ) from error


def _check(bundle: ModelBundle, release: Offered) -> None:
    """See that a bundle is the one that was released under this name, and not another with a good signature."""
    manifest, told = bundle.manifest, release.told
    said = (told.identity, told.name, told.version, told.task, told.crop, told.region, told.target)
    found = (
        bundle.identity,
        manifest.name,
        manifest.version,
        manifest.task,
        manifest.crop,
        manifest.region,
        manifest.target,
    )
    if said != found or release.name != f"{manifest.name}-{manifest.version}":
        raise BundleError(f"{release.name} holds {bundle.identity}, another bundle than it says")


def _forget_parts(home: Path, wanted: Sequence[Offered]) -> None:
    """Delete what was fetched of releases that are no longer wanted."""
    kept = {release.sha256 for release in wanted}
    with contextlib.suppress(OSError):
        for path in _downloads(home).glob("[0-9a-f]" * 64 + "*"):
            if path.name.removesuffix(PART) not in kept:
                path.unlink(missing_ok=True)


def _downloads(home: Path) -> Path:
    return home / "releases" / "downloads"


def _names(releases: Sequence[Offered]) -> str:
    return ", ".join(release.name for release in releases) or "none"


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


@contextlib.contextmanager
def _alone(home: Path) -> Iterator[None]:
    """Keep other installations out; a process that dies leaves nothing locked."""
    folder = home / "releases"
    try:
        make_folder(folder)
        lock = (folder / "lock").open("a")
    except OSError as error:
        raise StoreError(f"{folder}: {error.strerror}; {remedy_for(error)}") from error
    with lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise ReleaseError("another installation is under way on this device; wait until it is done") from error
        yield
