"""The manifest of a model bundle: what the model is, what it eats, how its output is read and how good it is."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field

MANIFEST = "manifest.json"
SCHEMA: Literal[1] = 1
Share = Annotated[float, Field(ge=0, le=1)]
Sha256 = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
# what of a detector's manifest decides a count, besides the thresholds
_DECIDING = {"labels", "input", "tiling", "suppression", "precision", "files"}


class Part(BaseModel):
    """A part of a manifest: no field may be unknown."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class Input(Part):
    """The tensor a detector is fed, (batch, channels, height, width) float32."""

    name: str = Field(description="name of the graph's input")
    size_px: int = Field(ge=32, le=4096, description="height and width")
    colour_order: Literal["RGB", "BGR"] = Field(description="order of the channels")
    scale: float = Field(gt=0, description="8-bit values are multiplied by this")
    padding: int = Field(ge=0, le=255, description="8-bit value that fills what lies outside the photo")


class Tiling(Part):
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


class Suppression(Part):
    """Non-maximum suppression inside one tile."""

    iou_threshold: Share = Field(description="boxes overlapping a better one by more than this are dropped")
    most_candidates: int = Field(ge=1, description="candidates looked at, best first")


class StageBias(Part):
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


class Counting(Part):
    """How one label is counted."""

    threshold: Share = Field(description="detections with at least this score are counted")
    stages: dict[str, StageBias] = Field(default_factory=dict, description="bias by growth stage")


class Metrics(Part):
    """Figures measured on one data set the model never saw."""

    data: str = Field(description="name of the data set")
    values: dict[str, float] = Field(description="figure by name")


class Manifest(Part):
    """What every bundle says of itself, whatever it does."""

    schema_version: Literal[1] = Field(description="version of this format")
    name: str = Field(pattern=r"^[a-z0-9][a-z0-9-]*$", description="name of the bundle")
    version: str = Field(pattern=r"^\d+\.\d+\.\d+$", description="version of the bundle")
    task: Literal["detection", "yield"] = Field(description="what the model does")
    crop: str = Field(description="crop it was trained on")
    region: str = Field(description="where its training data come from")
    target: str = Field(description="what it finds")
    unit: str = Field(description="unit of its result")
    metrics: tuple[Metrics, ...] = Field(description="measured figures with the data they were measured on")
    smallest_runtime: str = Field(pattern=r"^\d+\.\d+$", description="oldest onnxruntime that runs the graph")
    training_commit: str = Field(description="commit of the code that trained it")
    training_data: str = Field(description="what it was trained on")
    licence: str = Field(description="SPDX licence of the weights")
    attribution: tuple[str, ...] = Field(description="whom the licences of the training data ask to name")
    files: dict[str, Sha256] = Field(description="SHA-256 of every file of the bundle")

    def deciding(self) -> dict[str, Any]:
        """What of it decides a result, as plain values; two bundles that differ in it have two identities."""
        return {"files": dict(self.files)}

    def problem(self) -> str | None:
        """What its fields say that cannot be, each being well formed; None where nothing is wrong."""
        return None


class DetectionManifest(Manifest):
    """Everything a device must know of a bundle that finds fruit and flowers."""

    task: Literal["detection"] = Field(description="what the model does")
    labels: tuple[str, ...] = Field(min_length=1, description="names of the classes, in the order of the output")
    input: Input = Field(description="the input tensor")
    tiling: Tiling = Field(description="how photos are cut up")
    suppression: Suppression = Field(description="how duplicates inside a tile are dropped")
    counting: dict[str, Counting] = Field(description="threshold and bias of each label")
    parity_px: float = Field(
        ge=0, description="largest difference between this graph's boxes and the trained network's"
    )
    precision: Literal["float32", "int8"] = Field(
        default="float32", description="which graph runs on a processor: model.onnx or model.int8.onnx"
    )
    self_test: dict[str, dict[str, int]] = Field(
        default_factory=dict, description="photos among the files, with what this model counts in them by label"
    )

    def thresholds(self) -> tuple[float, ...]:
        """Counting threshold of each label, in the labels' order."""
        return tuple(self.counting[label].threshold for label in self.labels)

    def deciding(self) -> dict[str, Any]:
        """See :meth:`Manifest.deciding`."""
        return self.model_dump(mode="json", include=_DECIDING) | {"thresholds": self.thresholds()}

    def problem(self) -> str | None:
        """See :meth:`Manifest.problem`."""
        if missing := [label for label in self.labels if label not in self.counting]:
            return f"counting has no threshold for {', '.join(missing)}"
        if unknown := set(self.tiling.closer_px) - set(self.labels):
            return f"tiling.closer_px names no label: {', '.join(unknown)}"
        if self.precision == "int8" and "model.int8.onnx" not in self.files:
            return "precision is int8, but no model.int8.onnx is listed"
        if strays := set(self.self_test) - set(self.files):
            return f"self_test names no file of the bundle: {min(strays)}"
        if self.tiling.overlap_px >= self.input.size_px:
            return (
                f"tiling.overlap_px is {self.tiling.overlap_px}, which leaves no step between tiles of "
                f"{self.input.size_px} px"
            )
        return None
