"""What several commands share: options, the store, progress, the counter."""

from __future__ import annotations

import contextlib
import os
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING, Any, TypeVar

import click

from device.errors import InputError

if TYPE_CHECKING:
    from device.store import Store
    from export.runtime.counter import Counter

# as export.runtime.engines.choice has them, which is imported only to count
ENGINES = ("auto", "onnxruntime", "openvino", "tensorrt")
_Function = TypeVar("_Function", bound=Callable[..., Any])


def default_home() -> Path:
    """Where records lie when nobody says otherwise: the user's data folder."""
    base = os.environ.get("XDG_DATA_HOME") or Path.home() / ".local" / "share"
    return Path(base) / "pomona"


def home_option(function: _Function) -> _Function:
    """``--home``: the folder with this device's records."""
    return click.option(
        "--home",
        envvar="POMONA_HOME",
        type=click.Path(file_okay=False, path_type=Path),
        default=default_home,
        show_default="$POMONA_HOME, else ~/.local/share/pomona",
        help="Folder with this device's records.",
    )(function)


def inbox_option(function: _Function) -> _Function:
    """``--inbox``: where photos arrive to be counted, so that those which wait can be told."""
    return click.option(
        "--inbox",
        envvar="POMONA_INBOX",
        type=click.Path(file_okay=False, path_type=Path),
        help="Folder in which photos arrive to be counted; those that wait there are told.  [default: $POMONA_INBOX]",
    )(function)


def default_engines() -> Path:
    """Where TensorRT engines lie: with the device's records where a folder is set for them, else the user's cache."""
    if home := os.environ.get("POMONA_HOME"):
        return Path(home) / "engines"
    base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(base) / "pomona" / "engines"


def bundle_option(function: _Function) -> _Function:
    """``--bundle``: what counts."""
    return click.option(
        "--bundle",
        type=click.Path(path_type=Path),
        help="Folder of the model bundle.  [default: the one that was installed last, else the one of Pomona]",
    )(function)


def model_options(function: _Function) -> _Function:
    """``--bundle``, ``--engine`` and ``--threads``: what counts, on what, and with how many processor threads."""
    function = click.option(
        "--threads", type=click.IntRange(0, 64), default=0, help="Processor threads; 0 takes one a core."
    )(function)
    function = click.option(
        "--engine",
        type=click.Choice(ENGINES),
        help="What runs the model; auto takes TensorRT where its engine is built, else ONNX Runtime.  [default: auto]",
    )(function)
    return bundle_option(function)


@contextlib.contextmanager
def opened_store(home: Path, *, create: bool = False) -> Iterator[Store]:
    """The store in a folder, closed afterwards; what the disk does to it is explained.

    Args:
        home: the folder.
        create: make a store where there is none; only a command that has something to put there does.

    Raises:
        InputError: there is none, and none shall be made.
        StoreError: it cannot be opened, read or written.
    """
    from device.store import FILE_NAME, Store

    if not create:
        with contextlib.suppress(PermissionError):  # opening it explains
            if not (home / FILE_NAME).exists():
                raise InputError(
                    f"{home} holds no records; check --home, or begin: pomona block add NAME --orchard ORCHARD"
                )
    store = Store(home)
    try:
        with store.explained():
            yield store
    finally:
        store.close()


def make_counter(
    bundle: Path | None,
    threads: int,
    min_score: float | None = None,
    engine: str | None = None,
    home: Path | None = None,
) -> Counter:
    """A counter on the bundle, with the engine started.

    Where an installed bundle does not start, the one before comes back, which is said and noted for the server.

    Args:
        bundle: folder of the bundle; None takes the one that serves on this device.
        threads: processor threads.
        min_score: detections from this score on are listed.
        engine: name of the engine. None takes the best too, and says why it is not a better one only where TensorRT
            is installed.
        home: the device's folder; None, and one without records, leaves the bundle that comes with Pomona.
    """
    from device.releases.active import DETECTION, start_active
    from device.store import FILE_NAME
    from export.runtime.bundle import open_bundle
    from export.runtime.counter import Counter
    from export.runtime.engines.choice import AUTO, EngineSettings, choose_engine
    from export.runtime.errors import BundleError, EngineError

    settings = EngineSettings(threads, default_engines())

    def start(folder: Path | None, previous: Path | None) -> Counter:
        before = None
        if previous is not None:
            with contextlib.suppress(BundleError):
                before = open_bundle(previous)
        choice = choose_engine(engine or AUTO, open_bundle(folder), settings, before)
        if choice.reason and (engine or choice.surprising):
            warn(f"Counting with {choice.engine.name}: {choice.reason}")
        return Counter(choice.bundle, choice.engine, min_score)

    if bundle is not None or home is None or not _exists(home / FILE_NAME):
        return start(bundle, None)
    # an engine that was asked for by name may be missing for reasons of the machine
    blamed = (BundleError,) if engine in {"openvino", "tensorrt"} else (BundleError, EngineError)
    with opened_store(home) as store:
        return start_active(store, DETECTION, start, blamed, warn)


def _exists(path: Path) -> bool:
    with contextlib.suppress(PermissionError):  # somebody else's records
        return path.exists()
    return False


@contextlib.contextmanager
def progress_bar(title: str) -> Iterator[Callable[[int, int], None]]:
    """A bar on a terminal, nothing in a pipe; called with how much is done and how much there is."""
    if not sys.stderr.isatty():
        yield lambda _done, _total: None
        return
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as progress:
        task = progress.add_task(title, total=None)
        yield lambda done, total: progress.update(task, completed=done, total=total)


def stop_on_signals() -> threading.Event:
    """An event that SIGTERM and SIGINT set, so that long work ends after what it has begun."""
    stop = threading.Event()

    def ask_to_stop(_signal: int, _frame: FrameType | None) -> None:
        stop.set()

    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, ask_to_stop)
    return stop


def warn(message: str) -> None:
    """Say something on stderr that does not stop the command."""
    click.echo(message, err=True)
