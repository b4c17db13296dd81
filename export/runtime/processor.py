"""What this processor can do."""

from __future__ import annotations

import os
import platform
from pathlib import Path

_X86 = ("x86_64", "amd64", "i686")


def sums_products_of_bytes(cpuinfo: Path = Path("/proc/cpuinfo"), machine: str | None = None) -> bool:
    """Whether 8-bit products are summed in 32 bits.

    Intel and AMD processors without VNNI (AVX-512 VNNI or AVX-VNNI) sum pairs of them in 16 bits, where large ones are
    cut off; ARM's do not. See "Nuances of int8 computations" in the developer guide of oneDNN.

    Args:
        cpuinfo: what Linux says of the processor; where it cannot be read, an x86 processor is taken for an old one.
        machine: architecture; None takes this machine's.
    """
    if (machine or platform.machine()).lower() not in _X86:
        return True
    try:
        lines = cpuinfo.read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return False
    flags = next((line for line in lines if line.startswith("flags")), "")
    return any(flag.endswith("_vnni") for flag in flags.split())


def cores() -> int:
    """Processor cores that this process may use, where the system tells."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
