"""What a device knows about its own clock."""

from __future__ import annotations

import ctypes
import os
import time
from datetime import datetime, timezone
from functools import cache
from pathlib import Path

_TIME_ERROR = 5  # adjtimex: the clock is not synchronised


class _Timex(ctypes.Structure):
    """The beginning of struct timex; all of it is 208 bytes on 64-bit and 128 on 32-bit Linux."""

    _fields_ = (
        ("modes", ctypes.c_uint),  # 0: only read
        ("offset", ctypes.c_long),
        ("freq", ctypes.c_long),
        ("maxerror", ctypes.c_long),  # microseconds
        ("rest", ctypes.c_char * 256),
    )


def now() -> datetime:
    """The wall clock, in UTC."""
    return datetime.now(timezone.utc)


def now_text() -> str:
    """The wall clock to the second, as records spell it: ``2026-05-01T12:00:00Z``."""
    return now().replace(microsecond=0).isoformat().replace("+00:00", "Z")


def is_synchronised() -> bool:
    """Whether the kernel was told, by NTP or the like, that its clock is right.

    False also where the kernel cannot be asked: a clock nobody vouches for is not synchronised.
    """
    try:
        return kernel_state() < _TIME_ERROR
    except (OSError, AttributeError):
        return False


def error_s() -> float | None:
    """By how many seconds the clock is wrong at most, in the kernel's view; None where nobody vouches for it."""
    return _adjtimex()[1] / 1e6 if is_synchronised() else None


def kernel_state() -> int:
    """What the kernel says of its clock, as adjtimex(2) numbers it.

    Raises:
        OSError: it may not be asked; a sandbox can forbid the call.
        AttributeError: this is no Linux.
    """
    return _adjtimex()[0]


def _adjtimex() -> tuple[int, int]:
    """The state of the clock, and its largest error in microseconds."""
    libc = ctypes.CDLL(None, use_errno=True)
    timex = _Timex()
    state = int(libc.adjtimex(ctypes.byref(timex)))
    if state < 0:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
    return state, max(0, timex.maxerror)


def uptime_s() -> int:
    """Whole seconds since the machine was started; goes on while it sleeps, whatever is done to the wall clock."""
    return int(time.clock_gettime(time.CLOCK_BOOTTIME))


@cache
def boot_id() -> str:
    """Id the kernel made at this boot; tells records apart that were made before and after a clock jump."""
    try:
        return Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
    except OSError:
        return "unknown"
