"""Power cuts at random moments of a trace, and what the real code finds on the disk afterwards."""

from __future__ import annotations

import random
import shutil
import time
from collections import Counter as Tally
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from tests.system.faults.power import Disk
from tests.system.faults.tracing import Op, read_trace

Check = Callable[[Path, int], list[str]]
"""What is wrong with a folder as it is after a cut, when so many ops had been done."""


class LostError(AssertionError):
    """Something that was acknowledged is not there after a power cut, or the database does not open."""


@dataclass
class CutReport:
    """What came of it.

    Attributes:
        cuts: how often the power was cut.
        ops: how many ops the trace has.
        seconds: how long it took.
        manners: how often what was kept in which manner.
    """

    cuts: int = 0
    ops: int = 0
    seconds: float = 0.0
    manners: Tally[str] = field(default_factory=Tally)

    def __str__(self) -> str:
        return f"{self.cuts} power cuts in a trace of {self.ops} ops, nothing lost, in {self.seconds:.0f} s"


def cut_power(root: Path, ops: Sequence[Op], check: Check, cuts: int, seed: int, scratch: Path) -> CutReport:
    """Cut the power of one disk many times, each time in another future.

    Args:
        root: the folder as the trace names it.
        ops: what was done to it.
        check: opens what is left.
        cuts: how often.
        seed: what all random choices follow from.
        scratch: an empty folder to work in.

    Raises:
        LostError: the check found something; the text says at which op, and the folder is left as it was found.
    """
    begun, report = time.monotonic(), CutReport(ops=len(ops))
    chance = random.Random(seed)
    moments = sorted(chance.randrange(1, len(ops) + 1) for _ in range(cuts))
    disk, done = Disk(root), 0
    for number, moment in enumerate(moments):
        while done < moment:
            disk.apply(ops[done])
            done += 1
        folder = scratch / f"cut-{number}"
        manner = disk.cut(random.Random(f"{seed}/{number}"), folder)
        kept_as_found = scratch / "as-found"
        shutil.rmtree(kept_as_found, ignore_errors=True)
        shutil.copytree(folder, kept_as_found)
        if found := check(folder, moment):
            told = "\n  ".join(found[:20])
            raise LostError(f"seed {seed}, cut {number} after op {moment} ({manner}), see {kept_as_found}:\n  {told}")
        shutil.rmtree(folder)
        report.cuts += 1
        report.manners[manner] += 1
    report.seconds = time.monotonic() - begun
    return report


def cut_traced_power(
    folder: Path, root: Path, checked: Callable[[Sequence[Op]], Check], cuts: int, seed: int
) -> CutReport:
    """Cut the power of the disk that a trace tells of, as :func:`cut_power` does.

    Args:
        folder: holds the ``trace``; a folder to work in is made in it.
        root: the folder that was traced.
        checked: makes the check for the ops of the trace.
        cuts: how often.
        seed: what all random choices follow from.

    Raises:
        LostError: the check found something.
    """
    ops = read_trace(folder / "trace", root)
    scratch = folder / "scratch"
    scratch.mkdir()
    return cut_power(root, ops, checked(ops), cuts, seed, scratch)


def last_sending(ops: Sequence[Op], came: float) -> int:
    """After how many ops an answer was sent at the latest that came at a time: with the last sending begun by then."""
    return max(number for number, op in enumerate(ops, start=1) if op.kind == "sent" and op.at <= came)
