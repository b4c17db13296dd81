"""What the server gives a device: a certificate, whom to trust and where to connect. Nothing of it is secret."""

from __future__ import annotations

from typing import Literal

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field

from cloud_sync.hosts import HostName

# A certificate has less than 1 kB; the list of revoked ones grows by 40 bytes with each.
MOST_BYTES = 1024 * 1024

AUTHORITY, ENROLMENT, RENEWAL = "/v1/authority", "/v1/enrolment", "/v1/renewal"


class Address(BaseModel):
    """Where a part of the server listens."""

    model_config = ConfigDict(extra="ignore")

    host: HostName = Field(description="host name or IP address, as in the server's certificate")
    port: int = Field(ge=1, le=65535, description="TCP port")

    def __str__(self) -> str:
        """As people write it."""
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


class Enrolment(BaseModel):
    """Everything a device needs, as the file of ``pomona server enroll`` and as the answer over HTTPS."""

    model_config = ConfigDict(extra="ignore")

    version: Literal[1] = Field(default=1, description="version of this document")
    device: str = Field(description="name of the device")
    certificate: str = Field(description="the device's certificate, PEM")
    trust_root: str = Field(description="certificates of the authorities that sign devices and the server, PEM")
    revoked: str = Field(default="", description="lists of the certificates they have revoked, PEM")
    broker: Address = Field(description="where to send")
    https: Address | None = Field(default=None, description="where to renew, and to fetch; none without HTTPS")
    release_root: str = Field(default="", description="TUF root of the releases of models, JSON; none without releases")
    issued_at: AwareDatetime | None = Field(default=None, description="the server's time")
    renew: bool = Field(default=False, description="whether the device shall renew its certificate now")


class EnrolmentRequest(BaseModel):
    """What a device without a certificate asks with."""

    model_config = ConfigDict(extra="ignore")

    secret: str = Field(pattern="^[0-9a-f]{16}$", repr=False, description="secret of the invitation, hexadecimal")
    request: str = Field(max_length=4096, description="certificate signing request, PEM")


class RenewalRequest(BaseModel):
    """What a device asks with, whose certificate is to be renewed."""

    model_config = ConfigDict(extra="ignore")

    request: str = Field(max_length=4096, description="certificate signing request with a new key, PEM")


class Refusal(BaseModel):
    """Why the server refused."""

    model_config = ConfigDict(extra="ignore")

    reason: str = Field(max_length=500, description="for people")
