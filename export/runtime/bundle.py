"""A model bundle on disk: a folder with a manifest and the files it lists."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from export.runtime.errors import BundleError
from export.runtime.manifest import MANIFEST, DetectionManifest, Manifest
from export.runtime.manifest_file import read_manifest
from export.runtime.yield_manifest import YieldManifest

BUNDLES = Path(__file__).parent.parent / "bundles"
DEFAULT_DETECTOR = "yolo-a-light"
INT8_GRAPH = "model.int8.onnx"
OPENVINO_INT8_GRAPH = "model.int8.openvino.onnx"
TENSORRT_INT8_GRAPH = "model.int8.qdq.onnx"
GraphPrecision = Literal["auto", "float32", "int8"]


@dataclass(frozen=True)
class ModelBundle:
    """A verified bundle of any task.

    Attributes:
        folder: where it lies.
        manifest: what it says of itself.
    """

    folder: Path
    manifest: Manifest

    @property
    def model(self) -> Path:
        """The ONNX graph in float32."""
        return self.folder / "model.onnx"

    @property
    def identity(self) -> str:
        """Name, version and the first digits of a hash of all that decides a result; written beside every result."""
        digest = hashlib.sha256(json.dumps(self.manifest.deciding(), sort_keys=True).encode()).hexdigest()
        return f"{self.manifest.name}-{self.manifest.version}+{digest[:12]}"


@dataclass(frozen=True)
class Bundle(ModelBundle):
    """A verified bundle that finds fruit and flowers."""

    manifest: DetectionManifest

    def graph(self, precision: GraphPrecision, *int8_graphs: str) -> Path:
        """The graph that an engine runs.

        Args:
            precision: ``auto`` takes the one the manifest names.
            int8_graphs: names of the graphs in integers that the engine takes, best first.

        Raises:
            BundleError: the bundle has none of them.
        """
        wanted = self.manifest.precision if precision == "auto" else precision
        if wanted == "float32":
            return self.model
        for name in int8_graphs:
            if name in self.manifest.files:
                return self.folder / name
        raise BundleError(
            f"{self.identity} has no {' or '.join(int8_graphs)}; run it in float32, or install a bundle that has one"
        )


@dataclass(frozen=True)
class YieldBundle(ModelBundle):
    """A verified bundle that predicts yields."""

    manifest: YieldManifest


def sha256_of(path: Path) -> str:
    """SHA-256 of a file, in hexadecimal."""
    with path.open("rb") as file:
        digest = hashlib.sha256()
        while block := file.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()


def open_bundle(folder: Path | None = None) -> Bundle:
    """Read a bundle that finds fruit and flowers and check each of its files against the manifest.

    Args:
        folder: the bundle; None takes the detector that comes with Pomona.

    Raises:
        BundleError: no bundle there, one of another task, or a file that is missing or was altered.
    """
    bundle = open_any_bundle(folder or BUNDLES / DEFAULT_DETECTOR)
    if not isinstance(bundle, Bundle):
        raise BundleError(f"{folder} predicts yields and cannot count; name a bundle of task detection")
    return bundle


def open_yield_bundle(folder: Path) -> YieldBundle:
    """Read a bundle that predicts yields and check each of its files against the manifest.

    Raises:
        BundleError: no bundle there, one of another task, or a file that is missing or was altered.
    """
    bundle = open_any_bundle(folder)
    if not isinstance(bundle, YieldBundle):
        raise BundleError(f"{folder} counts in photos and predicts no yield; name a bundle of task yield")
    return bundle


def open_any_bundle(folder: Path) -> Bundle | YieldBundle:
    """Read a bundle of any task and check each of its files against the manifest.

    Raises:
        BundleError: no bundle there, or a file that is missing or was altered.
    """
    if not folder.is_dir():
        raise BundleError(f"{folder} is no folder; name a model bundle (a folder with manifest.json and model.onnx)")
    manifest = read_manifest(folder / MANIFEST)
    if "model.onnx" not in manifest.files:
        raise BundleError(f"{folder / MANIFEST} lists no model.onnx; install the bundle again")
    for name, expected in manifest.files.items():
        path = folder / name
        if Path(name).name != name or not path.is_file():
            raise BundleError(f"{path} is listed in the manifest but not there; install the bundle again")
        if sha256_of(path) != expected:
            raise BundleError(f"{path} was altered: its SHA-256 is not the manifest's; install the bundle again")
    return YieldBundle(folder, manifest) if isinstance(manifest, YieldManifest) else Bundle(folder, manifest)
