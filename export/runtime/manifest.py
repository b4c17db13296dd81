"""The manifest of a model bundle: what the model is, what it eats, how its output is read and how good it is."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from export.runtime.errors import BundleError

MANIFEST = "manifest.json"
SCHEMA: Literal[1] = 1
Share = Annotated[float, Field(ge=0, le=1)]
Sha256 = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Input(_Part):
    """The tensor a detector is fed, (batch, channels, height, width) float32."""

    name: str = Field(description="name of the graph's input")
    size_px: int = Field(ge=32, le=4096, description="height and width")
    colour_order: Literal["RGB", "BGR"] = Field(description="order of the channels")
    scale: float = Field(gt=0, description="8-bit values are multiplied by this")
    padding: int = Field(ge=0, le=255, description="8-bit value that fills what lies outside the photo")


class Tiling(_Part):
    """How photos larger than the input are cut up."""

    overlap_px: int = Field(ge=0, description="least width two neighbouring tiles share; more than the largest fruit")
    match_threshold: Share = Field(description="agreement from which boxes of two tiles are one fruit")
    longest_side_px: int = Field(
        ge=640, description="photos with a longer side are scaled down to it: what is looked for is large enough there"
    )
    closer_px: dict[str, Annotated[int, Field(ge=640)]] = Field(
        default_factory=dict,
        description="longer side at which a smaller label is looked for, in photos that show more of it than of others",
    )


class Suppression(_Part):
    """Non-maximum suppression inside one tile."""

    iou_threshold: Share = Field(description="boxes overlapping a better one by more than this are dropped")
    most_candidates: int = Field(ge=1, description="candidates looked at, best first")


class StageBias(_Part):
    """How far counts of a row at the threshold that other rows give are off, at one growth stage."""

    bias: float = Field(gt=-1, description="(counted - labelled) / labelled over all trees; +0.03 counts 3 % too many")
    variance: float = Field(
        ge=0, description="variance of that share between orchard rows; from resampling trees where rows are 0"
    )
    trees: int = Field(ge=1, description="trees it was measured on")
    rows: int = Field(default=0, ge=0, description="orchard rows they stand in; 0 where too few are known")
    trained_trees: int = Field(
        default=0, ge=0, description="those of the trees that the model was trained on; the others it never saw"
    )


class Counting(_Part):
    """How one label is counted."""

    threshold: Share = Field(description="detections with at least this score are counted")
    stages: dict[str, StageBias] = Field(default_factory=dict, description="bias by growth stage")


class Metrics(_Part):
    """Figures measured on one data set the model never saw."""

    data: str = Field(description="name of the data set")
    values: dict[str, float] = Field(description="figure by name")


class Manifest(_Part):
    """Everything a device must know of a bundle."""

    schema_version: Literal[1] = Field(description="version of this format")
    name: str = Field(pattern=r"^[a-z0-9][a-z0-9-]*$", description="name of the bundle")
    version: str = Field(pattern=r"^\d+\.\d+\.\d+$", description="version of the bundle")
    task: Literal["detection"] = Field(description="what the model does")
    crop: str = Field(description="crop it was trained on")
    region: str = Field(description="where its training data come from")
    target: str = Field(description="what it finds")
    unit: str = Field(description="unit of its result")
    labels: tuple[str, ...] = Field(min_length=1, description="names of the classes, in the order of the output")
    input: Input = Field(description="the input tensor")
    tiling: Tiling = Field(description="how photos are cut up")
    suppression: Suppression = Field(description="how duplicates inside a tile are dropped")
    counting: dict[str, Counting] = Field(description="threshold and bias of each label")
    metrics: tuple[Metrics, ...] = Field(description="measured figures with the data they were measured on")
    parity_px: float = Field(
        ge=0, description="largest difference between this graph's boxes and the trained network's"
    )
    smallest_runtime: str = Field(pattern=r"^\d+\.\d+$", description="oldest onnxruntime that runs the graph")
    training_commit: str = Field(description="commit of the code that trained it")
    training_data: str = Field(description="what it was trained on")
    licence: str = Field(description="SPDX licence of the weights")
    attribution: tuple[str, ...] = Field(description="whom the licences of the training data ask to name")
    precision: Literal["float32", "int8"] = Field(
        default="float32", description="which graph runs on a processor: model.onnx or model.int8.onnx"
    )
    self_test: dict[str, dict[str, int]] = Field(
        default_factory=dict, description="photos among the files, with what this model counts in them by label"
    )
    files: dict[str, Sha256] = Field(description="SHA-256 of every file of the bundle")

    def thresholds(self) -> tuple[float, ...]:
        """Counting threshold of each label, in the labels' order."""
        return tuple(self.counting[label].threshold for label in self.labels)


def read_manifest(path: Path) -> Manifest:
    """Read and check a manifest.

    Raises:
        BundleError: it is missing, is not JSON, or a field is missing, unknown or out of range.
    """
    try:
        content = path.read_bytes()
    except OSError as error:
        raise BundleError(f"{path} cannot be read ({error.strerror}); is {path.parent} a model bundle?") from error
    try:
        manifest = Manifest.model_validate_json(content)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"]) or "the file"
        raise BundleError(f"{path}: {where}: {first['msg']}; install the bundle again") from error
    missing = [label for label in manifest.labels if label not in manifest.counting]
    if missing:
        raise BundleError(f"{path}: counting has no threshold for {', '.join(missing)}; install the bundle again")
    if unknown := set(manifest.tiling.closer_px) - set(manifest.labels):
        raise BundleError(f"{path}: tiling.closer_px names no label: {', '.join(unknown)}; install the bundle again")
    if manifest.precision == "int8" and "model.int8.onnx" not in manifest.files:
        raise BundleError(f"{path}: precision is int8, but no model.int8.onnx is listed; install the bundle again")
    if strays := set(manifest.self_test) - set(manifest.files):
        raise BundleError(f"{path}: self_test names no file of the bundle: {min(strays)}; install the bundle again")
    if manifest.tiling.overlap_px >= manifest.input.size_px:
        raise BundleError(
            f"{path}: tiling.overlap_px is {manifest.tiling.overlap_px}, which leaves no step between tiles of "
            f"{manifest.input.size_px} px; install the bundle again"
        )
    return manifest
