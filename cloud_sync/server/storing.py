"""Writing a batch of screened messages into the database, and the answer each of them earns.

Runs inside one transaction that the caller opens; the answers may be sent only after it has committed. Several
processes may do so at once. Each takes what it writes in the same order (records by key, dead letters, devices by
name), and inserts before it locks what is there, so that none ever waits for one that waits for it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from sqlalchemy import func, insert, or_, select, update
from sqlalchemy.orm import Session

from cloud_sync.digests import digest_of
from cloud_sync.messages import Answer
from cloud_sync.server import statements
from cloud_sync.server.database import DeadLetter, Record, ReplacedRevision
from cloud_sync.server.device_health import clock_error_s, note_health
from cloud_sync.server.screening import Accepted, Asked, Refused, StateChange
from cloud_sync.server.statements import Key

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
    replies, fresh = _store_records(session, accepted) if accepted else ([], [])
    if refused:
        _keep_dead_letters(session, refused)
    _note_devices(session, batch)
    note_health(session, fresh)
    return replies + [
        (item.device, Answer(message=item.message, result="rejected", reason=item.reason))
        for item in refused
        if item.device is not None and item.message is not None
    ]


_NOTHING_NEW: dict[str, Any] = {"heard": False, "online": None, "store": None, "clock_error_s": None}


class _Held(NamedTuple):
    revision: int
    message: str


def _store_records(session: Session, accepted: Sequence[Accepted]) -> tuple[list[Reply], list[Accepted]]:
    """Keep the highest revision of each record, of those here and those in the database.

    Returns:
        The answers, and the messages whose revisions are now held.
    """
    highest: dict[Key, Accepted] = {}
    for item in accepted:
        known = highest.get(_key(item))
        if known is None or item.envelope.revision > known.envelope.revision:
            highest[_key(item)] = item
    found = _claim(session, {key: _columns(highest[key]) for key in sorted(highest)})
    replies = _judge(session, accepted, found)
    risen = [highest[key] for key, held in found.items() if highest[key].envelope.revision > held.revision]
    if risen:
        session.execute(update(Record), [_columns(item) for item in risen])
    # a message that was refused once and is stored now is dead no longer
    statements.delete_dead_letters(
        session, sorted({(item.envelope.device, item.envelope.message) for item in accepted})
    )
    return replies, [item for key, item in highest.items() if key not in found] + risen


def _claim(session: Session, rows: Mapping[Key, dict[str, Any]]) -> dict[Key, _Held]:
    """Insert the records that the database does not hold, and keep those it holds from other writers.

    Returns:
        What it held before, of those it did.
    """
    held: dict[Key, _Held] = {}
    if not statements.is_postgresql(session):  # nobody else writes
        held = _find(session, rows)
        if len(held) < len(rows):
            statements.insert_all(session, [row for key, row in rows.items() if key not in held])
        return held
    left = dict(rows)
    while left:  # once, but for a record that is deleted after it was in the way of being inserted
        inserted = statements.insert_missing(session, list(left.values()))
        left = {key: row for key, row in left.items() if key not in inserted}
        found = _find(session, left) if left else {}
        held |= found
        left = {key: row for key, row in left.items() if key not in found}
    return held


def _find(session: Session, keys: Iterable[Key]) -> dict[Key, _Held]:
    rows = statements.find_records(session, keys)
    return {(row.device, row.record): _Held(row.revision, row.message) for row in rows}


def _judge(session: Session, accepted: Sequence[Accepted], found: Mapping[Key, _Held]) -> list[Reply]:
    """Answer each message as if they had been stored one after the other, and note which revisions were replaced."""
    held = dict(found)
    replaced: dict[tuple[str, str, int], dict[str, Any]] = {}
    replies: list[Reply] = []
    for item in accepted:
        envelope, key = item.envelope, _key(item)
        before = held.get(key)
        answer = Answer(message=envelope.message, result="stored")
        if before is None or envelope.revision > before.revision:
            if before is not None:
                replaced[key[0], key[1], before.revision] = {
                    "device": key[0],
                    "record": key[1],
                    **before._asdict(),
                    "replaced_at": item.received.received_at,
                }
            held[key] = _Held(envelope.revision, envelope.message)
        elif _brought_by(session, (key[0], key[1], envelope.revision), before, replaced) != envelope.message:
            answer = Answer(message=envelope.message, result="outdated", revision=before.revision)
        elif before.revision > envelope.revision:
            answer = Answer(message=envelope.message, result="stored", revision=before.revision)
        replies.append((envelope.device, answer))
    if replaced:
        session.execute(insert(ReplacedRevision), list(replaced.values()))
    return replies


def _brought_by(
    session: Session,
    revision: tuple[str, str, int],
    held: _Held,
    replaced: Mapping[tuple[str, str, int], dict[str, Any]],
) -> str | None:
    """The message that brought a revision which is held or was held before, None if it never was."""
    if revision[2] == held.revision:
        return held.message
    if revision in replaced:
        return str(replaced[revision]["message"])
    there = ReplacedRevision
    brought = select(there.message).where(
        there.device == revision[0], there.record == revision[1], there.revision == revision[2]
    )
    return session.scalar(brought)


def _key(item: Accepted) -> Key:
    return item.envelope.device, item.envelope.record


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


def _keep_dead_letters(session: Session, refused: Iterable[Refused]) -> None:
    """Keep each refused message once, up to a number for each device."""
    named = {(item.device, item.message): item for item in refused if item.message is not None}
    unnamed = [item for item in refused if item.message is None]
    statements.delete_dead_letters(
        session, sorted((device, message) for device, message in named if device is not None)
    )
    number = _count_dead_letters(session, {item.device for item in refused})
    kept = []
    for item in [*named.values(), *unnamed]:
        if number[item.device] < MOST_DEAD_LETTERS:
            number[item.device] += 1
            kept.append(item)
    rows = [
        {
            "topic": item.received.topic,
            "device": item.device,
            "message": item.message,
            "payload": item.received.payload,
            "correlation": item.received.correlation,
            "reason": item.reason,
            "received_at": item.received.received_at,
        }
        for item in kept
    ]
    if rows:
        statements.insert_dead_letters(session, rows)


def _count_dead_letters(session: Session, devices: set[str | None]) -> Counter[str | None]:
    of_these = or_(DeadLetter.device.in_([name for name in devices if name is not None]), DeadLetter.device.is_(None))
    numbers = select(DeadLetter.device, func.count()).where(of_these).group_by(DeadLetter.device)
    return Counter({device: number for device, number in session.execute(numbers)})  # noqa: C416


def _note_devices(session: Session, batch: Iterable[Screened]) -> None:
    """Keep when each device was last heard, whether it says that it is online, its clock, and the id of its store."""
    news: dict[str, dict[str, Any]] = {}
    for item in batch:
        if isinstance(item, Refused):
            continue
        name = item.envelope.device if isinstance(item, Accepted) else item.device
        known = news.setdefault(name, {"name": name, **_NOTHING_NEW})
        if not item.received.retained:  # the broker repeats what it retained; that is no sign of life
            known["heard"] = True
        known["last_seen"] = item.received.received_at
        if isinstance(item, Accepted):
            if not item.received.retained:
                known["store"] = item.envelope.store
        elif isinstance(item, Asked):
            known["store"] = item.question.store
        else:
            known["store"], known["online"] = item.state.store, item.state.online
            if (error_s := clock_error_s(item)) is not None:
                known["clock_error_s"] = error_s
    if news:
        statements.note_devices(session, [news[name] for name in sorted(news)])
