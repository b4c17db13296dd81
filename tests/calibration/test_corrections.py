"""Ratio, additive and log-linear correction."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from calibration.corrections import ENOUGH_BLOCKS, FORMS, Form, choose_correction, fit_correction
from calibration.errors import CalibrationError

forms = st.sampled_from(FORMS)
yields = st.floats(5_000, 80_000)
Pairs = list[tuple[float, float]]
pairs = st.lists(st.tuples(yields, yields), min_size=3, max_size=15, unique_by=lambda pair: round(pair[1]))
enough = st.lists(st.tuples(yields, yields), min_size=ENOUGH_BLOCKS, max_size=12, unique_by=lambda pair: round(pair[1]))


def columns(blocks: Pairs) -> tuple[list[float], list[float]]:
    return [observed for observed, _ in blocks], [predicted for _, predicted in blocks]


def blocks_that_are(form: Form, count: int, noise: float = 0.05, seed: int = 0) -> tuple[NDArray[np.float64], ...]:
    """Observed and predicted yields where this form is the truth."""
    rng = np.random.default_rng(seed)
    predicted = rng.uniform(15_000, 60_000, count)
    truth = {
        "ratio": 1.2 * predicted,
        "additive": predicted + 12_000,
        "log-linear": 30_000 * (predicted / 30_000) ** 1.6,
    }
    return truth[form] * np.exp(rng.normal(0, noise, count)), predicted


def test_the_papers_ratio() -> None:
    """Plants 2026, 15, 213, Table 16, in kg/mu."""
    correction = fit_correction("ratio", [1500], [1302.08])
    assert correction.level == pytest.approx(1.152, abs=0.0005)
    assert correction.apply([1346.87])[0] == pytest.approx(1551.6, abs=0.05)


def test_each_form_by_hand() -> None:
    observed, predicted = [20_000.0, 45_000.0], [20_000.0, 30_000.0]
    assert fit_correction("ratio", observed, predicted).level == pytest.approx(1.3)
    assert fit_correction("additive", observed, predicted).level == pytest.approx(7_500)
    power = fit_correction("log-linear", observed, predicted)
    assert power.slope == pytest.approx(np.log(2.25) / np.log(1.5))  # 2
    assert power.apply([40_000])[0] == pytest.approx(80_000)


@pytest.mark.parametrize("form", FORMS)
def test_a_form_that_is_true_is_found_exactly_without_noise(form: Form) -> None:
    observed, predicted = blocks_that_are(form, 10, noise=0)
    assert fit_correction(form, observed, predicted).apply(predicted) == pytest.approx(observed)


@given(pairs, forms)
def test_corrected_and_observed_yield_agree_in_total(blocks: Pairs, form: Form) -> None:
    observed, predicted = columns(blocks)
    corrected = fit_correction(form, observed, predicted).apply(predicted)
    if corrected.min() > 0:  # an additive correction may have been stopped at 0
        assert corrected.sum() == pytest.approx(sum(observed))


@given(pairs, forms, st.floats(0.01, 100))
def test_another_unit_changes_nothing(blocks: Pairs, form: Form, unit: float) -> None:
    observed, predicted = columns(blocks)
    base = fit_correction(form, observed, predicted).apply(predicted)
    scaled = [value * unit for value in predicted]
    other = fit_correction(form, [value * unit for value in observed], scaled).apply(scaled)
    assert other == pytest.approx(base * unit, rel=1e-6, abs=1e-6 * unit)


@given(pairs, st.sampled_from(["ratio", "log-linear"]), st.floats(0.1, 10))
def test_yields_observed_higher_in_proportion_are_corrected_higher_in_proportion(
    blocks: Pairs, form: Form, factor: float
) -> None:
    observed, predicted = columns(blocks)
    base = fit_correction(form, observed, predicted).apply(predicted)
    higher = fit_correction(form, [value * factor for value in observed], predicted).apply(predicted)
    assert higher == pytest.approx(base * factor, rel=1e-6)


@given(pairs.flatmap(lambda drawn: st.tuples(st.just(drawn), st.permutations(drawn))), forms, yields)
def test_the_order_of_the_blocks_does_not_matter(orders: tuple[Pairs, ...], form: Form, at: float) -> None:
    first, second = (fit_correction(form, *columns(order)).apply([at])[0] for order in orders)
    assert second == pytest.approx(first, rel=1e-6, abs=1e-3)


@given(pairs, forms)
def test_what_was_predicted_as_observed_is_left_alone(blocks: Pairs, form: Form) -> None:
    _, predicted = columns(blocks)
    assert fit_correction(form, predicted, predicted).apply(predicted) == pytest.approx(predicted)


@given(pairs, st.sampled_from(["ratio", "additive"]), st.data(), st.floats(10, 10_000))
def test_more_fruit_in_any_block_is_more_corrected_yield(
    blocks: Pairs, form: Form, chosen: st.DataObject, more: float
) -> None:
    observed, predicted = columns(blocks)
    index = chosen.draw(st.integers(0, len(blocks) - 1))
    fuller = [value + more * (i == index) for i, value in enumerate(observed)]
    before, after = (fit_correction(form, seen, predicted).apply(predicted) for seen in (observed, fuller))
    assert (after >= before).all()
    assert after.max() > before.max()


@given(pairs, forms, st.integers(1, 3))
def test_a_block_of_twice_the_area_counts_like_two(blocks: Pairs, form: Form, times: int) -> None:
    observed, predicted = columns(blocks)
    weighted = fit_correction(form, observed, predicted, [times, *[1.0] * (len(blocks) - 1)])
    repeated = fit_correction(form, [observed[0]] * (times - 1) + observed, [predicted[0]] * (times - 1) + predicted)
    assert weighted.apply(predicted) == pytest.approx(repeated.apply(predicted), rel=1e-6, abs=1e-3)


@pytest.mark.parametrize("form", FORMS)
def test_the_form_that_is_true_is_chosen(form: Form) -> None:
    choice = choose_correction(*blocks_that_are(form, 30))
    assert choice.correction.form == form
    assert min(choice.errors_kg_per_ha, key=lambda name: choice.errors_kg_per_ha[name]) == form
    assert form in choice.reason


def test_the_ratio_stays_where_another_form_is_better_by_chance_only() -> None:
    chosen = [choose_correction(*blocks_that_are("ratio", 12, 0.15, seed)).correction.form for seed in range(100)]
    assert chosen.count("ratio") > 75
    spared = [choose_correction(*blocks_that_are("ratio", 12, 0.15, seed)).reason for seed in range(20)]
    assert any("no more than chance" in reason for reason in spared)


def test_a_choice_pays_where_the_ratio_is_wrong_and_costs_little_where_it_is_right() -> None:
    def compare(form: Form) -> float:
        """Error of the chosen form over that of the ratio, on blocks that neither was fitted to."""
        errors = np.zeros(2)
        for seed in range(40):
            observed, predicted = blocks_that_are(form, 62, 0.12, seed)
            truth, _ = blocks_that_are(form, 62, 0.0, seed)
            known = observed[:12], predicted[:12]
            for i, correction in enumerate((choose_correction(*known).correction, fit_correction("ratio", *known))):
                errors[i] += np.abs(correction.apply(predicted[12:]) - truth[12:]).mean()
        return float(errors[0] / errors[1])

    assert compare("log-linear") < 0.6
    assert compare("ratio") < 1.2


@given(pairs)
def test_a_slope_stays_within_reason(blocks: Pairs) -> None:
    assert 0 <= fit_correction("log-linear", *columns(blocks)).slope <= 3


def test_few_blocks_keep_the_ratio_and_say_so() -> None:
    observed, predicted = blocks_that_are("log-linear", ENOUGH_BLOCKS - 1, noise=0)
    choice = choose_correction(observed, predicted)
    assert choice.correction == fit_correction("ratio", observed, predicted)
    assert choice.reason == "the ratio, as 7 blocks are too few to tell forms apart; 8 would be enough"
    assert not choice.errors_kg_per_ha
    with pytest.raises(CalibrationError, match=r"error of a corrected block is unknown .* 8 blocks: measure"):
        choice.block_yield(30_000)
    assert "1 block is too few" in choose_correction([1500], [1302]).reason


@given(enough)
def test_errors_are_those_of_blocks_left_out(blocks: Pairs) -> None:
    observed, predicted = columns(blocks)
    choice = choose_correction(observed, predicted)
    for form, error in choice.errors_kg_per_ha.items():
        left_out = [
            fit_correction(form, observed[:i] + observed[i + 1 :], predicted[:i] + predicted[i + 1 :]).apply(
                [predicted[i]]
            )[0]
            for i in range(len(blocks))
        ]
        assert error == pytest.approx(np.abs(np.array(left_out) - observed).mean())


def test_the_interval_of_one_more_block_holds_its_yield() -> None:
    hits = []
    for seed in range(200):
        observed, predicted = blocks_that_are("ratio", 13, 0.15, seed)
        more = choose_correction(observed[:12], predicted[:12]).block_yield(float(predicted[12]))
        low, high = more.interval(0.9)
        hits.append(low <= observed[12] <= high)
    assert 0.84 <= np.mean(hits) <= 0.96


def test_blocks_that_are_all_predicted_alike_have_no_slope() -> None:
    observed = np.linspace(20_000, 40_000, 10)
    assert set(choose_correction(observed, np.full(10, 30_000.0)).errors_kg_per_ha) == {"ratio", "additive"}
    with pytest.raises(CalibrationError, match=r"log-linear correction needs two different .* use the ratio"):
        fit_correction("log-linear", observed, np.full(10, 30_000.0))


def test_a_block_without_fruit_leaves_the_logarithm_out() -> None:
    observed, predicted = blocks_that_are("ratio", 10)
    observed[3] = 0
    assert set(choose_correction(observed, predicted).errors_kg_per_ha) == {"ratio", "additive"}


def test_a_correction_never_goes_below_zero() -> None:
    assert fit_correction("additive", [10_000], [30_000]).apply([15_000])[0] == 0


def test_predictions_beyond_those_it_was_fitted_to_are_told() -> None:
    correction = fit_correction("ratio", [20_000, 50_000], [20_000, 40_000])
    assert not correction.extrapolates([20_000, 43_000])
    assert correction.extrapolates([46_000])
    assert correction.extrapolates([15_000])


WRONG = [
    ([], [], None, r"observed yield of a block: 0 given, at least 1 needed: review"),
    ([-1.0], [1.0], None, r"observed yield of a block number 1 is -1; .*: review its counts"),
    ([float("nan")], [1.0], None, r"observed yield of a block number 1 is nan"),
    ([1.0, 2.0], [1.0, 0.0], None, r"predicted yield of a block number 2 is 0; .* above 0: check the predictions file"),
    (
        [1.0, 2.0],
        [1.0],
        None,
        r"2 blocks have an observed yield, 1 a predicted one and 2 a weight; give the",
    ),
    ([1.0], [1.0], [0.0], r"weight of a block number 1 is 0; .*: use its area"),
    ([0.0, 0.0], [1.0, 2.0], None, r"observed yield of all blocks together is 0; .*: review the counts"),
]


@pytest.mark.parametrize(("observed", "predicted", "weights", "said"), WRONG)
def test_wrong_blocks_are_refused(
    observed: list[float], predicted: list[float], weights: list[float] | None, said: str
) -> None:
    with pytest.raises(CalibrationError, match=said):
        choose_correction(observed, predicted, weights)
    with pytest.raises(CalibrationError, match=said):
        fit_correction("ratio", observed, predicted, weights)


def test_an_unknown_form_is_refused() -> None:
    with pytest.raises(CalibrationError, match="'cubic' is unknown; known are ratio, additive, log-linear"):
        fit_correction("cubic", [1.0], [1.0])  # type: ignore[arg-type]  # wrong on purpose


@pytest.mark.parametrize("value", [0, -1, float("nan")])
def test_only_predictions_above_zero_are_corrected(value: float) -> None:
    correction = fit_correction("ratio", [1.0], [1.0])
    with pytest.raises(CalibrationError, match=r"predicted yield of a block number 1 is .* check the predictions file"):
        correction.apply([value])
