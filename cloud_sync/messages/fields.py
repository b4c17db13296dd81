"""Kinds of values that several bodies have."""

from __future__ import annotations

import base64
import binascii
from typing import Annotated, Literal

from pydantic import AfterValidator, Field

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

MOST_JPEG_BYTES = 20_000


def _require_jpeg(text: str) -> str:
    try:
        content = base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError) as error:
        raise ValueError(f"no base64: {error}") from error
    if not content.startswith(b"\xff\xd8\xff") or len(content) > MOST_JPEG_BYTES:
        raise ValueError(f"no JPEG of at most {MOST_JPEG_BYTES} bytes")
    return text


JpegBase64 = Annotated[
    str,
    Field(
        max_length=(MOST_JPEG_BYTES + 2) // 3 * 4,
        json_schema_extra={"contentEncoding": "base64", "contentMediaType": "image/jpeg"},
    ),
    AfterValidator(_require_jpeg),
]
