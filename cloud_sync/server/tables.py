"""Holdings, dead letters and photos as tables for a terminal, and as JSON values."""

from __future__ import annotations

import base64
from collections.abc import Iterable
from datetime import datetime, timezone
from typing import Any

from rich.table import Table
from rich.text import Text

from cloud_sync.server.database import DeadLetter
from cloud_sync.server.holdings import Holdings
from cloud_sync.server.photo_requests import PhotoRequest


def holdings_table(holdings: Holdings) -> Table:
    """One row a block."""
    table = Table("orchard", "block", "trees", "photos", "visits", "counts", "corrected yield kg/ha")
    for block in holdings.blocks:
        counts = ", ".join(f"{label} {number}" for label, number in block.counts.items())
        corrected = block.estimate["corrected_kg_per_ha"] if block.estimate else None
        table.add_row(
            _plain(block.orchard),
            _plain(block.block),
            *(str(block.records.get(kind, 0)) for kind in ("tree", "photo", "visit")),
            _plain(counts),
            "" if corrected is None else f"{corrected:.0f}",
        )
    return table


def dead_letters_table(letters: Iterable[DeadLetter]) -> Table:
    """One row a message."""
    table = Table("number", "received, UTC", "device", "topic", "bytes", "reason")
    for letter in letters:
        table.add_row(
            str(letter.id),
            moment_text(letter.received_at),
            _plain(letter.device or "?"),
            _plain(letter.topic),
            str(len(letter.payload)),
            _plain(letter.reason),
        )
    return table


def photos_table(requests: Iterable[PhotoRequest]) -> Table:
    """One row a photo that a device was asked for."""
    table = Table("photo", "device", "asked, UTC", "state")
    for request in requests:
        state = f"{request.state}: {request.reason}" if request.reason else request.state
        if request.settled_at is not None:
            state += f" ({moment_text(request.settled_at)})"
        table.add_row(f"{request.photo[:16]}…", request.device, moment_text(request.asked_at), _plain(state))
    return table


def dead_letter_as_dict(letter: DeadLetter) -> dict[str, Any]:
    """A dead letter as JSON values, its payload in base64."""
    return {
        "id": letter.id,
        "received_at": letter.received_at.isoformat(),
        "device": letter.device,
        "topic": letter.topic,
        "message": letter.message,
        "reason": letter.reason,
        "payload": base64.b64encode(letter.payload).decode("ascii"),
    }


def moment_text(moment: datetime) -> str:
    """Day and minute of an aware moment, in UTC."""
    return f"{moment.astimezone(timezone.utc):%Y-%m-%d %H:%M}"


def printable(text: str) -> str:
    """Text from devices with nothing that steers the terminal."""
    return "".join(character if character.isprintable() else "\N{REPLACEMENT CHARACTER}" for character in text)


def _plain(text: str) -> Text:
    """The same without markup."""
    return Text(printable(text))
