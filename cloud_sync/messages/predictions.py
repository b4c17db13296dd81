"""What a model was given to predict the yield of a sampling area: with its observed yield, a row to train on."""

from __future__ import annotations

import base64
import binascii
import struct
from collections.abc import Sequence
from datetime import date
from math import isfinite, prod
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, model_validator

from cloud_sync.messages.fields import Finite, Name, NotNegative, Positive, Sha256

_MOST_NUMBERS = 12 * 256
_MOST_CHARACTERS = (4 * _MOST_NUMBERS + 2) // 3 * 4


def pack_series(values: Sequence[Sequence[float]]) -> str:
    """Months of features as little-endian float32, month by month, in base64."""
    flat = [value for month in values for value in month]
    return base64.b64encode(struct.pack(f"<{len(flat)}f", *flat)).decode()


def unpack_series(packed: str, months: int, features: int) -> list[list[float]]:
    """Undo :func:`pack_series`.

    Raises:
        ValueError: it is no base64, of another size, or a value is no finite number.
    """
    try:
        content = base64.b64decode(packed, validate=True)
    except binascii.Error as error:
        raise ValueError(f"no base64: {error}") from error
    if len(content) != 4 * prod((months, features)):
        raise ValueError(f"{len(content)} bytes for {months} months of {features} features of 4 bytes")
    flat = struct.unpack(f"<{months * features}f", content)
    if not all(map(isfinite, flat)):
        raise ValueError("a value is no finite number")
    return [list(flat[start : start + features]) for start in range(0, len(flat), features)]


class EstimatePrediction(BaseModel):
    """The model that predicted, and the season of the sampling area that it was given."""

    model_config = ConfigDict(extra="allow")

    bundle: Name = Field(description="name, version and hash of the bundle")
    year: NotNegative = Field(description="year of the harvest")
    months: tuple[Annotated[int, Field(ge=1, le=12, strict=True)], ...] = Field(
        min_length=1, max_length=12, description="calendar months of the season, in order"
    )
    features: tuple[Name, ...] = Field(
        min_length=1, max_length=256, description="features of each month, in order and in the season file's units"
    )
    series: str = Field(
        max_length=_MOST_CHARACTERS,
        json_schema_extra={"contentEncoding": "base64"},
        description="the sampling area's values, month by month, float32, lowest byte first",
    )
    acquisitions: tuple[date, ...] = Field(max_length=400, description="days of the satellite's pictures in it")
    county: Name | None = Field(default=None, description="county of the orchard; none where nobody has said")
    area_ha: Positive = Field(description="planted area of that county")
    season_sha256: Sha256 = Field(description="SHA-256 of the season file")
    half_width_kg_per_ha: Positive = Field(description="half width of the model's own 90 % interval")
    distance: Finite = Field(ge=0, description="of the sampling area's season to those trained on, which are at 1")
    outside: bool = Field(description="whether area's or orchard's season is unlike those trained on")

    @model_validator(mode="after")
    def _series_has_its_size(self) -> EstimatePrediction:
        unpack_series(self.series, len(self.months), len(self.features))
        return self
