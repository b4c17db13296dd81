"""Reading what people typed into a form."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Annotated

from fastapi import Depends, Request

from device.errors import InputError


async def typed_fields(request: Request) -> dict[str, str]:
    """The fields of a small form."""
    form = await request.form(max_files=0)
    return {name: value for name, value in form.items() if isinstance(value, str)}


Fields = Annotated[dict[str, str], Depends(typed_fields)]

# as long as a name may be on the wire
_LONGEST_NAME = 200


def read_name(fields: Mapping[str, str], field: str, what: str) -> str:
    """A name somebody typed.

    Args:
        fields: the form.
        field: name of the field.
        what: what it names, for the error.

    Raises:
        InputError: it is empty, too long, or has characters that cannot be seen.
    """
    name = " ".join(fields.get(field, "").split())
    if not name:
        raise InputError(f"{what} is empty; fill it in")
    if len(name) > _LONGEST_NAME or not name.isprintable():
        raise InputError(f"{what} is too long or has characters that cannot be seen; choose another")
    return name


def read_number(fields: Mapping[str, str], field: str, what: str) -> float | None:
    """A number above zero; None where the field was left empty. A decimal comma is understood.

    Raises:
        InputError: it is no number above zero.
    """
    text = fields.get(field, "").strip()
    if not text:
        return None
    try:
        value = float(text.replace(",", "."))
    except ValueError:
        value = math.nan
    if not math.isfinite(value) or value <= 0:
        raise InputError(f"{what} is {text!r}; write a number above 0, such as 2.5")
    return value


def read_choice(fields: Mapping[str, str], field: str, what: str, choices: tuple[str, ...]) -> str:
    """One of several choices.

    Raises:
        InputError: none or an unknown one was chosen.
    """
    choice = fields.get(field, "")
    if choice not in choices:
        raise InputError(f"{what} is not chosen; choose one of {', '.join(choices)}")
    return choice
