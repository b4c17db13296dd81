"""What the read API answers, as models: they make the OpenAPI document and keep it true."""

from __future__ import annotations

import base64
from collections.abc import Sequence
from typing import Any, Literal

from pydantic import AwareDatetime, BaseModel, Field

from cloud_sync.messages import HealthBody, ModelStateBody
from cloud_sync.server.database import DeadLetter, HealthSample, Record
from cloud_sync.server.fleet.dead_letters import advice
from cloud_sync.server.fleet.devices import DeviceView
from cloud_sync.troubles import Trouble


class TroubleAnswer(BaseModel):
    """Something that is wrong with a device."""

    level: Literal["bad", "note"] = Field(description="bad needs somebody now, note before long")
    about: str = Field(description="what it concerns, in a word")
    text: str = Field(description="what is wrong")
    remedy: str = Field(description="what to do")

    @classmethod
    def of(cls, trouble: Trouble) -> TroubleAnswer:
        """The answer for a trouble."""
        return cls(level=trouble.level, about=trouble.about, text=trouble.text, remedy=trouble.remedy)


class DeviceAnswer(BaseModel):
    """A device."""

    name: str = Field(description="name of the device")
    status: Literal["online", "silent", "offline"] = Field(
        description="silent: seems connected, and has missed two of its health messages"
    )
    last_seen: AwareDatetime = Field(description="when something last came from it")
    store: str | None = Field(description="id of its database")
    clock_error_s: float | None = Field(description="seconds its clock was ahead when it connected last")
    dead_letters: int = Field(description="messages of it that were refused")
    level: Literal["bad", "note"] | None = Field(description="of its worst trouble; null when nothing is wrong")
    troubles: list[TroubleAnswer] = Field(description="what is wrong, the worst first")
    health: HealthBody | None = Field(description="how it last said it fares")
    health_at: AwareDatetime | None = Field(description="when that came")
    model_state: ModelStateBody | None = Field(description="which model it says counts on it")

    @classmethod
    def of(cls, device: DeviceView) -> DeviceAnswer:
        """The answer for a device."""
        return cls(
            name=device.name,
            status=device.status,
            last_seen=device.last_seen,
            store=device.store,
            clock_error_s=device.clock_error_s,
            dead_letters=device.dead_letters,
            level=device.level,
            troubles=[TroubleAnswer.of(trouble) for trouble in device.troubles],
            health=device.health,
            health_at=device.health_at,
            model_state=device.model_state,
        )


class SampleAnswer(BaseModel):
    """Figures a device gave of itself at one moment."""

    received_at: AwareDatetime = Field(description="when they came")
    waiting: int | None = Field(description="messages that waited")
    disk_free_bytes: int | None = Field(description="free space where the records lie")
    memory_free_bytes: int | None = Field(description="memory that programs could still have")
    temperature_c: float | None = Field(description="temperature of the hottest sensor")
    battery_percent: float | None = Field(description="charge of the battery")
    load: float | None = Field(description="programs that wanted to run for each processor core")

    @classmethod
    def of(cls, sample: HealthSample) -> SampleAnswer:
        """The answer for a sample."""
        return cls(
            received_at=sample.received_at, **{figure: getattr(sample, figure) for figure in HealthSample.FIGURES}
        )


class BlockAnswer(BaseModel):
    """What is held of a block, each thing once however many devices sent it."""

    orchard: str = Field(description="name of the orchard")
    block: str = Field(description="name of the block")
    records: dict[str, int] = Field(description="different things by type: trees, photos, visits and so on")
    counts: dict[str, int] = Field(description="fruit or flowers by label; a person's count replaces the machine's")
    estimate: dict[str, Any] | None = Field(description="body of the estimate of the latest day")


class RecordAnswer(BaseModel):
    """The highest revision of a record of a device."""

    device: str = Field(description="the device that sent it")
    record: str = Field(description="id of the record")
    type: str = Field(description="type of the record")
    version: int = Field(description="version of the body")
    revision: int = Field(description="its revision")
    natural_key: str = Field(description="what it is about, the same on each device that saw it")
    store: str = Field(description="id of the database it came from")
    sequence: int = Field(description="its place in that database's order")
    boot: str = Field(description="id of the boot it was made in")
    recorded_at: AwareDatetime = Field(description="the device's clock when it was made")
    clock_synchronised: bool = Field(description="whether that clock was known to be right")
    received_at: AwareDatetime = Field(description="when it came")
    body: dict[str, Any] = Field(description="what it says; the AsyncAPI document has the fields of each type")

    @classmethod
    def of(cls, record: Record) -> RecordAnswer:
        """The answer for a record."""
        return cls.model_validate(record, from_attributes=True)


class DeadLetterAnswer(BaseModel):
    """A message that was refused."""

    id: int = Field(description="its number here")
    device: str | None = Field(description="the device its topic names")
    topic: str = Field(description="where it was published")
    message: str | None = Field(description="id of the message, where it could be told")
    reason: str = Field(description="why it was refused")
    advice: str = Field(description="what to do")
    received_at: AwareDatetime = Field(description="when it came")
    size_bytes: int = Field(description="length of the message")

    @classmethod
    def of(cls, letter: DeadLetter) -> DeadLetterAnswer:
        """The answer for a dead letter."""
        return cls.model_validate(_values(letter))


class WholeDeadLetterAnswer(DeadLetterAnswer):
    """A message that was refused, with what it held."""

    payload: str = Field(description="the message as it came, in base64")
    correlation: str = Field(description="its MQTT correlation data, in base64")

    @classmethod
    def of(cls, letter: DeadLetter) -> WholeDeadLetterAnswer:
        """The answer for a dead letter."""
        whole = {"payload": _base64(letter.payload), "correlation": _base64(letter.correlation)}
        return cls.model_validate({**_values(letter), **whole})


class RecordPage(BaseModel):
    """Some of the records that were asked for."""

    records: Sequence[RecordAnswer] = Field(description="in the order of device and record id")
    next: str | None = Field(description="give this as `after` for the next page; null after the last")


class DeadLetterPage(BaseModel):
    """Some of the dead letters that were asked for."""

    dead_letters: Sequence[DeadLetterAnswer] = Field(description="the newest first")
    next: int | None = Field(description="give this as `after` for the next page; null after the last")


class Problem(BaseModel):
    """What is wrong, and what to do."""

    error: str = Field(description="for people")


def _values(letter: DeadLetter) -> dict[str, Any]:
    names = ("id", "device", "topic", "message", "reason", "received_at")
    values = {name: getattr(letter, name) for name in names}
    return {**values, "advice": advice(letter.reason), "size_bytes": len(letter.payload)}


def _base64(content: bytes) -> str:
    return base64.b64encode(content).decode("ascii")
