"""Disks that are full for a while: small file systems of our own, filled to a few pages and emptied again."""

from __future__ import annotations

import errno
import os
import random
import subprocess
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from tests.system.faults.world import IMPORT, SERVER, UPLINK, World

_PAGE = 4096
_MOST_PAGES_LEFT = 40
_LONGEST_S = 0.8


class SmallDisk:
    """A file system in memory.

    Args:
        folder: where it is mounted; made where missing.
        megabytes: its size.
    """

    def __init__(self, folder: Path, megabytes: int) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._folder = folder
        self._filler = folder / "filler"
        subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={megabytes}m", "tmpfs", folder], check=True)

    def fill(self, pages_left: int) -> None:
        """Leave so many pages free."""
        with self._filler.open("ab", buffering=0) as file:
            try:
                while file.write(bytes(256 * _PAGE)) == 256 * _PAGE:
                    pass
            except OSError as error:
                if error.errno != errno.ENOSPC:
                    raise
            file.truncate(max(0, os.fstat(file.fileno()).st_size - pages_left * _PAGE))

    def free(self) -> None:
        """Give all space back."""
        self._filler.unlink(missing_ok=True)

    def close(self) -> None:
        """Unmount it; what still uses it keeps it."""
        subprocess.run(["umount", "--lazy", self._folder], check=True)


@dataclass
class FullDisks:
    """Fills one disk or several, in the middle of work, at times kills what works on it, and gives the space back.

    Attributes:
        disks: by name.
    """

    disks: Mapping[str, SmallDisk]
    kills: float = 0.3

    def strike(self, world: World, chance: random.Random) -> list[str]:
        """Fill, let the work run into it, perhaps kill and start again on the full disk."""
        done = []
        time.sleep(chance.uniform(0.0, 0.2))
        for name in chance.sample(list(self.disks), chance.randint(1, len(self.disks))):
            self.disks[name].fill(chance.choice((0, 0, chance.randint(0, _MOST_PAGES_LEFT))))
            done.append(f"filled {name}")
        time.sleep(chance.uniform(0.0, _LONGEST_S))
        if chance.random() < self.kills:
            name = chance.choice((IMPORT, UPLINK, SERVER))
            done += [f"killed {name}"] * world.kill(name)
            world.mend()
            world.work(0, chance)
            time.sleep(chance.uniform(0.0, _LONGEST_S))
        return done

    def mend(self) -> None:
        """There is space again."""
        for disk in self.disks.values():
            disk.free()


def may_end_for_want_of_space(name: str, code: int, said: str) -> bool:
    """A process may say that the disk is full and end; nothing else, and a server that was ready not even that."""
    return code == 1 and "free some" in said and not (name == SERVER and "ready" in said)
