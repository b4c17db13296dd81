"""Reading a manifest: what it is decides what has to be in it."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from pydantic import BaseModel, Field, ValidationError

from export.runtime.errors import BundleError
from export.runtime.manifest import DetectionManifest
from export.runtime.yield_manifest import YieldManifest

_KINDS: dict[str, type[DetectionManifest] | type[YieldManifest]] = {
    "detection": DetectionManifest,
    "yield": YieldManifest,
}
TASKS: tuple[str, ...] = tuple(_KINDS)


class _Task(BaseModel):
    task: Literal["detection", "yield"] = Field(description="what the model does")


def read_manifest(path: Path) -> DetectionManifest | YieldManifest:
    """Read and check a manifest.

    Raises:
        BundleError: it is missing, is not JSON, or a field is missing, unknown or out of range.
    """
    try:
        content = path.read_bytes()
    except OSError as error:
        raise BundleError(f"{path} cannot be read ({error.strerror}); is {path.parent} a model bundle?") from error
    try:
        manifest = _KINDS[_Task.model_validate_json(content).task].model_validate_json(content)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"]) or "the file"
        raise BundleError(f"{path}: {where}: {first['msg']}; install the bundle again") from error
    if problem := manifest.problem():
        raise BundleError(f"{path}: {problem}; install the bundle again")
    return manifest
