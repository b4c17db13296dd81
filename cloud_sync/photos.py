"""Full photos that the server asks of a device: which, and how they travel, in chunks that are confirmed one by one.

The words for offsets are those of the tus protocol.
"""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, Field

from cloud_sync.messages.fields import Sha256

PHOTOS = "/v1/photos"
ABSENT = "absent"
# a photo of 50 megapixels, the largest that is counted in, has half of it
MOST_PHOTO_BYTES = 64 * 1024 * 1024
MOST_CHUNK_BYTES = 256 * 1024
CHUNK_TYPE = "application/offset+octet-stream"
OFFSET, LENGTH = "Upload-Offset", "Upload-Length"
MOST_LISTED = 100


class AskedPhoto(BaseModel):
    """A photo that is asked of a device."""

    model_config = ConfigDict(extra="ignore", frozen=True)

    photo: Sha256 = Field(description="SHA-256 of the photo file")
    metered: bool = Field(default=False, description="whether it shall be sent over a metered link too")


class AskedPhotos(BaseModel):
    """The photos that are asked of a device and have not arrived, those asked first before the others."""

    model_config = ConfigDict(extra="ignore")

    photos: list[AskedPhoto] = Field(max_length=MOST_LISTED, description="the first of them")


class AbsentPhoto(BaseModel):
    """Why a device cannot send a photo."""

    model_config = ConfigDict(extra="ignore")

    reason: str = Field(min_length=1, max_length=200, description="for people")
