"""What to do about a message that was refused, told from the reason."""

from __future__ import annotations

# what the reason holds, and what to do; the first that fits
_ADVICE = (
    (
        ("is unknown here; known are", "is newer than"),
        "The device is newer than this server. Upgrade the server; the device then sends it again by itself.",
    ),
    (
        ("the envelope names device", "the envelope says type"),
        "It was sent to a place of another. Unless somebody is testing, revoke the device: pomona server revoke NAME.",
    ),
    (
        ("the topic is not", "topic: "),
        "No device of ours sends to such a topic. Find out which program uses the device's certificate.",
    ),
    (
        ("is longer than",),
        "The record is too long for the wire and stays on the device. Upgrade the device; a newer one may split it.",
    ),
    (
        ("recorded_at: ", "outside the calendar"),
        "The device's clock is far off. Let it reach a time server, then on the device: pomona sync replay.",
    ),
    (
        ("the server cannot store it", "the server cannot read it"),
        "The server's log says why. Once that is mended: pomona server dead-letters replay --all.",
    ),
)
_OTHERWISE = (
    "Device and server do not mean the same by this record, or another program wrote it. Bring both to the same "
    "version, then on the device: pomona sync replay."
)


def advice(reason: str) -> str:
    """What to do about a message that was refused for a reason."""
    return next((text for parts, text in _ADVICE if any(part in reason for part in parts)), _OTHERWISE)


def readable(payload: bytes, most: int = 4000) -> str | None:
    """The beginning of a message as text; None where it is none."""
    try:
        text = payload.decode("utf-8")
    except UnicodeDecodeError:
        return None
    shown = "".join(
        character if character.isprintable() or character in "\n\t" else "\N{REPLACEMENT CHARACTER}"
        for character in text[:most]
    )
    return shown + (" …" if len(text) > most else "")
