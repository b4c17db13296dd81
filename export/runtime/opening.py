"""Opening a bundle of whatever task: the one place that knows which tasks there are."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Protocol

from export.runtime.bundle import open_bundle
from export.runtime.errors import BundleError
from export.runtime.manifest import MANIFEST


class AnyManifest(Protocol):
    """What the manifests of all tasks say."""

    @property
    def name(self) -> str:
        """Name of the bundle."""

    @property
    def version(self) -> str:
        """Version of the bundle."""

    @property
    def task(self) -> str:
        """What the model does."""

    @property
    def crop(self) -> str:
        """Crop it was trained on."""

    @property
    def region(self) -> str:
        """Where its training data come from."""

    @property
    def target(self) -> str:
        """What it finds or predicts."""

    @property
    def files(self) -> Mapping[str, str]:
        """SHA-256 of every file of the bundle."""


class AnyBundle(Protocol):
    """What the bundles of all tasks have."""

    @property
    def folder(self) -> Path:
        """Where it lies."""

    @property
    def manifest(self) -> AnyManifest:
        """What it says of itself."""

    @property
    def model(self) -> Path:
        """The ONNX graph."""

    @property
    def identity(self) -> str:
        """Name, version and the first digits of a hash of all that decides what it computes."""


_OPENERS: Mapping[str, Callable[[Path], AnyBundle]] = {"detection": open_bundle}
TASKS: tuple[str, ...] = tuple(_OPENERS)


def open_model(folder: Path) -> AnyBundle:
    """Read a bundle and check each of its files against its manifest.

    Raises:
        BundleError: no bundle, one of a task that is unknown here, or a file that is missing or was altered.
    """
    path = folder / MANIFEST
    try:
        task = json.loads(path.read_bytes())["task"]
        opener = _OPENERS[task]
    except OSError as error:
        raise BundleError(f"{path} cannot be read ({error.strerror}); is {folder} a model bundle?") from error
    except (ValueError, TypeError) as error:
        raise BundleError(f"{path} is no manifest of a bundle; install the bundle again") from error
    except KeyError as error:
        raise BundleError(f"{path}: the task {error} is not known here; upgrade Pomona") from error
    return opener(folder)
