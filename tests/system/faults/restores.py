"""A server that is put back to an earlier backup of its database, again and again."""

from __future__ import annotations

import random
import sqlite3
import time
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path

from tests.system.faults.world import SERVER, World

_LEFTOVERS = ("-wal", "-shm")


@dataclass
class Restores:
    """Backs the server's database up at times, and at times kills the server and puts a backup in its place.

    Attributes:
        database: the file.
        backups: where backups go.
    """

    database: Path
    backups: Path
    _taken: list[Path] = field(default_factory=list)

    def strike(self, world: World, chance: random.Random) -> list[str]:
        """One of both, in the middle of work."""
        time.sleep(chance.uniform(0.0, 0.6))
        if not self._taken or chance.random() < 0.4:
            return self._back_up()
        world.kill(SERVER)
        for suffix in _LEFTOVERS:
            self.database.with_name(self.database.name + suffix).unlink(missing_ok=True)
        self.database.write_bytes(chance.choice(self._taken[-3:]).read_bytes())
        world.mend()
        return ["restored the server"]

    def _back_up(self) -> list[str]:
        backup = self.backups / f"{len(self._taken)}.sqlite"
        if not self.database.exists():
            return []
        with closing(sqlite3.connect(self.database)) as live, closing(sqlite3.connect(backup)) as copy:
            live.backup(copy)
        self._taken.append(backup)
        return ["backed the server up"]

    def mend(self) -> None:
        """The device finds what is missing."""
