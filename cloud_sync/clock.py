"""What a device knows about its own clock."""

from __future__ import annotations

import ctypes
import os
import time
from datetime import datetime, timezone
from functools import cache
from pathlib import Path

_TIME_ERROR = 5  # adjtimex: the clock is not synchronised


def now() -> datetime:
    """The wall clock, in UTC."""
    return datetime.now(timezone.utc)


def is_synchronised() -> bool:
    """Whether the kernel was told, by NTP or the like, that its clock is right.

    False also where the kernel cannot be asked: a clock nobody vouches for is not synchronised.
    """
    try:
        return kernel_state() < _TIME_ERROR
    except (OSError, AttributeError):
        return False


def kernel_state() -> int:
    """What the kernel says of its clock, as adjtimex(2) numbers it.

    Raises:
        OSError: it may not be asked; a sandbox can forbid the call.
        AttributeError: this is no Linux.
    """
    libc = ctypes.CDLL(None, use_errno=True)
    # struct timex is 208 bytes on 64-bit and 128 on 32-bit Linux; zeroed it only reads
    state = int(libc.adjtimex(ctypes.create_string_buffer(256)))
    if state < 0:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
    return state


def uptime_s() -> float:
    """Seconds since the machine was started, sleep included; no clock that is set can change it."""
    return time.clock_gettime(getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC))


@cache
def boot_id() -> str:
    """Id the kernel made at this boot; tells records apart that were made before and after a clock jump."""
    try:
        return Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
    except OSError:
        return "unknown"
