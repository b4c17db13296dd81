"""What the server holds, counted by what it is about: a tree seen by two devices is one tree."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import Any

from sqlalchemy import BigInteger, Select, case, cast, func, select
from sqlalchemy.orm import Session, aliased

from cloud_sync.server.database import DeadLetter, Device, Record


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
        blocks=_blocks(session),
        devices=session.scalars(select(func.count()).select_from(Device)).one(),
        dead_letters=session.scalars(select(func.count()).select_from(DeadLetter)).one(),
    )


def _blocks(session: Session) -> tuple[BlockHoldings, ...]:
    blocks: dict[tuple[str, str], BlockHoldings] = {}

    def block(orchard: str, name: str) -> BlockHoldings:
        return blocks.setdefault((orchard, name), BlockHoldings(orchard, name))

    distinct = (
        select(Record.orchard, Record.block, Record.type, func.count(Record.natural_key.distinct()))
        .where(Record.orchard.is_not(None), Record.block.is_not(None))
        .group_by(Record.orchard, Record.block, Record.type)
    )
    for orchard, name, kind, number in session.execute(distinct):
        block(str(orchard), str(name)).records[kind] = number
    for orchard, name, label, total in session.execute(_count_totals()):
        block(orchard, name).counts[label] = int(total)
    for estimate in session.scalars(_estimates()):
        block(str(estimate.orchard), str(estimate.block)).estimate = estimate.body  # the latest day comes last
    return tuple(blocks[key] for key in sorted(blocks))


def _count_totals() -> Select[Any]:
    count = _one_a_key("count")
    number = func.coalesce(
        cast(count.body["reviewed"].as_string(), BigInteger), cast(count.body["machine"].as_string(), BigInteger)
    )
    label = count.body["label"].as_string().label("label")
    totals = select(count.orchard, count.block, label, func.sum(number))
    return totals.group_by(count.orchard, count.block, label).order_by(label)


def _estimates() -> Select[Any]:
    estimate = _one_a_key("estimate")
    return select(estimate).order_by(estimate.body["day"].as_string(), estimate.received_at)


def _one_a_key(kind: str) -> type[Record]:
    """Of all records about one thing the one made last, the latest received among equals.

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
    ranked = select(Record, place).where(Record.type == kind).subquery()
    return aliased(Record, select(ranked).where(ranked.c.place == 1).subquery())
