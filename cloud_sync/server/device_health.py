"""What devices say of themselves: the last of it beside the device, and figures of it over time.

Runs inside the transaction that stores a batch. Few messages are concerned: one a device every quarter of an hour.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import timedelta

from sqlalchemy import delete, update
from sqlalchemy.orm import Session

from cloud_sync.messages import HealthBody
from cloud_sync.server.database import Device, HealthSample
from cloud_sync.server.screening import Accepted, StateChange

# what a chart shows and no more: at one every quarter of an hour a device has 2,880 of them
KEPT = timedelta(days=30)


def note_health(session: Session, stored: Iterable[Accepted]) -> None:
    """Keep what devices said of their health; their rows are there.

    Args:
        session: the open transaction.
        stored: records of which a new revision was stored, those of other types too.
    """
    for item in stored:
        if item.envelope.type != HealthBody.TYPE:
            continue
        device, received_at = item.envelope.device, item.received.received_at
        said = {"health": item.body, "health_at": received_at, "clock_synchronised": item.envelope.clock_synchronised}
        session.execute(update(Device).where(Device.name == device).values(said))
        figures = {name: item.body.get(name) for name in HealthSample.FIGURES}
        # one that came at the same moment came by another connection, and says the same
        session.merge(HealthSample(device=device, received_at=received_at, **figures))
        old = HealthSample.received_at < received_at - KEPT
        session.execute(delete(HealthSample).where(HealthSample.device == device, old))


def clock_error_s(change: StateChange) -> float | None:
    """By how many seconds a device's clock is ahead of ours; None where a state does not tell.

    What the broker repeats from memory, or says in the place of a device that is gone, was said some time ago.
    """
    said_at = change.state.clock
    if said_at is None or change.received.retained or not change.state.online:
        return None
    return (said_at - change.received.received_at).total_seconds()
