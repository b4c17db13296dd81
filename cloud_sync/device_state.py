"""What a device says about itself on its retained ``state`` topic."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, Field

from cloud_sync.messages import Identifier


class DeviceState(BaseModel):
    """Whether a device is connected; the broker publishes its last will, the same with ``online`` false."""

    model_config = ConfigDict(extra="allow")

    online: bool = Field(description="whether the device's uplink is connected")
    store: Identifier = Field(description="id of the device's database")

    def payload(self) -> bytes:
        """The state as it travels."""
        return self.model_dump_json().encode()
