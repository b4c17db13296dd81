"""Writing a batch of screened messages into the database, and the answer each of them earns.

Runs inside one transaction that the caller opens; the answers may be sent only after it has committed.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

from sqlalchemy import delete, func, insert, select, update
from sqlalchemy.orm import Session

from cloud_sync.digests import digest_of
from cloud_sync.messages import Answer, Envelope
from cloud_sync.server.database import DeadLetter, Device, Record, ReplacedRevision
from cloud_sync.server.screening import Accepted, Asked, Received, Refused, StateChange

# A device that sends nothing but nonsense shall not fill the disk. It keeps what it sent, so nothing is lost.
MOST_DEAD_LETTERS = 1000

Screened = Accepted | Refused | StateChange | Asked
Reply = tuple[str, Answer]
"""A device and what to tell it."""


def store(session: Session, batch: Sequence[Screened]) -> list[Reply]:
    """Store a batch.

    Args:
        session: the open transaction.
        batch: screened messages in the order they came.

    Returns:
        One reply for each message that can be answered.

    Raises:
        SQLAlchemyError: the database does not take it; nothing of the batch counts then.
    """
    accepted = [item for item in batch if isinstance(item, Accepted)]
    refused = [item for item in batch if isinstance(item, Refused)]
    replies = _store_records(session, accepted)
    _forget_dead_letters(session, accepted)
    _keep_dead_letters(session, refused)
    _note_devices(session, batch)
    return replies + [
        (item.device, Answer(message=item.message, result="rejected", reason=item.reason))
        for item in refused
        if item.device is not None and item.message is not None
    ]


class _Held(NamedTuple):
    revision: int
    message: str


def _store_records(session: Session, accepted: Sequence[Accepted]) -> list[Reply]:
    """Keep the highest revision of each record, of those here and those in the database."""
    held = _held(session, accepted)
    known = set(held)
    newest: dict[tuple[str, str], Accepted] = {}
    replies: list[Reply] = []
    for item in accepted:
        envelope = item.envelope
        key = (envelope.device, envelope.record)
        answer = Answer(message=envelope.message, result="stored")
        before = held.get(key)
        if before is None or envelope.revision > before.revision:
            if before is not None:
                session.add(ReplacedRevision(device=envelope.device, record=envelope.record, **before._asdict()))
            held[key] = _Held(envelope.revision, envelope.message)
            newest[key] = item
        elif not _was_stored(session, envelope, before):
            answer = Answer(message=envelope.message, result="outdated", revision=before.revision)
        elif before.revision > envelope.revision:
            answer = Answer(message=envelope.message, result="stored", revision=before.revision)
        replies.append((envelope.device, answer))
    fresh = [_columns(item) for key, item in newest.items() if key not in known]
    if fresh:
        session.execute(insert(Record), fresh)
    risen = [_columns(item) for key, item in newest.items() if key in known]
    if risen:
        session.execute(update(Record), risen)
    return replies


def _held(session: Session, accepted: Iterable[Accepted]) -> dict[tuple[str, str], _Held]:
    """What the database holds of the records in a batch, by device and record."""
    records = defaultdict(set)
    for item in accepted:
        records[item.envelope.device].add(item.envelope.record)
    held = {}
    for device, ids in records.items():  # one query a device: the key begins with it
        rows = select(Record.record, Record.revision, Record.message).where(
            Record.device == device, Record.record.in_(ids)
        )
        for row in session.execute(rows):
            held[device, row.record] = _Held(row.revision, row.message)
    return held


def _was_stored(session: Session, envelope: Envelope, held: _Held) -> bool:
    """Whether this very message brought the revision that is held or one that was held before."""
    if envelope.revision == held.revision:
        return envelope.message == held.message
    replaced = session.get(ReplacedRevision, (envelope.device, envelope.record, envelope.revision))
    return replaced is not None and replaced.message == envelope.message


def _columns(item: Accepted) -> dict[str, Any]:
    envelope = item.envelope
    return {
        "device": envelope.device,
        "record": envelope.record,
        "type": envelope.type,
        "version": envelope.version,
        "revision": envelope.revision,
        "message": envelope.message,
        "natural_key": item.natural_key,
        "orchard": item.body.get("orchard"),
        "block": item.body.get("block"),
        "store": envelope.store,
        "sequence": envelope.sequence,
        "boot": envelope.boot,
        "recorded_at": item.recorded_at,
        "clock_synchronised": envelope.clock_synchronised,
        "historical": envelope.historical,
        "received_at": item.received.received_at,
        "digest": digest_of(envelope.message),
        "body": item.body,
    }


def _forget_dead_letters(session: Session, accepted: Iterable[Accepted]) -> None:
    """A message that was refused once and is stored now is dead no longer."""
    messages = defaultdict(set)
    for item in accepted:
        messages[item.envelope.device].add(item.envelope.message)
    for device, ids in messages.items():
        session.execute(delete(DeadLetter).where(DeadLetter.device == device, DeadLetter.message.in_(ids)))


def _keep_dead_letters(session: Session, refused: Iterable[Refused]) -> None:
    for item in refused:
        if item.message is not None:
            same = DeadLetter.device == item.device, DeadLetter.message == item.message
            session.execute(delete(DeadLetter).where(*same))
        count = select(func.count()).select_from(DeadLetter).where(DeadLetter.device == item.device)
        if session.scalars(count).one() >= MOST_DEAD_LETTERS:
            continue
        session.add(
            DeadLetter(
                topic=item.received.topic,
                device=item.device,
                message=item.message,
                payload=item.received.payload,
                correlation=item.received.correlation,
                reason=item.reason,
                received_at=item.received.received_at,
            )
        )


def _note_devices(session: Session, batch: Iterable[Screened]) -> None:
    for item in batch:
        if isinstance(item, StateChange):
            device = _device(session, item.device, item.received)
            device.online = item.state.online
            device.store = item.state.store
        elif isinstance(item, Accepted):
            device = _device(session, item.envelope.device, item.received)
            device.store = item.envelope.store
        elif isinstance(item, Asked):
            _device(session, item.device, item.received)


def _device(session: Session, name: str, received: Received) -> Device:
    device = session.get(Device, name)
    if device is None:
        device = Device(name=name, online=False, last_seen=received.received_at)
        session.add(device)
        session.flush()
    if not received.retained:  # the broker repeats what it retained; that is no sign of life
        device.last_seen = received.received_at
    return device
