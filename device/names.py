"""Names that people, file systems and databases can all carry."""

from __future__ import annotations

from device.errors import InputError

LONGEST = 200


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
