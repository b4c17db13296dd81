"""What people read of a block."""

from __future__ import annotations

from dataclasses import replace
from datetime import date

import pytest

from calibration.fruit_weight import weighed_sample
from device.orchard_summary import OrchardView
from device.queries import ComponentView, VisitSummary, YieldView
from device.wording import (
    counted_lines,
    figures,
    interval_made_of,
    interval_words,
    notes_of,
    orchard_lines,
    review_effect,
    visit_lines,
    warnings_of,
    yield_words,
)

COMPONENTS = (
    ComponentView("differences between trees", 0.07, 0.2, "simple random sample"),
    ComponentView("satellite error between areas", 0.15, 0.8, "one area of the orchard, default"),
    ComponentView("both sides", 0.0, 0.0, "the larger side"),
)
VIEW = YieldView(
    unit="t/ha",
    trees=2,
    fruit=1234,
    observed=20.25,
    predicted_area=21.0,
    predicted_orchard=22.0,
    correction_factor=0.964,
    correction_factor_low=0.82,
    correction_factor_high=1.111,
    block_yield=20.25,
    block_yield_low=17.9,
    block_yield_high=22.6,
    corrected=21.21,
    corrected_low=18.0,
    corrected_high=24.449,
    siting="block",
    components=COMPONENTS,
    fruit_weight_g=200,
    sides="larger",
    trees_reviewed=0,
    warnings=("few trees",),
    prediction_source="table",
    made_at="2025-09-24",
    model=None,
)
# as an older Pomona made it
OLD = replace(
    VIEW,
    correction_factor_low=None,
    correction_factor_high=None,
    block_yield=None,
    block_yield_low=None,
    block_yield_high=None,
    siting=None,
    sides=None,
    trees_reviewed=None,
    components=(),
)
VISIT = VisitSummary(
    id="id",
    orchard="North",
    block="B1",
    day=date(2025, 9, 24),
    stage="fruit_expansion",
    label="apple",
    trees=2,
    photos=3,
    fruit=1234,
    reviewed=0,
    sides="larger",
    estimate=VIEW,
    hand_counts_changed=False,
    fruit_weight_g=200,
)


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
        ("correction factor", "0.96 (0.82 to 1.11)"),
        ("predicted, orchard", "22.0 t/ha"),
        ("this block, by its own trees", "20.2 (17.9 to 22.6) t/ha"),
        ("orchard, corrected by this block", "21.2 (18.0 to 24.4) t/ha"),
    ]


def test_the_blocks_own_figure_is_told_apart_from_the_orchards() -> None:
    assert [figure.whose for figure in figures(VIEW)] == ["this block", "orchard"]
    assert [(figure.value, figure.interval, figure.unit) for figure in figures(VIEW)] == [
        ("20.2", "17.9 to 22.6", "t/ha"),
        ("21.2", "18.0 to 24.4", "t/ha"),
    ]
    assert [figure.whose for figure in figures(OLD)] == ["orchard"]
    assert visit_lines(VISIT) == [*counted_lines(VISIT), *(figure.line for figure in figures(VIEW))]


def test_an_estimate_of_an_older_pomona_is_shown_as_far_as_it_goes() -> None:
    lines = visit_lines(replace(VISIT, estimate=OLD))
    assert lines[-3:] == [
        ("correction factor", "0.96"),
        ("predicted, orchard", "22.0 t/ha"),
        ("orchard, corrected by this block", "21.2 (18.0 to 24.4) t/ha"),
    ]
    assert interval_made_of(OLD).startswith("from differences between the sampled trees; fruit that no photo shows")


def test_the_interval_says_what_it_is_made_of_the_largest_first() -> None:
    assert interval_made_of(VIEW) == (
        "made of these errors, one standard deviation of each: satellite error between areas ±15 %, "
        "differences between trees ±7 %"
    )


def test_an_orchard_of_several_blocks() -> None:
    view = OrchardView("North", "t/ha", 2, 3, 21.21, 18.0, 24.449)
    assert orchard_lines(view) == [
        ("blocks estimated", "2 of 3"),
        ("orchard, all blocks together", "21.2 (18.0 to 24.4) t/ha"),
    ]
    assert orchard_lines(replace(view, form="additive"))[1] == ("correction", "additive")


def test_an_estimate_from_one_tree_had_no_interval() -> None:
    view = replace(VIEW, corrected_low=None, corrected_high=None)
    assert interval_words(view) is None
    assert visit_lines(replace(VISIT, estimate=view))[-1] == ("orchard, corrected by this block", "21.2 t/ha")


def test_flowers_are_counted_and_not_weighed() -> None:
    lines = visit_lines(replace(VISIT, stage="flowering", label="apple_flower", estimate=None))
    assert lines[2:] == [("flowers counted", "1,234 (617.0 a tree)")]


def test_fruit_without_an_estimate_waits_for_one() -> None:
    assert visit_lines(replace(VISIT, estimate=None))[-1] == ("corrected yield", "not estimated yet")


def test_what_the_interval_is_made_of_is_said_where_there_is_one() -> None:
    assert notes_of(VISIT) == (f"in brackets the 95 % interval; the orchard's is {interval_made_of(VIEW)}", "few trees")
    assert notes_of(replace(VISIT, estimate=replace(VIEW, corrected_low=None, corrected_high=None))) == ("few trees",)
    assert notes_of(replace(VISIT, estimate=None)) == notes_of(None) == ()


def test_an_estimate_older_than_the_counts_says_so() -> None:
    (first, *rest) = warnings_of(replace(VISIT, trees=3, fruit=1500))
    assert first == "the estimate was made from 1,234 fruit on 2 trees; estimate again"
    assert rest == ["few trees"]
    assert warnings_of(VISIT) == ("few trees",)


@pytest.mark.parametrize("before", [VIEW, OLD])
def test_an_estimate_that_joined_sides_otherwise_says_so_and_not_that_counts_differ(before: YieldView) -> None:
    visit = replace(VISIT, sides="sum", fruit=2100, hand_counts_changed=True, estimate=before)
    assert warnings_of(visit)[0] == (
        "the estimate took the larger side, and the visit takes the sum of both sides; estimate again"
    )
    assert warnings_of(visit)[1:] == ("few trees",)
    assert visit_lines(visit)[3] == ("of each tree", "the sum of both sides")
    one = replace(VISIT, sides="one", estimate=replace(VIEW, sides="one"))
    assert warnings_of(one) == ("few trees",)
    assert visit_lines(one)[3] == ("of each tree", "one side")


def test_an_estimate_older_than_the_hand_counts_says_so() -> None:
    assert warnings_of(replace(VISIT, hand_counts_changed=True)) == (
        "trees counted by hand tell something else than when the estimate was made; estimate again",
        "few trees",
    )


@pytest.mark.parametrize(("block_g", "noted"), [(250, True), (203, False), (None, False)])
def test_fruit_on_the_scale_goes_before_the_blocks_weight_and_needs_no_other_estimate(
    block_g: float | None, noted: bool
) -> None:
    weight = ComponentView("fruit weight", 0.02, 0.1, weighed_sample([202.9, 203.1]).choice)
    view = replace(VIEW, fruit_weight_g=203.0000001, components=(*COMPONENTS, weight))
    said = "the estimate was made with 203 g, 2 fruit weighed; that goes before the block's 250 g"
    visit = replace(VISIT, fruit_weight_g=block_g, estimate=view)
    assert warnings_of(visit) == ((said, "few trees") if noted else ("few trees",))


def test_an_estimate_with_another_fruit_weight_than_the_block_s_says_so() -> None:
    (first, *rest) = warnings_of(replace(VISIT, fruit_weight_g=250))
    assert first == (
        "the estimate was made with 200 g a fruit, and the block's is 250 g; estimate again, unless that was meant"
    )
    assert rest == ["few trees"]
    assert warnings_of(replace(VISIT, fruit_weight_g=None)) == ("few trees",)


def test_trees_reviewed_are_told_and_make_an_estimate_stale() -> None:
    assert ("trees reviewed", "1 of 2") in counted_lines(replace(VISIT, reviewed=1))
    assert "trees reviewed" not in dict(counted_lines(VISIT))
    (first, *_) = warnings_of(replace(VISIT, reviewed=1))
    assert first == "trees reviewed when the estimate was made: 0, now: 1; estimate again"
    assert warnings_of(replace(VISIT, reviewed=1, estimate=replace(VIEW, trees_reviewed=None))) == ("few trees",)


@pytest.mark.parametrize(
    ("visit", "said"),
    [
        (replace(VISIT, reviewed=1, fruit=1200), "comes to 1,200 fruit now, 1 of 2 trees reviewed; the estimate was"),
        (replace(VISIT, reviewed=1, estimate=replace(VIEW, trees_reviewed=1)), "has taken in all that was reviewed"),
        (replace(VISIT, reviewed=1, estimate=None), "will take reviewed counts in place of the model's"),
        (replace(VISIT, reviewed=1, label="apple_flower", estimate=None), "Forecasts of the harvest take"),
    ],
)
def test_what_the_estimate_makes_of_a_review_is_told(visit: VisitSummary, said: str) -> None:
    assert said in review_effect(visit)
