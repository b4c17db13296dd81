"""What earlier visits tell of a block."""

from __future__ import annotations

from datetime import date
from math import inf, isnan

import numpy as np
import pytest

from calibration.errors import CalibrationError
from calibration.spread import TreeSpread
from device.orchards import Block
from device.planning.past import PastVisit, find_spread, past_visits
from device.planning.tree_lists import trees_in_rows
from device.store import Store
from tests.device.planning.counted import count

TEN = {f"R01-T{number:02d}": 10 * number for number in range(1, 11)}


def test_of_each_year_the_visit_that_saw_most_trees_tells_the_latest_first(store: Store, block: Block) -> None:
    count(store, block, "2023-09-20", TEN)
    count(store, block, "2024-08-01", {"a": 1, "b": 2})
    count(store, block, "2024-09-01", {"a": 3, "b": 4})
    count(store, block, "2024-09-15", {"a": 5})
    assert past_visits(store, block, "apple") == [
        PastVisit(date(2024, 9, 1), {"a": 3, "b": 4}),
        PastVisit(date(2023, 9, 20), TEN),
    ]


def test_flowers_and_fruit_are_told_apart_and_reviewed_counts_stand(store: Store, block: Block) -> None:
    count(store, block, "2024-04-20", {"a": 200, "b": 300}, "flowering")
    count(store, block, "2024-09-01", {"a": 3, "b": 4})
    store.db.execute("UPDATE tree_count SET reviewed = 7 WHERE machine = 4")
    assert [visit.fruit for visit in past_visits(store, block, "apple")] == [{"a": 3, "b": 7}]
    assert [visit.fruit for visit in past_visits(store, block, "apple_flower")] == [{"a": 200, "b": 300}]


def test_counts_are_put_beside_the_trees() -> None:
    seen = PastVisit(date(2024, 9, 1), {"R01-T02": 5, "oak": 9}).of(trees_in_rows([2]))
    assert isnan(seen[0])
    assert seen[1] == 5


def test_without_counts_trees_differ_as_in_other_orchards() -> None:
    spread = find_spread([])
    assert (spread.variance, spread.degrees_of_freedom) == (TreeSpread().variance, TreeSpread().degrees_of_freedom)
    assert spread.source == "no count here yet, so as in other orchards"
    nothing_hung = [PastVisit(date(2024, 9, 1), {"a": 0, "b": 0}), PastVisit(date(2023, 9, 1), {"a": 5})]
    assert find_spread(nothing_hung) == spread


def test_ten_trees_tell_by_themselves() -> None:
    spread = find_spread([PastVisit(date(2024, 9, 1), TEN)])
    assert spread.cv == pytest.approx(np.std(list(TEN.values()), ddof=1) / 55)
    assert spread.source == "seen on 10 trees in 2024"


def test_fewer_are_helped_out() -> None:
    few = {"a": 10, "b": 90}
    spread = find_spread([PastVisit(date(2024, 9, 1), few), PastVisit(date(2023, 9, 1), few)])
    assert TreeSpread().variance < spread.variance < np.var([10, 90], ddof=1) / 50**2
    assert spread.source == "seen on 2 trees in 2023, 2024, helped out by other orchards"


def test_what_was_given_stands() -> None:
    spread = find_spread([PastVisit(date(2024, 9, 1), TEN)], cv=0.2)
    assert spread.cv == pytest.approx(0.2)
    assert (spread.degrees_of_freedom, spread.source) == (inf, "as given")
    with pytest.raises(CalibrationError, match="spread between trees is 0"):
        find_spread([], cv=0.0)
