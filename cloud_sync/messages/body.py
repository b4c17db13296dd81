"""What the bodies of all types share: a type, a version, a natural key, and the way from older versions."""

from __future__ import annotations

import re
import unicodedata
from functools import lru_cache
from typing import ClassVar, Literal
from urllib.parse import quote

from pydantic import BaseModel, ConfigDict, JsonValue

_UNCHANGED = re.compile(r"[A-Za-z0-9_.~-]*")  # neither by NFC nor by percent-encoding
Lane = Literal["now", "bulk"]
"""``now``: small records, which go first. ``bulk``: what may wait for them."""


class Body(BaseModel):
    """What a record says. Each type has a version of its own and a natural key."""

    # numbers that are not finite stay what they are, to be found and refused
    model_config = ConfigDict(extra="allow", ser_json_inf_nan="constants")
    TYPE: ClassVar[str]
    VERSION: ClassVar[int] = 1
    LANE: ClassVar[Lane] = "now"
    BOXES: ClassVar[tuple[str, ...]] = ()
    """Fields with packed boxes; their class indices count in the body's ``labels``."""

    @classmethod
    def upgrade(cls, version: int, body: dict[str, JsonValue]) -> dict[str, JsonValue]:
        """An older body as the version after its own would say it; every type with a version above 1 has its own.

        Args:
            version: what the body was written in, below :attr:`VERSION`.
            body: not checked yet; what is wrong in it may stay, for the check that follows to find.

        Returns:
            The body in the next version, unknown fields kept.

        Raises:
            MessageError: there is no way to say it.
        """
        raise NotImplementedError(f"{cls.TYPE} version {version} cannot be upgraded")

    def natural_key(self) -> str:
        """What the record is about, the same on each device that saw it; its parts are percent-encoded."""
        return "/".join([self.TYPE, *map(_encoded, self._key())])

    def _key(self) -> tuple[str, ...]:
        raise NotImplementedError


@lru_cache(maxsize=10_000)  # a block's name comes again with each of its trees
def _encoded(part: str) -> str:
    if _UNCHANGED.fullmatch(part):
        return part
    return quote(unicodedata.normalize("NFC", part), safe="")
