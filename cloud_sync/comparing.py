"""The device's side of a comparison: asks the server what it holds and puts back into the outbox what it has lost.

A round begins with one block that holds all numbers of the store, and goes on with those parts of it that differ from
what was answered `stored`, until single messages are known to be missing. It costs a few hundred bytes where both ends
agree, however much they hold. What the server holds beyond that is of no interest here.

Times are seconds of a monotonic clock, given by the caller.
"""

from __future__ import annotations

import logging
import random
from collections import deque
from dataclasses import dataclass, replace

from pydantic import ValidationError

from cloud_sync.digests import FAN_OUT, MOST_BLOCKS, BlockDigest, DigestAnswer, DigestQuestion, Missing
from cloud_sync.sent import SentLog

_log = logging.getLogger(__name__)

# Put back in one transaction, so that nobody who records has to wait for long.
_MOST_AT_ONCE = 500
# As long as messages are under way the two ends differ anyway; but some device is never done.
_MOST_WAIT_FOR_QUIET_S = 600.0
# A question without an answer is asked so often, each time with twice the patience.
_MOST_TIMES_ASKED = 3


@dataclass(frozen=True)
class _Question:
    width: int
    blocks: list[int]
    asked_at: float
    times_asked: int = 1


class Comparison:
    """Rounds of questions over one store, one question at a time.

    Args:
        store: id of the store.
        sent: what the server has stored.
        every_s: about so long after a round the next one begins.
        spread_s: devices that were connected when the server came back ask within so long, not all at the same moment.
        patience_s: how long an answer may take before the question is asked again: an ingest process that was killed
            takes with it what the broker had given it.
    """

    def __init__(
        self, store: str, sent: SentLog, every_s: float, spread_s: float = 30.0, patience_s: float = 10.0
    ) -> None:
        self._store = store
        self._sent = sent
        self._every_s = every_s
        self._spread_s = spread_s
        self._patience_s = patience_s
        self._due_at: float | None = None  # None before the server has greeted: an older one could not answer
        self._asked: _Question | None = None
        self._open: list[tuple[int, int]] = []  # width and number of the blocks to ask about
        self._missing: deque[tuple[int, int]] = deque()  # ranges to put back, without their ends
        self._is_running = False
        self._lost = 0

    def is_over(self, now: float) -> bool:
        """Whether no round is due or under way."""
        return not self._is_running and not self._missing and (self._due_at is None or now < self._due_at)

    @property
    def is_busy(self) -> bool:
        """Whether :meth:`step` has more to do at once."""
        return bool(self._missing)

    def attach(self) -> None:
        """Begin with a new connection; questions asked on an earlier one are not waited for."""
        self._due_at = None
        self._give_up()

    def greeted(self, now: float, *, at_once: bool) -> None:
        """The server has come, or we have come to it: what it holds may not be what it held.

        Args:
            now: the time.
            at_once: compare now; otherwise some time soon.
        """
        self._sent.overtaken.clear()
        self._due_at = now if at_once else now + random.uniform(0, self._spread_s)

    def take_missing(self, payload: bytes) -> None:
        """The server misses numbers; what was stored of them is sent again."""
        try:
            missing = Missing.model_validate_json(payload)
        except ValidationError:
            _log.warning("a list of missing messages from the server cannot be read and is ignored")
            return
        if missing.store == self._store and len(self._missing) < 1000:
            self._missing.extend((low, high + 1) for low, high in missing.ranges)

    def take_answer(self, payload: bytes) -> None:
        """Compare what the server holds with what it has stored.

        Raises:
            sqlite3.OperationalError: the store cannot be read.
        """
        try:
            answer = DigestAnswer.model_validate_json(payload)
        except ValidationError:
            _log.warning("a digest of %d bytes from the server cannot be read and is ignored", len(payload))
            return
        question, self._asked = self._asked, None
        blocks = [block.block for block in answer.blocks]
        if question is None or (answer.store, answer.width, blocks) != (self._store, question.width, question.blocks):
            self._asked = question  # the answer to a question of an earlier connection
            return
        for block in answer.blocks:
            self._compare(question.width, block)

    def step(self, now: float, *, quiet: bool) -> DigestQuestion | None:
        """Do what is to be done next.

        Args:
            now: the time.
            quiet: whether no message is without an answer.

        Returns:
            A question to be sent.

        Raises:
            sqlite3.OperationalError: the store cannot be read or written.
        """
        self._put_back()
        asked = self._asked
        if asked is not None and now - asked.asked_at > self._patience_s * 2 ** (asked.times_asked - 1):
            if asked.times_asked < _MOST_TIMES_ASKED:
                return self._ask_again(asked, now)
            self._give_up()
        if self._is_running and self._asked is None and not self._open and not self._missing:
            self._is_running = False
            self._due_at = now + self._every_s * random.uniform(0.8, 1.2)
        if not self._is_running and self._is_due(now, quiet=quiet):
            self._begin()
        return self._ask(now) if self._asked is None and self._open else None

    def _is_due(self, now: float, *, quiet: bool) -> bool:
        if self._due_at is None or now < self._due_at:
            return False
        return quiet or now - self._due_at > _MOST_WAIT_FOR_QUIET_S

    def _begin(self) -> None:
        self._is_running = True
        highest = self._sent.highest()
        width = FAN_OUT
        while width <= highest:
            width *= FAN_OUT
        self._open = [(width, 0)] if highest else []

    def _give_up(self) -> None:
        self._asked = None
        self._open.clear()

    def _ask(self, now: float) -> DigestQuestion:
        width = self._open[-1][0]
        blocks: list[int] = []
        while self._open and self._open[-1][0] == width and len(blocks) < MOST_BLOCKS:
            blocks.append(self._open.pop()[1])
        self._asked = _Question(width, blocks, now)
        return DigestQuestion(store=self._store, width=width, blocks=blocks)

    def _ask_again(self, asked: _Question, now: float) -> DigestQuestion:
        self._asked = replace(asked, asked_at=now, times_asked=asked.times_asked + 1)
        return DigestQuestion(store=self._store, width=asked.width, blocks=asked.blocks)

    def _compare(self, width: int, said: BlockDigest) -> None:
        low = said.block * width
        if width == FAN_OUT:
            lacking = self._sent.lacking(low, low + width, set(said.messages))
            self._missing.extend((sequence, sequence + 1) for sequence in lacking)
            return
        part_width = width // FAN_OUT
        theirs = dict(enumerate(said.parts))
        for part, ours in self._sent.digests(low, low + width, part_width).items():
            count, total = theirs.get(part, (0, 0))
            if count == 0:
                self._missing.append((low + part * part_width, low + (part + 1) * part_width))
            elif (count, total) != ours:
                self._open.append((part_width, low // part_width + part))

    def _put_back(self) -> None:
        numbers: list[int] = []
        while self._missing and len(numbers) < _MOST_AT_ONCE:
            low, high = self._missing.popleft()
            room = _MOST_AT_ONCE - len(numbers)
            found = self._sent.numbers(low, high, room)
            numbers += found
            if len(found) == room:
                self._missing.appendleft((found[-1] + 1, high))
        if numbers:
            self._lost += self._sent.queue_again(numbers)
        if self._lost and not self._missing and not self._open and self._asked is None:
            _log.warning(
                "the server no longer has %d records it had stored, and is sent them again; was it restored from a "
                "backup?",
                self._lost,
            )
            self._lost = 0
