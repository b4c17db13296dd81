"""Rounds of faults from a seed, each told apart, so that one that fails can be seen again."""

from __future__ import annotations

import random
import time
from collections import Counter as Tally
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Protocol

from tests.system.faults.world import DifferenceError, World


class Fault(Protocol):
    """Something that goes wrong."""

    def strike(self, world: World, chance: random.Random) -> list[str]:
        """Do it, at moments drawn at random, within about a second; returns what was done, in a word each."""

    def mend(self) -> None:
        """Undo what does not come right by itself."""


@dataclass(frozen=True)
class Plan:
    """How long a campaign is.

    Attributes:
        rounds: number of rounds.
        seed: what all its random choices follow from.
        check_every: rounds between comparisons of server and device.
    """

    rounds: int
    seed: int
    check_every: int = 100


@dataclass
class Report:
    """What a campaign did and found.

    Attributes:
        rounds: rounds that were run.
        records: records compared at the end.
        seconds: how long it took.
        done: how often each thing was done.
    """

    rounds: int = 0
    records: int = 0
    seconds: float = 0.0
    done: Tally[str] = field(default_factory=Tally)

    def __str__(self) -> str:
        did = ", ".join(f"{what} {number}" for what, number in sorted(self.done.items()))
        return f"{self.rounds} rounds in {self.seconds:.0f} s, {self.records} records the same. {did}"


def run(world: World, fault: Fault, plan: Plan, say: Callable[[str], object]) -> Report:
    """Let the world work under a fault.

    Args:
        world: the processes and their work, which is spread over the rounds.
        fault: what is done to them.
        plan: how often, and from which seed.
        say: told the seed first and each comparison.

    Raises:
        DifferenceError: server and device differ; the text says in which rounds it happened.
    """
    say(f"seed {plan.seed}")
    report, begun = Report(), time.monotonic()
    photos, checked = 2 * world.card.trees, 0
    try:
        for number in range(1, plan.rounds + 1):
            chance = random.Random(f"{plan.seed}/{number}")
            world.mend()
            world.work(photos * number // plan.rounds - photos * (number - 1) // plan.rounds, chance)
            report.done.update(fault.strike(world, chance))
            fault.mend()
            report.rounds = number
            if number % plan.check_every == 0 or number == plan.rounds:
                report.records = world.settle()
                checked = number
                say(f"round {number}: {report.records} records the same at server and device")
    except DifferenceError as error:
        raise DifferenceError(f"seed {plan.seed}, rounds {checked + 1} to {report.rounds + 1}: {error}") from error
    report.seconds = time.monotonic() - begun
    report.done.update({f"{name} ended {code}": number for (name, code), number in world.ended.items()})
    return report
