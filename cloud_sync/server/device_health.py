"""What devices say of themselves: the last of it beside the device, and figures of it over time.

Runs inside the transaction that stores a batch. Few messages are concerned: one a device every quarter of an hour.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import timedelta
from typing import Any

from sqlalchemy import delete, insert, update
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
    said = [item for item in stored if item.envelope.type == HealthBody.TYPE]
    if not said:
        return
    last = {item.envelope.device: item for item in said}
    session.execute(update(Device), [_of_device(item) for item in last.values()])
    # of two at the same moment, which came by two connections, one tells enough
    samples = {(item.envelope.device, item.received.received_at): item for item in said}
    session.execute(insert(HealthSample), [_sample(item) for item in samples.values()])
    old = HealthSample.received_at < max(when for _, when in samples) - KEPT
    session.execute(delete(HealthSample).where(HealthSample.device.in_(last), old))


def _of_device(item: Accepted) -> dict[str, Any]:
    return {
        "name": item.envelope.device,
        "health": item.body,
        "health_at": item.received.received_at,
        "clock_synchronised": item.envelope.clock_synchronised,
    }


def _sample(item: Accepted) -> dict[str, Any]:
    figures = {name: item.body.get(name) for name in HealthSample.FIGURES}
    return {"device": item.envelope.device, "received_at": item.received.received_at, **figures}


def clock_error_s(change: StateChange) -> float | None:
    """By how many seconds a device's clock is ahead of ours; None where a state does not tell.

    What the broker repeats from memory, or says in the place of a device that is gone, was said some time ago.
    """
    said_at = change.state.clock
    if said_at is None or change.received.retained or not change.state.online:
        return None
    return (said_at - change.received.received_at).total_seconds()
