"""The plan's number of trees on real orchards whose trees were all picked one by one."""

from __future__ import annotations

from pathlib import Path

import pytest

from calibration.plan import Promise
from tests.benchmarks.planning import keep, read_orchards


@pytest.mark.parametrize("seen", [0, 6, 10, 30])
def test_the_promise_is_kept_in_most_draws(data: Path, seen: int) -> None:
    for orchard in read_orchards(data):
        kept = keep(orchard, Promise(0.1), seen, draws=100)
        assert kept.reached >= 0.85, orchard.name
        assert kept.true >= 0.95, orchard.name
        assert kept.trees.max() < len(orchard.yields)
