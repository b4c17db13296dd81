"""What the server gives devices: versioned documents, announced over MQTT and fetched by their hash over HTTPS."""

from __future__ import annotations

import unicodedata
from typing import Annotated, Literal

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, ValidationError, model_validator

from cloud_sync.errors import MessageError
from cloud_sync.messages.decoding import first_problem
from cloud_sync.messages.fields import Finite, Latitude, Longitude, Name, NotNegative, Positive, Sha256

Kind = Literal["registry", "plan", "season", "prior", "release"]
KINDS: tuple[Kind, ...] = ("registry", "plan", "season", "prior", "release")
# a bundle has tens of megabytes; the rest are far smaller
MOST_BYTES = 256 * 1024 * 1024
MOST_TREES = 1_000_000
MOST_DOCUMENTS = 500
# where they are fetched, each by its SHA-256
DOCUMENTS = "/v1/documents"
REGISTRY_SCHEMA = "pomona-registry/1"
PLAN_SCHEMA = "pomona-plan/1"
RELEASE_SCHEMA = "pomona-release/1"

# orchard and block, parted by a stroke
DocumentName = Annotated[str, Field(min_length=1, max_length=401, pattern=r"^[^\x00-\x1f\x7f-\x9f]+$")]


class Notice(BaseModel):
    """One document that is meant for a device."""

    model_config = ConfigDict(extra="allow", frozen=True)

    # text, since a newer server may have kinds that this device does not know
    kind: str = Field(max_length=32, description="registry, plan, season, prior or release")
    name: DocumentName = Field(description="what it is about: an orchard, a block of one, a model")
    version: int = Field(ge=1, lt=2**31, description="rises with each that replaces it")
    sha256: Sha256 = Field(description="SHA-256 of the file")
    size_bytes: int = Field(ge=1, le=MOST_BYTES, description="size of the file")

    def __str__(self) -> str:
        """As people are told of it."""
        return f"{self.kind} {self.name!r}"


class Catalogue(BaseModel):
    """Every document that a device should have, and how many full photos are asked of it."""

    model_config = ConfigDict(extra="allow")

    documents: list[Notice] = Field(max_length=MOST_DOCUMENTS, description="one a document")
    photos: int = Field(default=0, ge=0, description="full photos asked of the device; GET /v1/photos lists them")
    sent_at: AwareDatetime = Field(description="the server's clock")


class RegisteredTree(BaseModel):
    """A tree with the code the server has given it."""

    model_config = ConfigDict(extra="ignore")

    tree: Name = Field(description="its code")
    was: tuple[Name, ...] = Field(default=(), max_length=100, description="codes given in the field that mean it")
    row: NotNegative | None = Field(default=None, description="number of its row")
    position: NotNegative | None = Field(default=None, description="its place in the row")
    latitude: Latitude | None = Field(default=None, description="degrees north")
    longitude: Longitude | None = Field(default=None, description="degrees east")
    vigour: Finite | None = Field(default=None, description="how strong it is, in any unit")


class RegisteredBlock(BaseModel):
    """A block; what is left out stays as the device has it."""

    model_config = ConfigDict(extra="ignore")

    block: Name = Field(description="its name")
    area_m2: Positive | None = Field(default=None, description="planted area")
    trees: NotNegative | None = Field(default=None, description="trees standing in it")
    trees_per_ha: Positive | None = Field(default=None, description="planting density")
    variety: Name | None = Field(default=None, description="variety")
    fruit_weight_g: Positive | None = Field(default=None, description="single fruit weight")
    registered: tuple[RegisteredTree, ...] = Field(
        default=(), max_length=MOST_TREES, description="its trees, as far as they have codes"
    )

    @model_validator(mode="after")
    def _no_code_means_two_trees(self) -> RegisteredBlock:
        seen: dict[str, str] = {}
        for tree in self.registered:
            for code in {unicodedata.normalize("NFC", code) for code in (tree.tree, *tree.was)}:
                if code in seen:
                    raise ValueError(f"code {code!r} means both {seen[code]!r} and {tree.tree!r}")
                seen[code] = tree.tree
        return self


class RegistryDocument(BaseModel):
    """Orchard, blocks and trees under the names the server has given them."""

    model_config = ConfigDict(extra="ignore", populate_by_name=True)

    of_schema: Literal["pomona-registry/1"] = Field(alias="schema", description="schema of this document")
    orchard: Name = Field(description="name of the orchard")
    yield_unit: str | None = Field(default=None, description="unit in which its people read yield")
    region: Name | None = Field(default=None, description="where it is, as yield models name where they were trained")
    county: Name | None = Field(default=None, description="its county")
    county_area_ha: Positive | None = Field(default=None, description="area planted with its crop in that county")
    blocks: tuple[RegisteredBlock, ...] = Field(max_length=10_000, description="its blocks")


class PlannedTree(BaseModel):
    """A tree to photograph."""

    model_config = ConfigDict(extra="ignore")

    tree: Name = Field(description="its code")
    row: NotNegative | None = Field(default=None, description="number of its row")
    position: NotNegative | None = Field(default=None, description="its place in the row")
    latitude: Latitude | None = Field(default=None, description="degrees north")
    longitude: Longitude | None = Field(default=None, description="degrees east")


class PlanDocument(BaseModel):
    """Which trees of a block to photograph, in walking order; what ``pomona plan --json`` prints is one."""

    model_config = ConfigDict(extra="ignore", populate_by_name=True)

    of_schema: Literal["pomona-plan/1"] = Field(alias="schema", description="schema of this document")
    orchard: Name = Field(description="name of the orchard")
    block: Name = Field(description="name of the block")
    design: Name = Field(description="how the trees were chosen")
    walk: tuple[PlannedTree, ...] = Field(min_length=1, max_length=MOST_TREES, description="the trees, in order")
    notes: tuple[str, ...] = Field(default=(), max_length=100, description="what to know of it")


def decode_catalogue(payload: bytes) -> Catalogue:
    """Read what the server announces.

    Raises:
        MessageError: it is none, or a field is missing or wrong.
    """
    try:
        return Catalogue.model_validate_json(payload)
    except ValidationError as error:
        raise MessageError(f"no list of documents: {first_problem(error)}") from error
