"""A block that was visited at every stage of a season."""

from __future__ import annotations

import pytest

from device.orchards import Block
from device.store import Store
from tests.device.planning.counted import count

COUNTS = (5, 10, 15)


@pytest.fixture
def followed(store: Store, block: Block) -> Block:
    """Block B1 in 2025: 1000 flowers a tree, 240 young fruit, 110 fruit, and 100 before picking; trees differ."""
    for day, stage, scale in (
        ("2025-05-02", "flowering", 100),
        ("2025-06-20", "young_fruit", 24),
        ("2025-08-01", "fruit_expansion", 11),
        ("2025-09-20", "ripening", 10),
    ):
        count(store, block, day, {f"T{number}": number * scale for number in COUNTS}, stage)  # type: ignore[arg-type]
    return block
