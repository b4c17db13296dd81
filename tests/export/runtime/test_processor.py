"""Which processors sum 8-bit products exactly."""

from __future__ import annotations

from pathlib import Path

import pytest

from export.runtime.processor import sums_products_of_bytes


@pytest.mark.parametrize(
    ("flags", "exact"),
    [
        ("fpu sse4_1 avx avx2 avx512f avx512bw", False),
        ("fpu avx2 avx512f avx512_vnni avx512_bf16", True),
        ("fpu avx2 avx_vnni", True),
    ],
)
def test_on_x86_those_with_vnni(tmp_path: Path, flags: str, exact: bool) -> None:
    cpuinfo = tmp_path / "cpuinfo"
    cpuinfo.write_text(f"processor\t: 0\nmodel name\t: any avx_vnni\nflags\t\t: {flags}\n\nprocessor\t: 1\n")
    assert sums_products_of_bytes(cpuinfo, "x86_64") is exact


def test_one_that_cannot_be_looked_at_is_taken_for_an_old_one(tmp_path: Path) -> None:
    assert not sums_products_of_bytes(tmp_path / "none", "AMD64")


@pytest.mark.parametrize("machine", ["aarch64", "armv7l"])
def test_on_arm_all(tmp_path: Path, machine: str) -> None:
    assert sums_products_of_bytes(tmp_path / "none", machine)


def test_without_arguments_it_is_this_machine() -> None:
    assert sums_products_of_bytes() in (True, False)
