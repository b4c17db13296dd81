"""Opening the store for one request, or for the thread that counts."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path

from device.store import Store


@contextlib.contextmanager
def open_store(folder: Path) -> Iterator[Store]:
    """A store that is closed afterwards: one connection is not for two threads at once.

    Raises:
        StoreError: the database cannot be opened, read or written.
    """
    store = Store(folder)
    try:
        with store.explained():
            yield store
    finally:
        store.close()
