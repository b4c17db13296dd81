"""Visits with the counts of their trees."""

from __future__ import annotations

from datetime import date
from pathlib import Path

import pytest

from device.errors import InputError
from device.orchards import Block, find_block
from device.sampled_visits import find_visit
from device.store import Store
from export.runtime.counter import Counter
from tests.device.visiting import bring_in, photograph
from tests.drawing import exif


def test_each_tree_has_its_counts_and_what_made_them(
    store: Store, block: Block, counter: Counter, tmp_path: Path
) -> None:
    bring_in(store, counter, block, photograph(tmp_path, "T02", 4), photograph(tmp_path, "T01", 7))
    store.db.execute("UPDATE tree_count SET reviewed = 9 WHERE machine = 4")
    first, second = find_visit(store, block).trees
    assert (first.code, first.machine, first.reviewed, first.fruit) == ("T01", 7, None, 7)
    assert (second.code, second.machine, second.reviewed, second.fruit) == ("T02", 4, 9, 9)
    assert first.model == counter.bundle.identity
    assert first.attribution == "whole photo"


def test_trees_have_the_places_of_their_photos(store: Store, block: Block, counter: Counter, tmp_path: Path) -> None:
    bring_in(
        store, counter, block, photograph(tmp_path, "T02", 1), photograph(tmp_path, "T01", 1, said=exif(place=(56, 24)))
    )
    assert find_visit(store, block).places == {"T01": (56.0, 24.0), "T02": (None, None)}


def test_the_latest_visit_is_found_and_others_by_day_and_stage(
    store: Store, block: Block, counter: Counter, tmp_path: Path
) -> None:
    days = (date(2025, 9, 24), date(2025, 10, 1), date(2025, 5, 2))
    for day, stage in zip(days, ("fruit_expansion", "ripening", "flowering"), strict=True):
        photo = photograph(tmp_path / stage, "T01", 3, blossoms=2)
        bring_in(store, counter, block, photo, day=day, stage=stage)  # type: ignore[arg-type]
    assert find_visit(store, block).day == date(2025, 10, 1)
    assert find_visit(store, block, day=date(2025, 5, 2)).stage == "flowering"
    assert find_visit(store, block, stage="fruit_expansion").day == date(2025, 9, 24)
    with pytest.raises(InputError, match="block B1 has no visit of 2025-05-02 ripening; bring its photos in"):
        find_visit(store, block, date(2025, 5, 2), "ripening")


def test_a_block_without_visits_says_what_to_do(store: Store, block: Block) -> None:
    with pytest.raises(InputError, match="block B1 has no visit; bring its photos in: pomona visit import FOLDER"):
        find_visit(store, find_block(store, block.name))
