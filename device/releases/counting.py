"""What counts in a process that runs for weeks, and must not count on with a model that was replaced meanwhile."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from pathlib import Path

from device.releases.active import DETECTION, ActiveModel, read_active
from device.store import Store
from export.runtime.counter import Counter

_Seen = tuple[ActiveModel, int]


class LastingCounter:
    """Gives a counter, and another one once another model serves or a TensorRT engine was built.

    Args:
        make: makes a counter on what serves.
        home: the device's folder.
        engines: folder with TensorRT engines.
    """

    def __init__(self, make: Callable[[], Counter], home: Path, engines: Path) -> None:
        self._make = make
        self._home = home
        self._engines = engines
        self._made: Counter | None = None
        self._seen: _Seen | None = None

    def __call__(self) -> Counter:
        """What counts now.

        Raises:
            BundleError: no bundle there is whole.
            EngineError: none starts.
            StoreError: the store cannot be read.
        """
        if self._made is None or self._look() != self._seen:
            self._made = self._make()
            self._seen = self._look()  # making it may have brought the one before back
        return self._made

    def _look(self) -> _Seen:
        built_at = self._engines.stat().st_mtime_ns if self._engines.exists() else 0
        with contextlib.closing(Store(self._home)) as store, store.explained():
            return read_active(store, DETECTION), built_at
