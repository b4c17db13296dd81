"""What people read of a block."""

from __future__ import annotations

from dataclasses import replace
from datetime import date

import pytest

from device.queries import VisitSummary, YieldView
from device.wording import INTERVAL_COVERS, interval_words, notes_of, visit_lines, warnings_of, yield_words

VIEW = YieldView(
    "t/ha", 2, 1234, 20.25, 21.0, 22.0, 0.964, 21.21, 18.0, 24.449, 200, ("few trees",), "table", "2025-09-24"
)
VISIT = VisitSummary("id", "North", "B1", date(2025, 9, 24), "fruit_expansion", "apple", 2, 3, 1234, 0, VIEW, 200)


@pytest.mark.parametrize(
    ("unit", "words"),
    [
        ("t/ha", "1,234.6"),
        ("kg/mu", "1,235"),
        ("kg/ha", "1,235"),
        ("kg/tree", "1,234.6"),
        ("lb/acre", "1,235"),
        ("bins/acre of 400 kg", "1,234.6"),
    ],
)
def test_yields_have_the_digits_that_mean_something(unit: str, words: str) -> None:
    assert yield_words(1234.56, unit) == words


def test_a_visit_with_its_estimate() -> None:
    assert visit_lines(VISIT) == [
        ("visit", "2025-09-24, fruit expansion"),
        ("trees sampled", "2"),
        ("fruit counted", "1,234 (617.0 a tree)"),
        ("fruit weight", "200 g"),
        ("observed, sampled trees", "20.2 t/ha"),
        ("predicted, sampled trees", "21.0 t/ha"),
        ("correction factor", "0.96"),
        ("predicted, orchard", "22.0 t/ha"),
        ("corrected, orchard", "21.2 (18.0 to 24.4) t/ha"),
    ]


def test_one_tree_has_no_interval() -> None:
    view = replace(VIEW, corrected_low=None, corrected_high=None)
    assert interval_words(view) is None
    assert visit_lines(replace(VISIT, estimate=view))[-1] == ("corrected, orchard", "21.2 t/ha")


def test_flowers_are_counted_and_not_weighed() -> None:
    lines = visit_lines(replace(VISIT, stage="flowering", label="apple_flower", estimate=None))
    assert lines[2:] == [("flowers counted", "1,234 (617.0 a tree)")]


def test_fruit_without_an_estimate_waits_for_one() -> None:
    assert visit_lines(replace(VISIT, estimate=None))[-1] == ("corrected yield", "not estimated yet")


def test_what_the_interval_leaves_out_is_said_where_there_is_one() -> None:
    assert notes_of(VISIT) == (INTERVAL_COVERS, "few trees")
    assert notes_of(replace(VISIT, estimate=replace(VIEW, corrected_low=None, corrected_high=None))) == ("few trees",)
    assert notes_of(replace(VISIT, estimate=None)) == notes_of(None) == ()


def test_an_estimate_older_than_the_counts_says_so() -> None:
    (first, *rest) = warnings_of(replace(VISIT, trees=3, fruit=1500))
    assert first == "the estimate was made from 1,234 fruit on 2 trees; estimate again"
    assert rest == ["few trees"]
    assert warnings_of(VISIT) == ("few trees",)


def test_an_estimate_with_another_fruit_weight_than_the_block_s_says_so() -> None:
    (first, *rest) = warnings_of(replace(VISIT, fruit_weight_g=250))
    assert first == (
        "the estimate was made with 200 g a fruit, and the block's is 250 g; estimate again, unless that was meant"
    )
    assert rest == ["few trees"]
    assert warnings_of(replace(VISIT, fruit_weight_g=None)) == ("few trees",)
