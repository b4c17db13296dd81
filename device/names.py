"""Names that people, file systems and databases can all carry."""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence

from device.errors import InputError

LONGEST = 200


def clean_name(text: str) -> str:
    """A name as it is kept: composed characters (NFC), no blanks around it and single ones inside.

    One name then is one key, here and at the server, whichever file system or keyboard it came from.
    """
    return " ".join(unicodedata.normalize("NFC", text).split())


def some(codes: Sequence[str]) -> str:
    """Trees as a message names them: the first five."""
    return f"{', '.join(codes[:5])}{', …' if len(codes) > 5 else ''}"


def require_name(text: str, what: str) -> None:
    """Refuse a name that cannot be written down and sent.

    Args:
        text: the name.
        what: what it is, for the message: ``the block's name``.

    Raises:
        InputError: it is empty or blank, too long, or holds characters that cannot be printed.
    """
    if not text.strip() or len(text) > LONGEST or not text.isprintable():
        raise InputError(f"{what} is {text!r}; give 1 to {LONGEST} printable characters")
