"""The moment at which a process is killed: as it calls a function of ours or a library's, or the kernel."""

from __future__ import annotations

import importlib
import os
import signal
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import count
from typing import Any


@dataclass(frozen=True)
class AtCall:
    """A call of a function.

    Attributes:
        where: the function, as ``module:Class.name``.
        nth: at which call of it.
        after: when it has returned, rather than before it begins.
    """

    where: str
    nth: int = 1
    after: bool = False


@dataclass(frozen=True)
class AtSystemCall:
    """A system call on a file, which is not done any more.

    Attributes:
        call: its name.
        file: name of the file in the store.
        nth: at which call of it.
    """

    call: str
    file: str
    nth: int = 1


Moment = AtCall | AtSystemCall


def die_at(moment: AtCall) -> None:
    """Have this process killed at that moment; nothing of it is done in the product's own code."""
    module, _, path = moment.where.partition(":")
    owner: Any = importlib.import_module(module)
    *outer, name = path.split(".")
    for part in outer:
        owner = getattr(owner, part)
    original, turns = getattr(owner, name), count(1)

    def dying(*arguments: Any, **named: Any) -> Any:
        is_it = next(turns) == moment.nth
        if is_it and not moment.after:
            os.kill(os.getpid(), signal.SIGKILL)
        result = original(*arguments, **named)
        if is_it:
            os.kill(os.getpid(), signal.SIGKILL)
        return result

    setattr(owner, name, dying)


def dying_command(moment: AtSystemCall, file: str, words: Sequence[str]) -> list[str]:
    """The command that runs words and has them killed at that moment, by strace.

    Args:
        moment: the moment.
        file: path of the moment's file.
        words: the command.
    """
    injected = f"inject={moment.call}:signal=KILL:when={moment.nth}"
    return ["strace", "-f", "-qq", "-o", os.devnull, "-P", file, "-e", f"trace={moment.call}", "-e", injected, *words]
