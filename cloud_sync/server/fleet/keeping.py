"""Figures that take a large database seconds: made once for all who ask within a while."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Generic, TypeVar

T = TypeVar("T")


class Kept(Generic[T]):
    """A value that is made again when it is old; who asks meanwhile waits for it and does not make it too.

    Args:
        for_s: seconds after which it is old.
        clock: seconds that never go back.
    """

    def __init__(self, for_s: float, clock: Callable[[], float] = time.monotonic) -> None:
        self._for_s = for_s
        self._clock = clock
        self._lock = threading.Lock()
        self._value: tuple[float, T] | None = None

    def get(self, make: Callable[[], T]) -> T:
        """The value.

        Args:
            make: makes it; what that raises is raised here, and the next one to ask tries again.
        """
        with self._lock:
            if self._value is None or self._clock() - self._value[0] >= self._for_s:
                self._value = (self._clock(), make())
            return self._value[1]
