"""Messages for the benchmarks of the wire: counts of trees, as a device makes them."""

from __future__ import annotations

import json

from cloud_sync.outbox import new_id
from tests.cloud_sync.helpers import EXAMPLES, envelope


def counts(device: str, records: int, *, first: int = 1) -> list[bytes]:
    """Envelopes as they travel.

    Args:
        device: who sends them.
        records: how many.
        first: sequence number of the first.
    """
    store = new_id()
    body = {
        name: value for name, value in EXAMPLES["count"].items() if name not in {"reviewed", "by_hand", "own", "both"}
    }
    made = []
    for number in range(first, first + records):
        about = {**body, "tree": f"A-{number}", "machine": number % 400, "photos": [f"{number:064x}"]}
        fields = envelope("count", device=device, store=store, sequence=number, body=about)
        made.append(json.dumps(fields, ensure_ascii=False, separators=(",", ":")).encode())
    return made
