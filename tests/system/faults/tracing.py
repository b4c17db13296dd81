"""What processes do to the files below a folder, call by call, as strace sees it."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

_CALLS = (
    "open,openat,creat,close,write,writev,pwrite64,pwritev,pwritev2,lseek,truncate,ftruncate,fallocate,copy_file_range,"
    "sendfile,splice,fsync,fdatasync,sync,syncfs,sync_file_range,msync,mmap,rename,renameat,renameat2,link,linkat,"
    "symlink,symlinkat,unlink,unlinkat,mkdir,mkdirat,rmdir,sendto,sendmsg"
)
_LINE = re.compile(r"(?P<pid>\d+) +(?P<at>\d+\.\d+) (?P<rest>.*)", re.DOTALL)
_CALL = re.compile(r"(?P<name>\w+)\((?P<arguments>.*)\) += (?P<result>-?\d+|0x[0-9a-f]+|\?).*", re.DOTALL)
_RESUMED = re.compile(r"<\.\.\. (?P<name>\w+) resumed>(?P<rest>.*)", re.DOTALL)
_UNFINISHED = " <unfinished ...>"
# a string, a file descriptor with its path, or a word
_ARGUMENT = re.compile(
    r' *(?:"(?P<text>[^"]*)"(?P<cut>\.\.\.)?'
    r"|(?P<fd>-?\d+|AT_FDCWD)<(?P<path>[^>]*)>(?:\(deleted\))?"
    r"|(?P<word>[^, ][^,]*))"
)
_HEX = re.compile(r"(?:\\x[0-9a-f]{2})+")


class TraceError(ValueError):
    """A process did to a file what is not understood here."""


@dataclass(frozen=True)
class Op:
    """One thing done.

    Attributes:
        at: when it began, seconds since 1970.
        kind: ``create``, ``write``, ``truncate``, ``sync``, ``mkdir``, ``rmdir``, ``unlink``, ``rename`` or ``sent``,
            which is something sent through a socket.
        path: the file or folder; empty for ``sent``.
        target: the new path, of ``rename``.
        offset: first byte, of ``write``; the new size, of ``truncate``.
        data: what was written.
        covers: of ``sync``, how many ops had been done when it began: those it makes last.
    """

    at: float
    kind: str
    path: str
    target: str = ""
    offset: int = 0
    data: bytes = b""
    covers: int = 0


def strace(log: Path, words: Sequence[object]) -> list[str]:
    """The command that runs words and what they start, and logs what they do to files."""
    options = ["-f", "-ttt", "-y", "-xx", "-s", "10000000", "-e", f"trace={_CALLS}", "-e", "signal=none"]
    return ["strace", *options, "--seccomp-bpf", "-o", str(log), "--", *map(str, words)]


def read_trace(log: Path, root: Path) -> list[Op]:
    """What was done to files below a folder, in order.

    Args:
        log: what strace has written.
        root: the folder.

    Raises:
        TraceError: something was done that the ops cannot tell.
    """
    reader = _Reader(str(root))
    for call in _calls(log):
        reader.take(call)
    return reader.ops


@dataclass(frozen=True)
class _Call:
    at: float
    name: str
    arguments: list[re.Match[str]]
    result: int
    began: int


def _calls(log: Path) -> Iterator[_Call]:
    """Completed calls that did not fail, in the order of their completion."""
    unfinished: dict[str, tuple[float, str, int]] = {}
    number = 0
    with log.open(encoding="ascii") as lines:
        for line in lines:
            match = _LINE.fullmatch(line.rstrip("\n"))
            if match is None:
                raise TraceError(f"strace wrote {line[:200]!r}")
            pid, at, rest = match["pid"], float(match["at"]), match["rest"]
            began = number
            if rest.endswith(_UNFINISHED):
                unfinished[pid] = (at, rest.removesuffix(_UNFINISHED), number)
                continue
            if (resumed := _RESUMED.fullmatch(rest)) is not None:
                at, before, began = unfinished.pop(pid)
                rest = before + resumed["rest"]
            call = _CALL.fullmatch(rest)
            if call is None or call["result"].startswith(("-", "?")):
                continue
            number += 1
            result = int(call["result"], 0)
            yield _Call(at, call["name"], list(_ARGUMENT.finditer(call["arguments"])), result, began)


def _decoded(text: str) -> bytes:
    parts = _HEX.sub(lambda run: bytes.fromhex(run[0].replace("\\x", "")).decode("latin-1"), text)
    return parts.encode("latin-1")


class _Reader:
    """Turns calls into ops.

    Args:
        root: the folder whose files matter.
    """

    def __init__(self, root: str) -> None:
        self.ops: list[Op] = []
        self._root = root
        self._counts = [0]  # ops after so many calls
        self._positions: dict[tuple[str, str], int] = {}  # by path and descriptor; -1 for one that appends

    def take(self, call: _Call) -> None:
        """Note what a call did."""
        handle = getattr(self, f"_{call.name}", None)
        if handle is not None:
            handle(call)
        elif any(self._is_ours(self._path(argument)) for argument in call.arguments):
            raise TraceError(f"{call.name} on {[argument[0][:200] for argument in call.arguments]} is not understood")
        self._counts.append(len(self.ops))

    def _is_ours(self, path: str) -> bool:
        return path == self._root or path.startswith(f"{self._root}/")

    @staticmethod
    def _path(argument: re.Match[str]) -> str:
        """The path of a descriptor or of a string; nothing where the file was deleted."""
        if argument[0].endswith("(deleted)"):
            return ""
        return _decoded(argument["path"] or argument["text"] or "").decode("utf-8", "surrogateescape")

    def _at(self, call: _Call, first: int = 0) -> str:
        """The path that a folder's descriptor and a string name together."""
        path = self._path(call.arguments[first + 1])
        return path if path.startswith("/") else f"{self._path(call.arguments[first])}/{path}"

    def _add(self, call: _Call, kind: str, path: str, **more: Any) -> None:
        if self._is_ours(path):
            self.ops.append(Op(call.at, kind, path, **more))

    def _openat(self, call: _Call) -> None:
        path, flags = self._at(call), call.arguments[2]["word"]
        self._positions[path, str(call.result)] = -1 if "O_APPEND" in flags else 0
        if "O_CREAT" in flags:
            self._add(call, "create", path)
        if "O_TRUNC" in flags:
            self._add(call, "truncate", path)

    def _close(self, call: _Call) -> None:
        pass

    def _lseek(self, call: _Call) -> None:
        key = (self._path(call.arguments[0]), call.arguments[0]["fd"])
        if self._positions.get(key, -1) >= 0:
            self._positions[key] = call.result

    def _write(self, call: _Call) -> None:
        path = self._path(call.arguments[0])
        if path.startswith("socket:"):
            self.ops.append(Op(call.at, "sent", ""))
        elif self._is_ours(path):
            key = (path, call.arguments[0]["fd"])
            offset = self._positions[key]
            self._add(call, "write", path, offset=offset, data=self._data(call))
            if offset >= 0:
                self._positions[key] += call.result

    def _sendto(self, call: _Call) -> None:
        self.ops.append(Op(call.at, "sent", ""))

    _sendmsg = _sendto

    def _pwrite64(self, call: _Call) -> None:
        offset = int(call.arguments[3]["word"])
        self._add(call, "write", self._path(call.arguments[0]), offset=offset, data=self._data(call))

    @staticmethod
    def _data(call: _Call) -> bytes:
        text = call.arguments[1]
        if text["text"] is None or text["cut"]:
            raise TraceError(f"{call.name} was logged without all that it wrote")
        return _decoded(text["text"])[: call.result]

    def _ftruncate(self, call: _Call) -> None:
        self._add(call, "truncate", self._path(call.arguments[0]), offset=int(call.arguments[1]["word"]))

    def _fsync(self, call: _Call) -> None:
        self._add(call, "sync", self._path(call.arguments[0]), covers=self._counts[call.began])

    _fdatasync = _fsync

    def _mmap(self, call: _Call) -> None:
        words = call.arguments[2]["word"] + call.arguments[3]["word"]
        path = self._path(call.arguments[4])
        # the index of SQLite's log is made anew after a crash, and nothing in it counts
        if "PROT_WRITE" in words and "MAP_SHARED" in words and self._is_ours(path) and not path.endswith("-shm"):
            raise TraceError(f"{path} is written through memory, which is not logged")

    def _rename(self, call: _Call) -> None:
        self._add(call, "rename", self._path(call.arguments[0]), target=self._path(call.arguments[1]))

    def _renameat(self, call: _Call) -> None:
        self._add(call, "rename", self._at(call), target=self._at(call, 2))

    _renameat2 = _renameat

    def _unlink(self, call: _Call) -> None:
        self._add(call, "unlink", self._path(call.arguments[0]))

    def _unlinkat(self, call: _Call) -> None:
        kind = "rmdir" if "AT_REMOVEDIR" in call.arguments[2]["word"] else "unlink"
        self._add(call, kind, self._at(call))

    def _rmdir(self, call: _Call) -> None:
        self._add(call, "rmdir", self._path(call.arguments[0]))

    def _mkdir(self, call: _Call) -> None:
        self._add(call, "mkdir", self._path(call.arguments[0]))

    def _mkdirat(self, call: _Call) -> None:
        self._add(call, "mkdir", self._at(call))
