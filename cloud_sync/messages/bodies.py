"""The types of record that a device sends."""

from __future__ import annotations

from datetime import date, datetime
from typing import Annotated

from pydantic import (
    AfterValidator,
    AwareDatetime,
    BaseModel,
    ConfigDict,
    Field,
    JsonValue,
    ValidationInfo,
    model_validator,
)

from cloud_sync.boxes import MOST_CHARACTERS, repack_boxes, unpack_boxes
from cloud_sync.messages.body import Body
from cloud_sync.messages.fields import (
    Count,
    Finite,
    JpegBase64,
    Latitude,
    Longitude,
    Name,
    NotNegative,
    Positive,
    Sha256,
    Stage,
)
from cloud_sync.messages.predictions import EstimatePrediction


class OrchardBody(Body):
    """An orchard."""

    TYPE = "orchard"
    orchard: Name = Field(description="name of the orchard")
    crop: Name = Field(description="crop grown there")
    area_m2: Positive | None = Field(default=None, description="planted area")
    region: Name | None = Field(default=None, description="where it is, as yield models name where they were trained")
    county: Name | None = Field(default=None, description="its county")
    county_area_ha: Positive | None = Field(default=None, description="area planted with its crop in that county")

    def _key(self) -> tuple[str, ...]:
        return (self.orchard,)


class BlockBody(Body):
    """A block of an orchard."""

    TYPE = "block"
    orchard: Name = Field(description="name of the orchard")
    block: Name = Field(description="name of the block")
    area_m2: Positive | None = Field(default=None, description="planted area of the block")
    trees: NotNegative | None = Field(default=None, description="trees standing in the block")
    trees_per_ha: Positive | None = Field(default=None, description="planting density")
    variety: Name | None = Field(default=None, description="variety")
    training_system: Name | None = Field(default=None, description="how its trees are trained, such as spindle")
    fruit_weight_g: Positive | None = Field(default=None, description="single fruit weight")

    def _key(self) -> tuple[str, ...]:
        return (self.orchard, self.block)


class TreeBody(Body):
    """A tree of a block; a provisional code was made in the field and may be merged by the server."""

    TYPE = "tree"
    orchard: Name = Field(description="name of the orchard")
    block: Name = Field(description="name of the block")
    tree: Name = Field(description="code of the tree")
    provisional: bool = Field(description="whether the code was made in the field")
    latitude: Latitude | None = Field(default=None, description="degrees north")
    longitude: Longitude | None = Field(default=None, description="degrees east")

    def _key(self) -> tuple[str, ...]:
        return (self.orchard, self.block, self.tree)


class VisitBody(Body):
    """One sampling of one sampling area on one day at one stage."""

    TYPE = "visit"
    orchard: Name = Field(description="name of the orchard")
    block: Name = Field(description="name of the block")
    day: date = Field(description="day of the visit")
    stage: Stage = Field(description="growth stage")
    area_m2: Positive | None = Field(default=None, description="ground area of the sampled trees")

    def _key(self) -> tuple[str, ...]:
        return (self.orchard, self.block, self.day.isoformat(), self.stage)


class PhotoBody(Body):
    """A photo of one side of a tree."""

    TYPE = "photo"
    orchard: Name = Field(description="name of the orchard")
    block: Name = Field(description="name of the block")
    day: date = Field(description="day of the visit")
    stage: Stage = Field(description="growth stage")
    tree: Name = Field(description="code of the tree")
    side: Name = Field(description="side of the tree the photo shows")
    sha256: Sha256 = Field(description="SHA-256 of the photo file")
    file_name: Name = Field(description="name the file came with")
    size_bytes: NotNegative = Field(description="size of the file")
    width_px: NotNegative = Field(description="pixels across, upright")
    height_px: NotNegative = Field(description="pixels down, upright")
    taken_at: datetime | None = Field(default=None, description="the camera's clock, without a zone")
    latitude: Latitude | None = Field(default=None, description="degrees north")
    longitude: Longitude | None = Field(default=None, description="degrees east")

    def _key(self) -> tuple[str, ...]:
        return (self.sha256,)


def _require_labels(boxes: str, known: ValidationInfo) -> str:
    """See that packed boxes can be unpacked, and that each has a label among the labels that stand before them."""
    rows = unpack_boxes(boxes)
    if len(rows) and rows["label"].max() >= len(known.data.get("labels", range(256))):
        raise ValueError("a box has a class index beyond the labels")
    return boxes


PackedBoxes = Annotated[
    str,
    Field(max_length=MOST_CHARACTERS, json_schema_extra={"contentEncoding": "base64"}),
    AfterValidator(_require_labels),
]
Labels = Annotated[tuple[Name, ...], Field(max_length=255)]


class DetectionsBody(Body):
    """Everything counted in one photo by one model."""

    TYPE = "detections"
    VERSION = 2
    BOXES = ("boxes",)
    photo: Sha256 = Field(description="SHA-256 of the photo file")
    model: Name = Field(description="name, version and hash of the bundle")
    engine: Name = Field(description="what ran the model")
    labels: Labels = Field(min_length=1, description="names of the classes")
    counts: dict[Name, Count] = Field(description="number counted of each label")
    boxes: PackedBoxes = Field(description="the counted boxes, packed as docs/reference/boxes.md says")

    @classmethod
    def upgrade(cls, version: int, body: dict[str, JsonValue]) -> dict[str, JsonValue]:
        """Version 1 had ten bytes a box in base64."""
        del version
        boxes = body.get("boxes")
        return {**body, "boxes": repack_boxes(boxes)} if isinstance(boxes, str) else body

    def _key(self) -> tuple[str, ...]:
        return (self.photo, self.model)


class CountBody(Body):
    """Number of one label on one tree at one visit."""

    TYPE = "count"
    orchard: Name = Field(description="name of the orchard")
    block: Name = Field(description="name of the block")
    day: date = Field(description="day of the visit")
    stage: Stage = Field(description="growth stage")
    tree: Name = Field(description="code of the tree")
    label: Name = Field(description="what was counted")
    machine: Count = Field(description="count of the model")
    reviewed: Count | None = Field(default=None, description="count of a person, which replaces the machine's")
    by_hand: Count | None = Field(default=None, description="all fruit on the tree, counted by hand, hidden ones too")
    own: Count | None = Field(default=None, description="fruit of the count that is the tree's own and no neighbour's")
    both: Count | None = Field(default=None, description="fruit on the tree that can be seen from both sides")
    model: Name = Field(description="name, version and hash of the bundle")
    sides_rule: Name = Field(description="how the photos of a tree became one number")
    attribution: Name = Field(description="how fruit of neighbouring trees was told apart")
    photos: tuple[Sha256, ...] = Field(min_length=1, description="the photos counted")

    def _key(self) -> tuple[str, ...]:
        return (self.orchard, self.block, self.day.isoformat(), self.stage, self.tree, self.label)


class EstimateComponent(BaseModel):
    """One of the errors an interval is made of."""

    model_config = ConfigDict(extra="allow")

    name: Name = Field(description="what errs")
    relative_sd: Finite = Field(ge=0, description="its standard deviation as a share of the estimate")
    degrees_of_freedom: Positive | None = Field(default=None, description="how well that is known; none for exactly")
    choice: Name = Field(description="how the figure was come by")


class EstimateBody(Body):
    """Observed, predicted and corrected yield of a visit."""

    TYPE = "estimate"
    orchard: Name = Field(description="name of the orchard")
    block: Name = Field(description="name of the block")
    day: date = Field(description="day of the visit")
    stage: Stage = Field(description="growth stage")
    label: Name = Field(description="what was counted")
    trees: NotNegative = Field(description="trees sampled")
    fruit: NotNegative = Field(description="fruit counted on them")
    fruit_weight_g: Positive = Field(description="single fruit weight")
    area_m2: Positive = Field(description="ground area of the sampled trees")
    observed_kg_per_ha: Finite = Field(description="yield observed from the counts")
    predicted_area_kg_per_ha: Finite = Field(description="yield predicted for the sampling area")
    predicted_orchard_kg_per_ha: Finite = Field(description="yield predicted for the orchard")
    correction_factor: Finite = Field(description="observed / predicted on the sampling area")
    corrected_kg_per_ha: Finite = Field(description="correction factor x yield predicted for the orchard")
    corrected_low_kg_per_ha: Finite | None = Field(default=None, description="lower end of the interval")
    corrected_high_kg_per_ha: Finite | None = Field(default=None, description="upper end of the interval")
    correction_factor_low: Finite | None = Field(default=None, description="lower end of its interval")
    correction_factor_high: Finite | None = Field(default=None, description="upper end of its interval")
    block_kg_per_ha: Finite | None = Field(default=None, description="yield of the block from its own trees")
    block_low_kg_per_ha: Finite | None = Field(default=None, description="lower end of its interval")
    block_high_kg_per_ha: Finite | None = Field(default=None, description="upper end of its interval")
    siting: Name | None = Field(default=None, description="where the sampled trees stand in the orchard")
    sides: Name | None = Field(default=None, description="how the sides of a tree became one count")
    trees_reviewed: NotNegative | None = Field(default=None, description="trees of these that a person has reviewed")
    components: tuple[EstimateComponent, ...] = Field(
        default=(), description="the errors in the interval of the corrected yield"
    )
    warnings: tuple[str, ...] = Field(default=(), description="what the reader should know")
    prediction_source: Name = Field(description="where the predictions came from")
    prediction: EstimatePrediction | None = Field(
        default=None, description="what the device's own model was given, where that predicted"
    )

    def _key(self) -> tuple[str, ...]:
        return (self.orchard, self.block, self.day.isoformat(), self.stage, self.label)


class HarvestBody(Body):
    """What was weighed of a block on a day of picking."""

    TYPE = "harvest"
    orchard: Name = Field(description="name of the orchard")
    block: Name = Field(description="name of the block")
    day: date = Field(description="day of the picking")
    weight_kg: Finite = Field(ge=0, description="weight picked; 0 takes back what was said of the day")
    trees: NotNegative | None = Field(default=None, description="trees it came from, none for the whole block")
    fruit_weight_g: Positive | None = Field(default=None, description="mean weight of a fruit, where some were weighed")

    def _key(self) -> tuple[str, ...]:
        return (self.orchard, self.block, self.day.isoformat())


class HealthBody(Body):
    """How a device fares: what waits on it, its clock, disk, temperature and power.

    What a device cannot tell is left out. Each boot of a device has one record, whose revisions follow each other.
    """

    TYPE = "health"
    device: Name = Field(description="name of the device")
    versions: dict[Name, Name] = Field(default_factory=dict, description="versions by name, pomona's own among them")
    uptime_s: NotNegative = Field(description="seconds since the device was started")
    next_s: NotNegative | None = Field(
        default=None, description="seconds until the next one is due while the device is connected"
    )
    waiting: NotNegative = Field(description="messages the server has not answered for")
    rejected: NotNegative = Field(description="messages the server refused, kept on the device")
    oldest_waiting_s: NotNegative | None = Field(default=None, description="age of the oldest message that waits")
    photos_waiting: NotNegative | None = Field(default=None, description="photos that are not counted yet")
    photos: NotNegative | None = Field(default=None, description="photos the device has counted")
    tree_counts: NotNegative | None = Field(default=None, description="counts of trees the device has made")
    clock_error_s: Finite | None = Field(
        default=None, ge=0, description="largest error of the clock by the kernel's account, while it is synchronised"
    )
    disk_free_bytes: NotNegative | None = Field(default=None, description="free space where the records lie")
    disk_total_bytes: NotNegative | None = Field(default=None, description="size of that file system")
    memory_free_bytes: NotNegative | None = Field(default=None, description="memory that programs can still have")
    memory_total_bytes: NotNegative | None = Field(default=None, description="memory in all")
    load: Finite | None = Field(
        default=None, ge=0, description="programs that want to run for each processor core, mean of a minute"
    )
    temperature_c: Finite | None = Field(default=None, description="temperature of the hottest sensor")
    battery_percent: Finite | None = Field(default=None, ge=0, le=100, description="charge of the battery")
    on_battery: bool | None = Field(default=None, description="whether the battery is being drawn on")
    undervoltage: bool | None = Field(default=None, description="whether the supply voltage is too low now")
    undervoltage_since_boot: bool | None = Field(default=None, description="whether it was since the device started")
    throttled: bool | None = Field(default=None, description="whether heat or voltage slow the processor down now")

    def _key(self) -> tuple[str, ...]:
        return (self.device,)


class ReviewBody(Body):
    """What a person changed of the boxes of a photo, or of the count of a tree."""

    TYPE = "review"
    BOXES = ("removed", "added")
    orchard: Name = Field(description="name of the orchard")
    block: Name = Field(description="name of the block")
    day: date = Field(description="day of the visit")
    stage: Stage = Field(description="growth stage")
    tree: Name = Field(description="code of the tree")
    label: Name = Field(description="what was counted")
    model: Name = Field(description="name, version and hash of the bundle whose work was corrected")
    reviewer: Name | None = Field(default=None, description="who looked, where that was said")
    reviewed_at: AwareDatetime = Field(description="the device's clock when that person was done")
    count: Count | None = Field(default=None, description="the tree's count by that person; none of a photo's boxes")
    photo: Sha256 | None = Field(default=None, description="SHA-256 of the photo; none of a tree's count")
    labels: Labels = Field(default=(), description="names of the classes of the boxes")
    removed: PackedBoxes = Field(default="", description="boxes of the model that are none, packed as in detections")
    added: PackedBoxes = Field(default="", description="boxes that the model missed; their score is 255")
    taken_back: bool = Field(default=False, description="whether it was taken back and counts no longer")

    @model_validator(mode="after")
    def _says_one_thing(self) -> ReviewBody:
        if (self.photo is None) == (self.count is None):
            raise ValueError("is of a photo's boxes or of a tree's count, and of one of them")
        if self.photo is None and (self.removed or self.added):
            raise ValueError("of a tree's count has no boxes")
        return self

    def _key(self) -> tuple[str, ...]:
        if self.photo is not None:
            return (self.photo, self.model, self.label)
        return (self.orchard, self.block, self.day.isoformat(), self.stage, self.tree, self.label)


class ThumbnailBody(Body):
    """A small picture of a photo."""

    TYPE = "thumbnail"
    LANE = "bulk"
    photo: Sha256 = Field(description="SHA-256 of the photo file")
    jpeg: JpegBase64 = Field(description="upright, of 20,000 bytes at most")

    def _key(self) -> tuple[str, ...]:
        return (self.photo,)


class ModelStateBody(Body):
    """What counts on a device, and what was to and did not."""

    TYPE = "model_state"
    device: Name = Field(description="name of the device")
    model: Name = Field(description="name, version and hash of the bundle that counts")
    engine: Name = Field(description="what runs it")
    since: AwareDatetime = Field(description="the device's clock when it began to count")
    candidate: Name | None = Field(default=None, description="name, version and hash of a bundle that was tried last")
    refused: Name | None = Field(default=None, description="why that does not count; none where it is still tried")

    def _key(self) -> tuple[str, ...]:
        return (self.device,)


_BODIES: tuple[type[Body], ...] = (
    OrchardBody,
    BlockBody,
    TreeBody,
    VisitBody,
    PhotoBody,
    DetectionsBody,
    CountBody,
    EstimateBody,
    HarvestBody,
    HealthBody,
    ReviewBody,
    ThumbnailBody,
    ModelStateBody,
)
BODIES: dict[str, type[Body]] = {body.TYPE: body for body in _BODIES}
