"""A unit's system call filter on a process that systemd did not start.

As a program it loads a filter and becomes a command: ``system_call_filter.py FILTER COMMAND...``.
"""

from __future__ import annotations

import ctypes
import errno
import json
import os
import subprocess
import sys
from dataclasses import asdict, dataclass

LIBRARY = "libseccomp.so.2"
_KILL_PROCESS = 0x80000000
_FAIL = 0x00050000  # with the error number in the lower half
_ALLOW = 0x7FFF0000
# a protection that refuses calls beside the filter, and those calls; of systemd.exec(5) the one that matters here
_PROTECTIONS = {"ProtectClock=yes": "@clock"}


@dataclass(frozen=True)
class SystemCallFilter:
    """What a service may call.

    Attributes:
        allowed: names of system calls.
        error: the error number other calls fail with; None kills the process.
    """

    allowed: tuple[str, ...]
    error: int | None

    def command(self, *words: object) -> list[str]:
        """The command that runs these words under the filter."""
        return [sys.executable, __file__, json.dumps(asdict(self)), *map(str, words)]


def read_filter(unit: str) -> SystemCallFilter:
    """The filter in the text of a unit, with every group spelled out as the systemd of this machine has it."""
    lines = unit.splitlines()
    allowed = _members("@default")  # an allow list always has these
    error: int | None = None
    for line in lines:
        name, _, value = line.partition("=")
        if name == "SystemCallFilter":
            named = set[str]().union(*map(_members, value.lstrip("~").split()))
            allowed = allowed - named if value.startswith("~") else allowed | named
        elif name == "SystemCallErrorNumber":
            error = getattr(errno, value)
    for protection, group in _PROTECTIONS.items():
        if protection in lines:
            allowed -= _members(group)
    return SystemCallFilter(tuple(sorted(allowed)), error)


def _members(word: str) -> set[str]:
    if not word.startswith("@"):
        return {word}
    done = subprocess.run(["systemd-analyze", "syscall-filter", word], capture_output=True, text=True, check=True)
    names = [line.strip() for line in done.stdout.splitlines()[1:]]
    return set[str]().union(*(_members(name) for name in names if name and not name.startswith("#")))


def load(wanted: SystemCallFilter) -> None:
    """Put this process and those it starts under the filter, for good.

    Raises:
        OSError: libseccomp is not there, or it or the kernel refuses.
    """
    library = ctypes.CDLL(LIBRARY)
    library.seccomp_init.restype = ctypes.c_void_p
    otherwise = _KILL_PROCESS if wanted.error is None else _FAIL | wanted.error
    context = ctypes.c_void_p(library.seccomp_init(ctypes.c_uint32(otherwise)))
    for name in wanted.allowed:
        number = library.seccomp_syscall_resolve_name(name.encode())
        if number >= 0:  # below: a call of other processors
            _check(library.seccomp_rule_add(context, ctypes.c_uint32(_ALLOW), number, ctypes.c_uint(0)))
    _check(library.seccomp_load(context))


def _check(result: int) -> None:
    if result < 0:
        raise OSError(-result, os.strerror(-result))


def main() -> None:
    """Load the filter, become the command."""
    wanted = json.loads(sys.argv[1])
    load(SystemCallFilter(tuple(wanted["allowed"]), wanted["error"]))
    os.execvp(sys.argv[2], sys.argv[2:])


if __name__ == "__main__":
    main()
