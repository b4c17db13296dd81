"""A device with one visit, and a browser on its pages."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import pytest
from fastapi.testclient import TestClient

from device.estimates import estimate
from device.photo_naming import TreePhoto
from device.predictions import TablePredictions
from device.recording import Visit
from device.sampled_visits import find_visit
from device.store import Store
from device.visits import import_photos
from tests.device.page.helpers import TAKEN_AT, add_example_block, browser, draw_photo, seeing_counter


@dataclass(frozen=True)
class VisitedDevice:
    """A device after its first visit: two trees with seven apples each, the first from two sides."""

    folder: Path
    visit: str
    photos: tuple[str, ...]


@pytest.fixture(scope="session")
def visited_once(tmp_path_factory: pytest.TempPathFactory) -> VisitedDevice:
    folder = tmp_path_factory.mktemp("visited")
    block = add_example_block(folder / "home")
    store = Store(folder / "home")
    named = []
    for seed, (tree, side) in enumerate([("R01-T01", "a"), ("R01-T01", "b"), ("R02-T05", "a")]):
        path = folder / f"{tree}_{side}.jpg"
        path.write_bytes(draw_photo(seed))
        named.append(TreePhoto(path, tree, side))
    import_photos(store, seeing_counter(7), Visit(block, TAKEN_AT.date(), "ripening"), named)
    predictions = TablePredictions("predictions.csv", {"orchard": 20_000.0, "sampling_area": 1_000.0})
    sampled = find_visit(store, block)
    estimate(store, block, sampled, predictions)
    photos = tuple(store.photos.digest(item.path.read_bytes()) for item in named)
    store.close()
    return VisitedDevice(folder / "home", sampled.id, photos)


@pytest.fixture(scope="session")
def reader(visited_once: VisitedDevice) -> Iterator[TestClient]:
    """A browser for tests that change nothing; others take ``page``."""
    with browser(visited_once.folder) as client:
        yield client


@pytest.fixture
def visited(visited_once: VisitedDevice, tmp_path: Path) -> VisitedDevice:
    """A copy that a test may change."""
    shutil.copytree(visited_once.folder, tmp_path / "home")
    return replace(visited_once, folder=tmp_path / "home")


@pytest.fixture
def page(visited: VisitedDevice) -> Iterator[TestClient]:
    with browser(visited.folder) as client:
        yield client


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """A device with a block and no visit."""
    add_example_block(tmp_path / "home")
    return tmp_path / "home"
