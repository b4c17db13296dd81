"""What the server says of itself to a device that has come, so that the device knows what it may be offered."""

from __future__ import annotations

import re

from pydantic import BaseModel, ConfigDict, Field


class Greeting(BaseModel):
    """The server's version, and which records it knows."""

    model_config = ConfigDict(extra="allow")

    version: str = Field(max_length=200, description="version of Pomona on the server")
    accepts: dict[str, int] = Field(
        default={}, max_length=1000, description="types of records it knows, with the highest version of each"
    )

    def knows_more_than(self, earlier: Greeting) -> bool:
        """Whether the server has learned since an earlier greeting."""
        return _numbers(self.version) > _numbers(earlier.version) or any(
            version > earlier.accepts.get(kind, 0) for kind, version in self.accepts.items()
        )


def _numbers(version: str) -> list[int]:
    return [int(number) for number in re.findall(r"\d+", version.partition("+")[0])[:8]]
