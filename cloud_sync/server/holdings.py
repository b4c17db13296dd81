"""What the server holds, counted by what it is about: a tree seen by two devices is one tree."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

from sqlalchemy import BigInteger, ColumnElement, Select, and_, case, cast, func, or_, select
from sqlalchemy.orm import Session, aliased

from cloud_sync.server.database import DeadLetter, Device, Record
from cloud_sync.server.tree_codes import TreeCode

# so many blocks are looked up one by one
_FEW = 50
_Place = tuple[str, str]
# Of each block what becomes another with any message that is stored or deleted; an index holds all of it.
_STATES = (
    select(Record.orchard, Record.block, func.count(), func.sum(Record.digest))
    .where(Record.orchard.is_not(None), Record.block.is_not(None))
    .group_by(Record.orchard, Record.block)
)


@dataclass
class BlockHoldings:
    """What is held of one block.

    Attributes:
        orchard: name of the orchard.
        block: name of the block.
        records: different things by type: trees, photos, visits and so on.
        counts: fruit or flowers by label, over all visits; a person's count replaces the machine's.
        estimate: body of the estimate of the latest day, None when there is none.
    """

    orchard: str
    block: str
    records: dict[str, int] = field(default_factory=dict)
    counts: dict[str, int] = field(default_factory=dict)
    estimate: dict[str, Any] | None = None


@dataclass(frozen=True)
class Holdings:
    """What is held in all.

    Attributes:
        records: different things by type, each counted once however many devices sent it; also what belongs to no
            block, such as orchards, or is placed by another record, such as detections by their photo.
        blocks: by orchard and block, in the order of their names.
        devices: devices that were heard of.
        dead_letters: messages that were refused.
    """

    records: dict[str, int]
    blocks: tuple[BlockHoldings, ...]
    devices: int
    dead_letters: int

    def as_dict(self) -> dict[str, Any]:
        """The same as JSON values."""
        return asdict(self)


def read_holdings(session: Session) -> Holdings:
    """Count what is there.

    Args:
        session: a view of the database.
    """
    records = select(Record.type, func.count(Record.natural_key.distinct())).group_by(Record.type).order_by(Record.type)
    return Holdings(
        records={kind: count for kind, count in session.execute(records)},  # noqa: C416  (a row is not a plain tuple)
        blocks=BlockReader().read(session),
        devices=session.scalars(select(func.count()).select_from(Device)).one(),
        dead_letters=session.scalars(select(func.count()).select_from(DeadLetter)).one(),
    )


class BlockReader:
    """What is held of each block, read again and again: only blocks that have changed are looked into."""

    def __init__(self) -> None:
        self._codes: set[tuple[str, ...]] = set()
        self._states: dict[_Place, tuple[int, int]] = {}
        self._blocks: dict[_Place, BlockHoldings] = {}

    def read(self, session: Session) -> tuple[BlockHoldings, ...]:
        """The blocks by orchard and block, in the order of their names.

        Args:
            session: a view of the database.
        """
        # a registry that merges trees changes what records are about, and no message
        codes = {tuple(row) for row in session.execute(select(*TreeCode.__table__.columns))}
        known = self._states if codes == self._codes else {}
        states = _states(session)
        changed = [place for place, state in states.items() if known.get(place) != state]
        kept = {place: block for place, block in self._blocks.items() if place in states}
        self._blocks = {**kept, **_read_blocks(session, changed)} if changed else kept
        self._states, self._codes = states, codes
        return tuple(self._blocks[place] for place in sorted(self._blocks))


def _states(session: Session) -> dict[_Place, tuple[int, int]]:
    rows = session.execute(_STATES)
    return {(str(orchard), str(block)): (number, int(total)) for orchard, block, number, total in rows}


def _read_blocks(session: Session, places: Sequence[_Place]) -> dict[_Place, BlockHoldings]:
    blocks = {place: BlockHoldings(*place) for place in places}
    if len(places) <= _FEW:
        there = or_(*(and_(Record.orchard == orchard, Record.block == block) for orchard, block in places))
    else:  # all are gone through at once, which is cheaper than to look for many
        there = and_(Record.orchard.is_not(None), Record.block.is_not(None))
    distinct = select(Record.orchard, Record.block, Record.type, func.count(Record.natural_key.distinct()))
    for *place, kind, number in session.execute(
        distinct.where(there).group_by(Record.orchard, Record.block, Record.type).order_by(Record.type)
    ):
        if found := blocks.get(_place(*place)):
            found.records[kind] = number
    for *place, label, total in session.execute(_count_totals(there)):
        if found := blocks.get(_place(*place)):
            found.counts[label] = int(total)
    for estimate in session.scalars(_estimates(there)):
        if found := blocks.get(_place(estimate.orchard, estimate.block)):
            found.estimate = estimate.body  # the latest day comes last
    return blocks


def _place(orchard: str | None, block: str | None) -> _Place:
    return str(orchard), str(block)


def _count_totals(there: ColumnElement[bool]) -> Select[Any]:
    count = _one_a_key("count", there)
    number = func.coalesce(
        cast(count.body["reviewed"].as_string(), BigInteger), cast(count.body["machine"].as_string(), BigInteger)
    )
    label = count.body["label"].as_string().label("label")
    totals = select(count.orchard, count.block, label, func.sum(number))
    return totals.group_by(count.orchard, count.block, label).order_by(label)


def _estimates(there: ColumnElement[bool]) -> Select[Any]:
    estimate = _one_a_key("estimate", there)
    return select(estimate).order_by(estimate.body["day"].as_string(), estimate.received_at)


def _one_a_key(kind: str, there: ColumnElement[bool]) -> type[Record]:
    """Of all records of some blocks about one thing the one made last, the latest received among equals.

    Revisions tell nothing here: they are counted for each record of each device anew.
    """
    # a clock nobody vouches for says nothing, and one that is ahead of ours is wrong
    is_known = Record.clock_synchronised & (Record.recorded_at <= Record.received_at)
    made_at = case((is_known, Record.recorded_at), else_=Record.received_at)
    place = (
        func.row_number()
        .over(
            partition_by=Record.natural_key,
            order_by=(made_at.desc(), Record.received_at.desc(), Record.device, Record.record),
        )
        .label("place")
    )
    ranked = select(Record, place).where(Record.type == kind, there).subquery()
    return aliased(Record, select(ranked).where(ranked.c.place == 1).subquery())
