"""Releases that stay new: a running server signs snapshot and timestamp again before devices take them for old."""

from __future__ import annotations

import contextlib
import logging
import threading
from collections.abc import Iterator

from cloud_sync.server.errors import ReleaseError
from cloud_sync.server.folder import ServerFolder
from cloud_sync.server.releases.releasing import repository_of

_log = logging.getLogger(__name__)

_LOOK_S = 3600.0


@contextlib.contextmanager
def fresh_releases(folder: ServerFolder, stop: threading.Event) -> Iterator[None]:
    """Look once an hour, from a thread, until told to stop.

    Args:
        folder: the server's folder.
        stop: ends it when set; it is set when the context is left.
    """
    thread = threading.Thread(target=_look_until, args=(folder, stop), name="fresh-releases", daemon=True)
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join()


def _look_until(folder: ServerFolder, stop: threading.Event) -> None:
    said = ""
    while not stop.is_set():
        trouble = _look(folder)
        if trouble and trouble != said:
            _log.error(
                "releases are not signed again, and devices will install nothing once they have ended: %s", trouble
            )
        said = trouble
        stop.wait(_LOOK_S)


def _look(folder: ServerFolder) -> str:
    """Renew if it is time, and say what was in the way."""
    repository = repository_of(folder)
    try:
        if repository.exists and repository.renew_in_time():
            _log.info("snapshot and timestamp of the releases were signed again")
    except ReleaseError as error:
        return str(error)
    return ""
