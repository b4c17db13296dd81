"""A server's releases for the tests of both ends."""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import numpy as np

from cloud_sync.server.folder import ServerFolder
from cloud_sync.server.releases.releasing import release, repository_of
from cloud_sync.server.releases.repository import ReleaseRepository
from models.gate import Decision, Errors, decide
from tests.cloud_sync.helpers import make_server
from tests.disc_bundle import make_disc_bundle

REASON = "released in a test, where nothing is compared"
_ROWS = [f"row {number}" for number in range(40)]


def judged(challenger: str, factor: float = 0.5) -> Decision:
    """The gate's decision of a model whose errors are so many times the champion's."""
    errors = np.random.default_rng(0).normal(0, 100, 40)
    years = [number // 10 for number in range(40)]
    return decide(Errors(challenger, _ROWS, factor * errors), Errors("old 1.0.0", _ROWS, errors), years)


class Releases:
    """A server with a repository, and bundles that are released there."""

    def __init__(self, folder: Path, now: Callable[[], datetime] | None = None) -> None:
        self.folder = folder
        self.server = ServerFolder(folder / "server")
        if not self.server.settings_file.exists():
            make_server(folder / "server")
        plain = repository_of(self.server)
        self.repository = plain if now is None else ReleaseRepository(plain.folder, plain.keys, now)
        if not self.repository.exists:
            self.repository.make()

    @property
    def root(self) -> Path:
        return self.repository.metadata / "1.root.json"

    @property
    def source(self) -> Path:
        return self.repository.folder

    def add(self, version: str, **changes: Any) -> str:
        """Release a bundle that counts discs, and say its identity."""
        bundle = make_disc_bundle(self.folder / f"discs-{version}", version, **changes)
        release(self.repository, bundle.folder, ungated=REASON)
        return bundle.identity


def days_ago(days: float) -> Callable[[], datetime]:
    """A clock of that long ago."""
    return lambda: datetime.fromtimestamp(int(time.time()), timezone.utc) - timedelta(days=days)
