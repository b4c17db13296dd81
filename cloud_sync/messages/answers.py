"""What the server says of a device's messages."""

from __future__ import annotations

from typing import Any, Literal, get_args

from pydantic import BaseModel, ConfigDict, Field, field_validator

# A device chooses part of what a reason quotes, and a thousand reasons travel in few packets.
MOST_REASON = 200

Result = Literal["stored", "outdated", "rejected", "retry"]


class Answer(BaseModel):
    """The server's word on one message, sent after its database has committed.

    ``outdated`` means that another message brought this revision of the record, or a higher one, and that this
    message was never stored.
    """

    model_config = ConfigDict(extra="allow")

    message: str = Field(max_length=64, description="id of the message answered")
    result: Result = Field(description="what became of it")
    reason: str = Field(default="", max_length=MOST_REASON, description="why it was rejected or is to be sent again")
    revision: int | None = Field(
        default=None,
        ge=1,
        lt=2**31,
        description="the revision that is held, when it is outdated, or stored and a later one is held",
    )


class Answers(BaseModel):
    """What the server publishes on a device's ``down/ack``."""

    model_config = ConfigDict(extra="allow")

    answers: list[Answer] = Field(max_length=1000, description="one a message")

    @field_validator("answers", mode="before")
    @classmethod
    def _leave_out_unknown_results(cls, answers: Any) -> Any:
        """A newer server may say what this device has no word for; its other answers stand."""
        if not isinstance(answers, list):
            return answers
        known = get_args(Result)
        return [one for one in answers if not isinstance(one, dict) or one.get("result", known[0]) in known]
