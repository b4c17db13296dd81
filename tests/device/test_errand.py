"""Errands beside the uplink: what failed is tried again, what was announced is done before the end, nothing ends it."""

from __future__ import annotations

import logging
import queue
import threading
import time
from pathlib import Path

import pytest

from cloud_sync.errors import HttpsError
from device.errand import Errand, Errands
from device.errors import StoreError
from device.store import Store


class Told(Errand):
    """Notes what it is called with; fails with what is put into ``fails``."""

    def __init__(self, home: Path, *fails: Exception, wait_s: float | None = None) -> None:
        super().__init__("letters", home, least_wait_s=0.02)
        self.calls: queue.Queue[bytes | None] = queue.Queue()
        self._fails = list(fails)
        self._wait_s = wait_s

    def work(self, store: Store, payload: bytes | None) -> float | None:
        assert store.outbox.count_waiting(with_bulk=True) == 0
        self.calls.put(payload)
        if self._fails:
            raise self._fails.pop(0)
        return self._wait_s


def test_what_failed_is_tried_again_and_said_once(home: Path, caplog: pytest.LogCaptureFixture) -> None:
    """SYNC-122: whatever it was; what was announced is not lost by it."""
    caplog.set_level(logging.INFO)
    away = HttpsError("server x:1 cannot be reached")
    errand = Told(home, away, away, StoreError("no space"), OSError("no card"))
    with Errands(errand).running(5.0, threading.Event()) as errands:
        assert errand.calls.get(timeout=5) is None
        errands.announce(b"one")
        while errand.calls.get(timeout=5) != b"one":
            pass
        while errand._newest is not None:  # until it has succeeded
            time.sleep(0.01)
    assert caplog.messages == [
        "letters wait: server x:1 cannot be reached",
        "letters wait: no space",
        "letters wait: no card",
        "letters go on",
    ]


def test_what_was_announced_is_done_before_the_end(home: Path) -> None:
    """SYNC-124: as in a run that shall end when nothing waits. The last word counts."""
    errand = Told(home)
    errand.start()
    assert errand.calls.get(timeout=5) is None
    errand.announce(b"one")
    errand.announce(b"two")
    errand.stop(5.0, threading.Event())
    told = [errand.calls.get(timeout=0) for _ in range(errand.calls.qsize())]
    assert told in ([b"two"], [b"one", b"two"])


def test_who_is_in_a_hurry_does_not_wait(home: Path) -> None:
    """SYNC-122: what was broken off goes on the next time."""
    release = threading.Event()

    class Long(Told):
        def work(self, store: Store, payload: bytes | None) -> float | None:
            release.wait(20)
            return super().work(store, payload)

    errand = Long(home)
    errand.start()
    hurry = threading.Event()
    threading.Timer(0.3, hurry.set).start()
    begun = time.monotonic()
    errand.stop(30.0, hurry)
    assert time.monotonic() - begun < 6
    release.set()
    errand.stop(5.0, threading.Event())


def test_it_looks_again_when_it_said_so(home: Path) -> None:
    errand = Told(home, wait_s=0.01)
    with Errands(errand).running(5.0, threading.Event()):
        for _ in range(3):
            assert errand.calls.get(timeout=5) is None
