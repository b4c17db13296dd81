"""What a device says about itself on its retained ``state`` topic."""

from __future__ import annotations

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field

from cloud_sync.messages import Identifier


class DeviceState(BaseModel):
    """Whether a device is connected; the broker publishes its last will, the same with ``online`` false."""

    model_config = ConfigDict(extra="allow")

    online: bool = Field(description="whether the device's uplink is connected")
    store: Identifier = Field(description="id of the device's database")
    clock: AwareDatetime | None = Field(
        default=None, description="the device's clock when it said so, from which the server tells how wrong it is"
    )

    def payload(self) -> bytes:
        """The state as it travels."""
        return self.model_dump_json(exclude_none=True).encode()
