"""SIGKILL at random moments."""

from __future__ import annotations

import random
import time
from collections.abc import Sequence
from dataclasses import dataclass

from tests.system.faults.world import BROKER, BY_HAND, DATABASE, IMPORT, SERVER, SHARE, UPLINK, World

EVERYTHING = (IMPORT, BY_HAND, UPLINK, SERVER, BROKER)
WITH_POSTGRESQL = (*EVERYTHING, SHARE, DATABASE)


@dataclass(frozen=True)
class Kills:
    """Kills some of the processes, each at a moment of its own; they are started again in this round or the next.

    Attributes:
        victims: which of them.
        within_s: seconds in which it happens.
    """

    victims: Sequence[str] = EVERYTHING
    within_s: float = 0.6

    def strike(self, world: World, chance: random.Random) -> list[str]:
        """Kill one at least, mostly not many, so that some are killed that have run for long."""
        number = min(chance.choice((1, 1, 1, 2, 2, 3, len(WITH_POSTGRESQL))), len(self.victims))
        chosen = chance.sample(self.victims, number)
        moments = sorted((chance.uniform(0, self.within_s), name, chance.random() < 0.5) for name in chosen)
        begun = time.monotonic()
        killed = []
        for moment, name, at_once_again in moments:
            time.sleep(max(0.0, begun + moment - time.monotonic()))
            if world.kill(name):
                killed.append(f"killed {name}")
            if at_once_again:
                world.mend()
        return killed

    def mend(self) -> None:
        """The next round starts what is missing."""


def may_end_without_database(name: str, code: int, said: str) -> bool:
    """A server that starts may end where its database, or one of its processes, was killed before it was ready."""
    return name == SERVER and code == 1 and ("before it was ready" in said or "database postgresql" in said)
