"""The server's side of a comparison: says what it holds of a store, what it misses, and what it is itself.

What to send again is decided by the device, which knows what it has been answered for; the server keeps nothing of a
comparison in mind, so that any of several ingest processes can answer any question.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterable
from importlib.metadata import PackageNotFoundError, version

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from cloud_sync import topics
from cloud_sync.digests import FAN_OUT, BlockDigest, DigestAnswer, DigestQuestion, folded
from cloud_sync.greeting import Greeting
from cloud_sync.messages import BODIES
from cloud_sync.server.database import Database, Record
from cloud_sync.server.gaps import Gaps
from cloud_sync.server.screening import Accepted, Asked, StateChange
from cloud_sync.server.storing import Screened

_log = logging.getLogger(__name__)

Say = Callable[[str, bytes], None]
"""Publishes a payload on a topic."""


class Reconciler:
    """Answers questions about what is held and asks for what is missing.

    Args:
        database: where records are.
        say: publishes to devices; what it does not pass on is asked for again.
    """

    def __init__(self, database: Database, say: Say) -> None:
        self._database = database
        self._say = say
        self._gaps = Gaps()
        self._greeting = _greeting().model_dump_json().encode()

    def greet(self, batch: Iterable[Screened]) -> None:
        """Greet the devices that have come, before they are answered.

        Args:
            batch: what was screened.
        """
        for item in batch:
            if isinstance(item, StateChange) and item.state.online:
                self._say(topics.greeting(item.device), self._greeting)

    def follow(self, batch: Iterable[Screened]) -> None:
        """Say what is to be said after a batch was stored.

        Args:
            batch: what was screened; only the last question of each device is answered.

        Raises:
            SQLAlchemyError: the database cannot be read.
        """
        questions: dict[str, DigestQuestion] = {}
        for item in batch:
            if isinstance(item, Asked):
                questions[item.device] = item.question
            elif isinstance(item, Accepted):
                envelope = item.envelope
                self._gaps.note(envelope.device, envelope.store, envelope.sequence, time.monotonic())
        if questions:
            with self._database.read() as session:
                for device, question in questions.items():
                    said = answer(session, device, question)
                    self._say(topics.digest(device), said.model_dump_json(exclude_defaults=True).encode())

    def ask_for_gaps(self) -> None:
        """Ask for what is still missing some time after a gap was seen.

        Raises:
            SQLAlchemyError: the database cannot be read.
        """
        seen = self._gaps.due(time.monotonic())
        if seen:
            with self._database.read() as session:
                for gap in seen:
                    missing = gap.missing(session)
                    if missing is not None:
                        _log.info("messages of %s are missing and asked for: %s", gap.device, missing.ranges)
                        self._say(topics.missing(gap.device), missing.model_dump_json().encode())


def answer(session: Session, device: str, question: DigestQuestion) -> DigestAnswer:
    """What is held of the blocks asked about.

    Args:
        session: a view of the database.
        device: the device that asks; it is told of its own messages only.
        question: its question.
    """
    summarise = _messages if question.width == FAN_OUT else _parts
    blocks = [summarise(session, device, question, block) for block in question.blocks]
    return DigestAnswer(store=question.store, width=question.width, blocks=blocks)


def _parts(session: Session, device: str, question: DigestQuestion, block: int) -> BlockDigest:
    low, part_width = block * question.width, question.width // FAN_OUT
    part = ((Record.sequence - low) // part_width).label("part")
    rows = session.execute(
        select(part, func.count(), func.sum(Record.digest))
        .where(Record.device == device, Record.store == question.store)
        .where(Record.sequence >= low, Record.sequence < low + question.width)
        .group_by(part)
    )
    held = {row[0]: (row[1], folded(int(row[2]))) for row in rows}
    return BlockDigest(block=block, parts=[held.get(number, (0, 0)) for number in range(FAN_OUT)])


def _messages(session: Session, device: str, question: DigestQuestion, block: int) -> BlockDigest:
    low = block * question.width
    rows = session.scalars(
        select(Record.digest)
        .where(Record.device == device, Record.store == question.store)
        .where(Record.sequence >= low, Record.sequence < low + question.width)
        .limit(1000)
    )
    return BlockDigest(block=block, messages=list(rows))


def _greeting() -> Greeting:
    try:
        own = version("pomona-orchard")
    except PackageNotFoundError:  # run from its folder, without having been installed
        own = "0"
    return Greeting(version=own, accepts={kind: body.VERSION for kind, body in BODIES.items()})
