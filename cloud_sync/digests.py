"""Digests: what both ends tell each other of the messages they hold, so that the device finds what the server lost.

The numbers of a store are parted into blocks of equal width, a power of :data:`FAN_OUT`. Of each block the server says
how much it holds in each of its parts, and the device asks again about the parts that differ from its own, until they
are narrow enough to be named message by message.
"""

from __future__ import annotations

import hashlib
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator

from cloud_sync.errors import MessageError
from cloud_sync.messages import Identifier

FAN_OUT = 16
MOST_BLOCKS = 16
MOST_RANGES = 16
_MODULUS = 2**40
_MOST_WIDTH = FAN_OUT**12

Sequence = Annotated[int, Field(ge=0, lt=2**63, strict=True)]
Digest = Annotated[int, Field(ge=0, lt=_MODULUS, strict=True)]


def digest_of(message: str) -> int:
    """The first 40 bits of the SHA-256 of a message's id, as a number."""
    return int.from_bytes(hashlib.sha256(message.encode()).digest()[:5], "big")


def folded(total: int) -> int:
    """A sum of digests as it is compared: small enough to be exact wherever JSON is read."""
    return total % _MODULUS


class DigestQuestion(BaseModel):
    """Which of a store's messages does the server hold? Blocks of ``width`` numbers; block b begins with b x width."""

    model_config = ConfigDict(extra="allow")

    store: Identifier = Field(description="id of the device's database")
    width: int = Field(ge=FAN_OUT, le=_MOST_WIDTH, strict=True, description=f"numbers in a block, a power of {FAN_OUT}")
    blocks: list[Sequence] = Field(min_length=1, max_length=MOST_BLOCKS, description="the blocks asked about")

    @field_validator("width")
    @classmethod
    def _is_power(cls, width: int) -> int:
        if width not in {FAN_OUT**exponent for exponent in range(1, 13)}:
            raise ValueError(f"is no power of {FAN_OUT}")
        return width

    @model_validator(mode="after")
    def _is_bounded(self) -> DigestQuestion:
        if (max(self.blocks) + 1) * self.width > 2**63:
            raise ValueError("a block lies beyond the last number")
        return self


class BlockDigest(BaseModel):
    """What the server holds of one block: parts of it, or where it is narrow, every message."""

    model_config = ConfigDict(extra="allow")

    block: Sequence = Field(description="the block")
    parts: list[tuple[int, Digest]] = Field(
        default=[],
        description=f"of each {FAN_OUT}th part how many messages are held and the sum of their digests modulo 2^40",
    )
    messages: list[Digest] = Field(
        default=[], max_length=10_000, description=f"digest of each message held, in a block of {FAN_OUT} numbers"
    )


class DigestAnswer(BaseModel):
    """The server's word on a question."""

    model_config = ConfigDict(extra="allow")

    store: Identifier = Field(description="the store asked about")
    width: int = Field(description="the width asked about")
    blocks: list[BlockDigest] = Field(max_length=MOST_BLOCKS, description="one for each block asked about")


class Missing(BaseModel):
    """Numbers the server does not hold although it holds later ones; what was stored of them is to be sent again."""

    model_config = ConfigDict(extra="allow")

    store: Identifier = Field(description="id of the device's database")
    ranges: list[tuple[Sequence, Sequence]] = Field(
        max_length=MOST_RANGES, description="first and last number of each gap"
    )


def decode_question(payload: bytes) -> DigestQuestion:
    """Parse and check a question.

    Raises:
        MessageError: it is none; the text names the field.
    """
    try:
        return DigestQuestion.model_validate_json(payload)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        where = ".".join(str(part) for part in first["loc"])
        raise MessageError(f"digest: {where}: {first['msg']}") from error
