"""A disk that loses its power: what is on it afterwards of all that was done, as far as nobody was promised more.

What was synced is there. Of the rest, anything: a write or not, or some of its sectors; later ones without earlier
ones; a file longer than what was written into it, with zeros; a name without its file's content, a content without its
name. Only a sector of 512 bytes and a rename are whole or not at all.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path

from tests.system.faults.tracing import Op

_SECTOR = 512
# the index of SQLite's log: processes write it through memory, so that no trace tells what is in it
_INDEX = "-shm"


@dataclass(eq=False)
class _File:
    """A file: what is on the disk for sure, how long processes see it, and what was done since."""

    lasting: bytearray = field(default_factory=bytearray)
    size: int = 0
    pending: list[tuple[int, Op]] = field(default_factory=list)


@dataclass(eq=False)
class _Folder:
    """A folder: the names on the disk for sure, those that processes see, and the changes between."""

    lasting: dict[str, _Node] = field(default_factory=dict)
    now: dict[str, _Node] = field(default_factory=dict)
    pending: list[_Change] = field(default_factory=list)


@dataclass(frozen=True, eq=False)
class _Change:
    """A name that a node lost, or got, or both at once."""

    number: int
    node: _Node
    lost: tuple[_Folder, str] | None
    got: tuple[_Folder, str] | None

    def make(self, names: Callable[[_Folder], dict[str, _Node]]) -> None:
        """Change the names of the folders."""
        if self.lost is not None and names(self.lost[0]).get(self.lost[1]) is self.node:
            del names(self.lost[0])[self.lost[1]]
        if self.got is not None:
            names(self.got[0])[self.got[1]] = self.node


_Node = _File | _Folder
_Manner = Callable[[random.Random, int], list[float]]


class Disk:
    """What a trace did to a folder, up to some op; an empty folder at first, and on the disk itself.

    Args:
        root: the folder as the trace names it.
    """

    def __init__(self, root: Path) -> None:
        self._root = root
        self._top = _Folder()
        self._folders = [self._top]
        self._number = 0

    def apply(self, op: Op) -> None:
        """Do one thing more."""
        getattr(self, f"_{op.kind}")(op)
        self._number += 1

    def cut(self, chance: random.Random, into: Path) -> str:
        """Cut the power and write what is then on the disk, one of many possibilities, into a new folder.

        Returns:
            In which manner things were kept, in words.
        """
        names_manner, data_manner = chance.choice(_MANNERS), chance.choice(_MANNERS)
        kept = [change for folder in self._folders for change in _some(folder.pending, names_manner, chance)]
        names = {folder: dict(folder.lasting) for folder in self._folders}
        for change in sorted(kept, key=lambda change: change.number):
            change.make(names.__getitem__)
        for path, node in _walk(names, self._top, into):
            if isinstance(node, _Folder):
                path.mkdir()
            elif path.name.endswith(_INDEX):
                if chance.random() < 0.7:
                    path.write_bytes(chance.choice((bytes(node.size), chance.randbytes(node.size))))
            else:
                path.write_bytes(_content(node, data_manner, chance))
        return f"names: {names_manner.__name__.strip('_')}, data: {data_manner.__name__.strip('_')}"

    def _find(self, path: str) -> _Node:
        node: _Node = self._top
        for part in Path(path).relative_to(self._root).parts:
            assert isinstance(node, _Folder)
            node = node.now[part]
        return node

    def _place(self, path: str) -> tuple[_Folder, str]:
        folder = self._find(str(Path(path).parent))
        assert isinstance(folder, _Folder)
        return folder, Path(path).name

    def _change(self, node: _Node, lost: tuple[_Folder, str] | None, got: tuple[_Folder, str] | None) -> None:
        change = _Change(self._number, node, lost, got)
        change.make(lambda folder: folder.now)
        # a rename lasts when the folder that it leads into is synced
        owner = got or lost
        assert owner is not None
        owner[0].pending.append(change)

    def _create(self, op: Op) -> None:
        folder, name = self._place(op.path)
        if name not in folder.now:
            self._change(_File(), None, (folder, name))

    def _mkdir(self, op: Op) -> None:
        made = _Folder()
        self._folders.append(made)
        self._change(made, None, self._place(op.path))

    def _unlink(self, op: Op) -> None:
        folder, name = self._place(op.path)
        self._change(folder.now[name], (folder, name), None)

    _rmdir = _unlink

    def _rename(self, op: Op) -> None:
        folder, name = self._place(op.path)
        self._change(folder.now[name], (folder, name), self._place(op.target))

    def _write(self, op: Op) -> None:
        file = self._find(op.path)
        assert isinstance(file, _File)
        if op.offset < 0:
            op = replace(op, offset=file.size)
        file.size = max(file.size, op.offset + len(op.data))
        file.pending.append((self._number, op))

    def _truncate(self, op: Op) -> None:
        file = self._find(op.path)
        assert isinstance(file, _File)
        file.size = op.offset
        file.pending.append((self._number, op))

    def _sync(self, op: Op) -> None:
        node = self._find(op.path)
        if isinstance(node, _File):
            for number, done in node.pending:
                if number < op.covers:
                    _redo(node.lasting, done)
            node.pending = [(number, done) for number, done in node.pending if number >= op.covers]
            return
        for change in node.pending:
            if change.number < op.covers:
                self._make_last(change)
        node.pending = [change for change in node.pending if change.number >= op.covers]

    @staticmethod
    def _make_last(change: _Change) -> None:
        change.make(lambda folder: folder.lasting)
        if change.lost is not None and change.got is not None and change.lost[0] is not change.got[0]:
            folder, name = change.lost
            # what gave the node its former name is past, too
            folder.pending = [
                other
                for other in folder.pending
                if other.got != (folder, name) or other.node is not change.node or other.number > change.number
            ]

    def _sent(self, op: Op) -> None:
        """Nothing on the disk."""


def _nothing(_chance: random.Random, number: int) -> list[float]:
    return [0.0] * number


def _everything(_chance: random.Random, number: int) -> list[float]:
    return [1.0] * number


def _in_order(chance: random.Random, number: int) -> list[float]:
    """The first few, and the one after them in part."""
    whole = chance.randrange(number + 1)
    return ([1.0] * whole + [0.5] + [0.0] * number)[:number]


def _out_of_order(chance: random.Random, number: int) -> list[float]:
    return [float(chance.random() < 0.5) for _ in range(number)]


def _torn(chance: random.Random, number: int) -> list[float]:
    return [chance.choice((0.0, 0.3, 0.7, 1.0)) for _ in range(number)]


_MANNERS: tuple[_Manner, ...] = (_nothing, _everything, _in_order, _out_of_order, _torn)


def _some(changes: list[_Change], manner: _Manner, chance: random.Random) -> Iterator[_Change]:
    for change, share in zip(changes, manner(chance, len(changes)), strict=True):
        if chance.random() < share:
            yield change


def _walk(names: dict[_Folder, dict[str, _Node]], node: _Node, path: Path) -> Iterator[tuple[Path, _Node]]:
    """What can be reached by its name, folders before what is in them."""
    yield path, node
    if isinstance(node, _Folder):
        for name, inner in names[node].items():
            yield from _walk(names, inner, path / name)


def _content(file: _File, manner: _Manner, chance: random.Random) -> bytes:
    """What a file may hold."""
    shares = manner(chance, len(file.pending))
    kept = {number for (number, _), share in zip(file.pending, shares, strict=True) if chance.random() < share}
    # a sector is written as it was in memory at some moment, so with all that had been written into it until then
    until = {
        sector: number
        for (number, op), share in zip(file.pending, shares, strict=True)
        for sector in _sectors(op)
        if chance.random() < share
    }
    content = bytearray(file.lasting)
    for number, op in file.pending:
        if op.kind == "truncate" and number in kept:
            _redo(content, op)
        for sector in _sectors(op):
            if number <= until.get(sector, -1):
                _redo(content, _part(op, sector))
    if len(content) < file.size and chance.random() < 0.2:
        content.extend(bytes(file.size - len(content)))  # the length was noted before the data were written
    return bytes(content)


def _sectors(op: Op) -> range:
    """Numbers of the sectors that a write touches."""
    return range(op.offset // _SECTOR, -(-(op.offset + len(op.data)) // _SECTOR)) if op.data else range(0)


def _part(op: Op, sector: int) -> Op:
    """A write, as far as it goes into one sector."""
    start, end = max(op.offset, sector * _SECTOR), min(op.offset + len(op.data), (sector + 1) * _SECTOR)
    return replace(op, offset=start, data=op.data[start - op.offset : end - op.offset])


def _redo(content: bytearray, op: Op) -> None:
    """Do a write or a change of length to the content of a file."""
    if op.kind == "truncate":
        del content[op.offset :]
        content.extend(bytes(op.offset - len(content)))
        return
    content.extend(bytes(max(0, op.offset - len(content))))
    content[op.offset : op.offset + len(op.data)] = op.data
