"""The messages a device sends and the server answers: one envelope, one body a type.

Bodies name things by their natural keys (block name, tree code, photo hash), so that a backend can use a message
without having seen another, and one SD card read on two devices is recognised as one. Unknown fields are kept:
a newer device may send more than this server knows.
"""

from __future__ import annotations

import unicodedata
from datetime import date, datetime
from typing import Annotated, Any, ClassVar, Literal
from urllib.parse import quote

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, JsonValue, ValidationError

from cloud_sync.errors import MessageError
from cloud_sync.topics import DEVICE_NAME_PATTERN

Stage = Literal["flowering", "young_fruit", "fruit_expansion", "ripening"]
STAGES: tuple[Stage, ...] = ("flowering", "young_fruit", "fruit_expansion", "ripening")

# no control characters: some databases cannot hold them and nobody can read them
Name = Annotated[str, Field(min_length=1, max_length=200, pattern=r"^[^\x00-\x1f\x7f-\x9f]+$")]
Identifier = Annotated[str, Field(pattern=r"^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$")]
Sha256 = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
Positive = Annotated[float, Field(gt=0, strict=True, allow_inf_nan=False)]
Finite = Annotated[float, Field(strict=True, allow_inf_nan=False)]
NotNegative = Annotated[int, Field(ge=0, le=2**53, strict=True)]
# no tree bears a million; a bound keeps sums over many records inside what a database can add up
Count = Annotated[int, Field(ge=0, le=1_000_000, strict=True)]
Latitude = Annotated[float, Field(ge=-90, le=90, strict=True)]
Longitude = Annotated[float, Field(ge=-180, le=180, strict=True)]

MOST_BYTES = 256 * 1024
# A device chooses part of what a reason quotes, and a thousand reasons travel in few packets.
MOST_REASON = 200


class Body(BaseModel):
    """What a record says. Each type has a version of its own and a natural key."""

    model_config = ConfigDict(extra="allow")
    TYPE: ClassVar[str]
    VERSION: ClassVar[int] = 1

    def natural_key(self) -> str:
        """What the record is about, the same on each device that saw it; its parts are percent-encoded."""
        parts = (quote(unicodedata.normalize("NFC", part), safe="") for part in self._key())
        return "/".join([self.TYPE, *parts])

    def _key(self) -> tuple[str, ...]:
        raise NotImplementedError


class OrchardBody(Body):
    """An orchard."""

    TYPE = "orchard"
    orchard: Name = Field(description="name of the orchard")
    crop: Name = Field(description="crop grown there")
    area_m2: Positive | None = Field(default=None, description="planted area")

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


class DetectionsBody(Body):
    """Everything counted in one photo by one model."""

    TYPE = "detections"
    photo: Sha256 = Field(description="SHA-256 of the photo file")
    model: Name = Field(description="name, version and hash of the bundle")
    engine: Name = Field(description="what ran the model")
    labels: tuple[Name, ...] = Field(min_length=1, max_length=255, description="names of the classes")
    counts: dict[Name, Count] = Field(description="number counted of each label")
    boxes: str = Field(
        max_length=200_000,
        description="base64 of ten bytes a box: x1, y1, x2, y2 as little-endian unsigned 16-bit pixels of the upright "
        "photo, score x 255 and class index as unsigned bytes",
    )

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
    components: tuple[EstimateComponent, ...] = Field(
        default=(), description="the errors in the interval of the corrected yield"
    )
    warnings: tuple[str, ...] = Field(default=(), description="what the reader should know")
    prediction_source: Name = Field(description="where the predictions came from")

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
)
BODIES: dict[str, type[Body]] = {body.TYPE: body for body in _BODIES}


class Envelope(BaseModel):
    """What surrounds every record on the wire."""

    model_config = ConfigDict(extra="allow")

    message: Identifier = Field(description="id of this message")
    device: str = Field(pattern=DEVICE_NAME_PATTERN, description="name of the device, as in its certificate and topics")
    store: Identifier = Field(description="id of the device's database, made with it; a restored one keeps it")
    sequence: int = Field(ge=1, lt=2**63, description="rises within a store; a restored one uses numbers again")
    record: Identifier = Field(description="id of the record")
    revision: int = Field(ge=1, lt=2**31, description="rises whenever the record changes; the highest wins")
    recorded_at: AwareDatetime = Field(description="the device's clock when the record was made")
    clock_synchronised: bool = Field(description="whether that clock was known to be right")
    boot: str = Field(max_length=64, description="id of the boot the record was made in")
    type: str = Field(max_length=64, description="type of the record")
    version: int = Field(ge=1, le=1000, description="version of the body")
    body: dict[str, JsonValue] = Field(description="the record")


class Answer(BaseModel):
    """The server's word on one message, sent after its database has committed.

    ``outdated`` means that another message brought this revision of the record, or a higher one, and that this
    message was never stored.
    """

    model_config = ConfigDict(extra="allow")

    message: str = Field(max_length=64, description="id of the message answered")
    result: Literal["stored", "outdated", "rejected", "retry"] = Field(description="what became of it")
    reason: str = Field(default="", max_length=MOST_REASON, description="why it was rejected or is to be sent again")
    revision: int | None = Field(
        default=None, ge=1, lt=2**31, description="the revision that is held, when it is outdated"
    )


class Answers(BaseModel):
    """What the server publishes on a device's ``down/ack``."""

    model_config = ConfigDict(extra="allow")

    answers: list[Answer] = Field(max_length=1000, description="one a message")


def decode_envelope(payload: bytes) -> Envelope:
    """Parse and check an envelope; its body is checked by :func:`decode_body`.

    Raises:
        MessageError: too long, no JSON, or a field is missing or wrong; the text names it.
    """
    if len(payload) > MOST_BYTES:
        raise MessageError(f"message of {len(payload)} bytes is longer than {MOST_BYTES}")
    try:
        return Envelope.model_validate_json(payload)
    except ValidationError as error:
        raise MessageError(_first_problem(error)) from error


def decode_body(envelope: Envelope) -> Body:
    """Check the body of an envelope by its type and version.

    Raises:
        MessageError: a type or version this side does not know, or a field that is missing or wrong.
    """
    kind = BODIES.get(envelope.type)
    if kind is None:
        raise MessageError(f"type {envelope.type!r} is unknown here; known are {', '.join(BODIES)}")
    if envelope.version > kind.VERSION:
        raise MessageError(
            f"{envelope.type} version {envelope.version} is newer than {kind.VERSION}, which is known here"
        )
    try:
        return kind.model_validate(envelope.body)
    except ValidationError as error:
        raise MessageError(f"{envelope.type}: {_first_problem(error)}") from error


def _first_problem(error: ValidationError) -> str:
    first: Any = error.errors(include_url=False, include_input=False)[0]
    where = ".".join(str(part) for part in first["loc"])
    return f"{where}: {first['msg']}" if where else str(first["msg"])
