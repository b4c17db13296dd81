"""Fixtures for every test: a device's store, a detector that counts drawn discs exactly, the command line."""

from __future__ import annotations

import logging
import os
import signal
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import hypothesis
import pytest

import pomona
from device.orchards import Block, BlockSettings, register_block
from device.store import Store
from export.runtime.bundle import Bundle, open_bundle
from export.runtime.counter import Counter
from export.runtime.engines.onnx_runtime import OnnxRuntimeEngine, OnnxRuntimeSettings
from tests.disc_bundle import make_disc_bundle
from tests.postgresql import PostgreSQL, need_postgresql

hypothesis.settings.register_profile("pomona", max_examples=50, deadline=None)  # a busy machine is no mistake
hypothesis.settings.load_profile("pomona")


@pytest.fixture(scope="session")
def data() -> Path:
    """The folder of real data, which are not ours to pass on."""
    if "POMONA_DATA" not in os.environ:
        pytest.skip("needs real data: set POMONA_DATA to the folder that holds them")
    return Path(os.environ["POMONA_DATA"])


@pytest.fixture(scope="session")
def postgresql() -> Iterator[PostgreSQL]:
    """A PostgreSQL of the tests' own, which waits for no disk: what it holds need not outlive the tests."""
    need_postgresql()
    server = PostgreSQL(["fsync=off"])
    yield server
    server.remove()


@pytest.fixture(scope="session")
def disc_bundle(tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    """A bundle that counts drawn discs exactly."""
    return make_disc_bundle(tmp_path_factory.mktemp("discs"))


@pytest.fixture(scope="session")
def counter(disc_bundle: Bundle) -> Counter:
    """Counts drawn discs."""
    return Counter(disc_bundle, OnnxRuntimeEngine(disc_bundle, OnnxRuntimeSettings(threads=1)))


@pytest.fixture(scope="session")
def newer_counter(tmp_path_factory: pytest.TempPathFactory) -> Counter:
    """Counts drawn discs as a newer model."""
    bundle = make_disc_bundle(tmp_path_factory.mktemp("newer"), "2.0.0")
    return Counter(bundle, OnnxRuntimeEngine(bundle, OnnxRuntimeSettings(threads=1)))


@pytest.fixture(scope="session")
def shipped_counter() -> Counter:
    """Counts with the bundle that comes with Pomona."""
    bundle = open_bundle()
    return Counter(bundle, OnnxRuntimeEngine(bundle, OnnxRuntimeSettings(threads=1)))


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """Folder of a device's records."""
    return tmp_path / "home"


@pytest.fixture
def store(home: Path) -> Iterator[Store]:
    """A device's records, empty."""
    opened = Store(home)
    yield opened
    opened.close()


@pytest.fixture
def block(store: Store) -> Block:
    """Block B1 of the North farm: 1650 trees on 2 ha, 200 g a fruit, yields in kg/mu."""
    settings = BlockSettings(area_m2=20_000, trees=1650, fruit_weight_g=200)
    return register_block(store, "B1", "North farm", settings, "kg/mu")


@dataclass(frozen=True)
class Finished:
    """How a command ended and what it said."""

    exit_code: int
    out: str
    err: str


@dataclass(frozen=True)
class Pomona:
    """The command line, run in this process."""

    monkeypatch: pytest.MonkeyPatch
    capsys: pytest.CaptureFixture[str]

    def __call__(self, *arguments: object) -> Finished:
        """Run ``pomona`` with these arguments."""
        self.monkeypatch.setattr(sys, "argv", ["pomona", *map(str, arguments)])
        self.capsys.readouterr()
        with pytest.raises(SystemExit) as ended:
            pomona.main()
        said = self.capsys.readouterr()
        return Finished(int(ended.value.code or 0), said.out, said.err)


@pytest.fixture
def run_pomona(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], home: Path) -> Iterator[Pomona]:
    """The command line with records of its own; what it does to the process is undone."""
    monkeypatch.setenv("POMONA_HOME", str(home))
    monkeypatch.setenv("COLUMNS", "100")
    handlers = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)}
    level = logging.getLogger().level
    yield Pomona(monkeypatch, capsys)
    logging.getLogger().setLevel(level)
    for number, handler in handlers.items():
        signal.signal(number, handler)


@pytest.fixture(scope="package")
def one_thread() -> Iterator[None]:
    """Networks as small as the tests' lose more by waiting for each other's threads than they gain."""
    import torch  # noqa: PLC0415  (only where a network is built)

    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)
