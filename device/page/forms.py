"""Reading what people typed into a form."""

from __future__ import annotations

import math
import re
import unicodedata
from collections.abc import Mapping
from typing import Annotated

from fastapi import Depends, Request

from device.errors import InputError
from device.names import clean_name, require_name


async def typed_fields(request: Request) -> dict[str, str]:
    """The fields of a small form."""
    form = await request.form(max_files=0)
    return {name: value for name, value in form.items() if isinstance(value, str)}


Fields = Annotated[dict[str, str], Depends(typed_fields)]

_MOST_COUNT = 1_000_000_000
# one separator before every three digits: 1 650, 30,000, 1.000.000
_GROUPED = re.compile(r"[1-9]\d{0,2}([ ,.])\d{3}(\1\d{3})*")


def read_name(fields: Mapping[str, str], field: str, what: str) -> str:
    """A name somebody typed.

    Args:
        fields: the form.
        field: name of the field.
        what: what it names, for the error.

    Raises:
        InputError: it is empty, too long, or has characters that cannot be seen.
    """
    name = clean_name(fields.get(field, ""))
    require_name(name, what)
    return name


def read_number(fields: Mapping[str, str], field: str, what: str) -> float | None:
    """A number above zero; None where the field was left empty. A decimal comma is understood.

    Raises:
        InputError: it is no number above zero, or could be read in thousands as well as with three decimals.
    """
    text = _typed(fields, field)
    grouped = _GROUPED.fullmatch(text)
    if grouped and grouped[1] != " " and grouped[2] is None:
        thousands, fraction = _without_groups(text), number_text(_parse(text))
        raise InputError(f"{what} is {text!r}; write {thousands} or {fraction}, whichever you mean")
    return _above_zero(text, what) if text else None


def read_whole_number(fields: Mapping[str, str], field: str, what: str) -> int | None:
    """A whole number above zero; None where the field was left empty. Separators of thousands are understood.

    Raises:
        InputError: it is no whole number above zero.
    """
    text = _typed(fields, field)
    if not text:
        return None
    value = _above_zero(text, what)
    if value != int(value):
        raise InputError(f"{what} is {text!r}; write a whole number")
    return int(value)


def read_count(fields: Mapping[str, str], field: str, what: str) -> int:
    """A whole number from 0 on.

    Raises:
        InputError: it is none, or the field was left empty.
    """
    text = _typed(fields, field)
    value = _parse(_without_groups(text))
    if not 0 <= value <= _MOST_COUNT or value != int(value):
        raise InputError(f"{what} is {text!r}; write a whole number, such as 52")
    return int(value)


def number_text(value: float) -> str:
    """A number as :func:`read_number` reads it back."""
    text = f"{value:.10g}"
    return f"{text}0" if _GROUPED.fullmatch(text) else text


def _typed(fields: Mapping[str, str], field: str) -> str:
    # keyboards for Chinese type full-width digits and points, other programs narrow blanks between thousands
    return unicodedata.normalize("NFKC", fields.get(field, "")).strip()


def _above_zero(text: str, what: str) -> float:
    value = _parse(_without_groups(text))
    if not math.isfinite(value) or value <= 0:
        raise InputError(f"{what} is {text!r}; write a number above 0, such as 2.5")
    return value


def _without_groups(text: str) -> str:
    return re.sub("[ ,.]", "", text) if _GROUPED.fullmatch(text) else text


def _parse(text: str) -> float:
    try:
        return float(text.replace(",", "."))
    except ValueError:
        return math.nan


def read_choice(fields: Mapping[str, str], field: str, what: str, choices: tuple[str, ...]) -> str:
    """One of several choices.

    Raises:
        InputError: none or an unknown one was chosen.
    """
    choice = fields.get(field, "")
    if choice not in choices:
        raise InputError(f"{what} is not chosen; choose one of {', '.join(choices)}")
    return choice
