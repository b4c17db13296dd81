"""A state in which a process is killed, and the files and calls that name its moment."""

from __future__ import annotations

from dataclasses import dataclass, field

from tests.system.faults.moments import Moment

STORE = "store"
STORE_LOG, SERVER_LOG = "store.sqlite-wal", "pomona.sqlite-wal"


@dataclass(frozen=True)
class State:
    """A state of a process that is killed in it.

    Attributes:
        stage: what the process is about.
        name: the state, in words.
        there: what is there afterwards, in words.
        process: who is killed.
        moment: when.
        left: how much more there is afterwards than before: recorded ``photos``, whole ``files``, ``partial`` files,
            messages that ``wait``, records at the ``server``; what may differ is left out.
        watching: the folder watcher is killed rather than an import.
        refused: the server does not know the version of what it gets.
        abandoned: a copy that was never finished lies there from long ago.
    """

    stage: str
    name: str
    there: str
    process: str
    moment: Moment
    left: dict[str, int] = field(default_factory=dict)
    watching: bool = False
    refused: bool = False
    abandoned: bool = False

    @property
    def row(self) -> str:
        """The state as a row of the table in the documentation."""
        return f"| {self.stage} | {self.name} | {self.there} |"
