"""What surrounds every record on the wire."""

from __future__ import annotations

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, JsonValue

from cloud_sync.messages.fields import Identifier
from cloud_sync.topics import DEVICE_NAME_PATTERN

MOST_BYTES = 256 * 1024


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
    historical: bool = Field(default=False, description="recorded more than a day before this message was sent")
    type: str = Field(max_length=64, pattern=r"^[a-z][a-z0-9_]*$", description="type of the record")
    version: int = Field(ge=1, le=1000, description="version of the body")
    body: dict[str, JsonValue] = Field(description="the record")
