"""A server with releases, and a device that trusts it."""

from __future__ import annotations

from pathlib import Path

import pytest

from device.releases.trust import trust_root
from tests.releases import Releases


@pytest.fixture
def made(tmp_path: Path) -> Releases:
    return Releases(tmp_path / "releasing")


@pytest.fixture
def trusting(made: Releases, home: Path) -> Releases:
    """Releases that the device trusts."""
    trust_root(home, made.root)
    return made
