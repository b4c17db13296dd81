"""What docs/explanation/correction.md says in numbers, section by section, computed by the functions it explains."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from math import exp, log, sqrt
from pathlib import Path

import numpy as np

from calibration.corrections import ENOUGH_BLOCKS
from calibration.estimate import Estimate
from calibration.fruit_weight import ASSUMED, ASSUMED_WEIGHT_G, FROM_EXPERIENCE
from calibration.guard_rails import FEW_TREES, PLAUSIBLE_FACTOR, UNLIKE
from calibration.intervals import student_t_quantile
from calibration.observed import TREES
from calibration.pooling import CONFLICT, apply_prior
from calibration.season_rates import DEFAULT_RATES, FRUIT_WEIGHT
from calibration.shared_factors import DETECTOR
from calibration.sides import DEFAULT_SEEN_TWICE, unknown_side_factor
from calibration.siting import BETWEEN_AREAS, DEFAULT_BETWEEN_AREAS, SITINGS, area_factor
from calibration.visibility import BETWEEN_ORCHARDS, LEAST_TREES
from calibration.yields import CONFIDENCE
from tests import correction_example as example
from tests.correction_plots import pooled_shown, promises_shown, trees_shown

RESULTS = Path(__file__).parents[1] / "docs" / "results"
_MU = f"{example.BLOCK_TREES / example.BLOCK_MU:.0f}"


def _percent(share: float, digits: int = 0) -> str:
    return f"{100 * share:.{digits}f} %"


def _range(estimate: Estimate, digits: int = 0) -> str:
    low, high = estimate.positive_interval(CONFIDENCE)
    return f"{low:.{digits}f} to {high:.{digits}f}"


def _estimator() -> list[str]:
    return ["(Plants 2026, 15, 213; α is their equation 6, the corrected yield their equation 7)"]


def _paper() -> list[str]:
    factor, weighed = example.paper_factor(), example.WEIGHED
    corrected = round(factor, 2) * example.PREDICTED_ORCHARD
    return [
        "In 2023 a detector counted the fruit of 30 trees",
        f"about {example.OBSERVED:.0f} kg/mu (1 mu is",
        f"said {example.PREDICTED_AREA} kg/mu for that area and {example.PREDICTED_ORCHARD} kg/mu for the orchard",
        f"1500 ÷ 1302.08 = {factor:.2f} ",
        f"{factor:.2f} × 1346.87 = {corrected:.2f} kg/mu",
        f"about {weighed:.0f} kg/mu",
        f"(1346.87 − 1750) ÷ 1750 = −{_percent(1 - example.PREDICTED_ORCHARD / weighed, 1)}",
        f"({corrected:.2f} − 1750) ÷ 1750 = −{_percent(1 - corrected / weighed, 1)}",
        f"the corrected yield is {factor * example.PREDICTED_ORCHARD:.2f}.",
        f"{example.OBSERVED:.0f} where the orchard bore {weighed:.0f}",
        (
            f"1750 ÷ {corrected:.2f} = {weighed / corrected:.2f}, "
            f"so {100 * (weighed / corrected - 1):.0f} more fruit for every 100 counted"
        ),
    ]


def _counts() -> list[str]:
    return [
        f"come to its {example.kg_per_mu(example.estimate().observed_kg_per_ha.value):.0f} kg/mu",
        f"A block of {example.BLOCK_TREES} trees on {example.BLOCK_MU} mu",
        " ".join(f"{count}" for row in example.COUNTS for count in row),
    ]


def _trees() -> list[str]:
    counts, share = example.counts(), sqrt(example.component(TREES).relative_variance)
    spread, mean, error = f"{counts.std(ddof=1):.2f}", f"{counts.mean():.1f}", f"{share * counts.mean():.3f}"
    return [
        f"mean of {counts.size} trees {counts.sum():.0f} ÷ {counts.size} = {mean} fruit",
        f"standard deviation {spread} (a calculator's s, n − 1)",
        f"{spread} ÷ √{counts.size} × √(1 − {counts.size} ÷ {example.BLOCK_TREES}) = {error} fruit",
        f"{error} ÷ {mean} = {_percent(share, 2)}",
    ]


def _weight() -> list[str]:
    weight, bags = example.fruit_weight().factor, np.array(example.BAGS_G, dtype=np.float64)
    spread, error = f"{bags.std(ddof=1):.2f}", f"{weight.standard_error * example.FRUIT_OF_A_BAG:.2f}"
    return [
        " ".join(map(str, example.BAGS_G)) + " g",
        f"{bags.sum():.0f} ÷ {bags.size} = {bags.mean():.0f} g",
        f"{bags.mean():.0f} ÷ {example.FRUIT_OF_A_BAG} = {weight.value:.0f} g",
        f"standard deviation {spread} g",
        f"{spread} ÷ √{bags.size} = {error} g",
        f"{error} ÷ {bags.mean():.0f} = {_percent(sqrt(weight.relative_variance), 2)}",
        f"off by {_percent(FROM_EXPERIENCE)}",
        f"takes {ASSUMED_WEIGHT_G:.0f} g, off by {_percent(ASSUMED)}",
    ]


def _detector() -> list[str]:
    factor, mean, sees = example.detector().factor, example.counts().mean(), f"{1 + example.BIAS:.2f}"
    differ = _percent(example.ROWS_SD)
    return [
        (
            f"it counts {_percent(-example.BIAS)} too few at this stage, measured on {example.TEST_TREES} trees in "
            f"{example.TEST_ROWS} rows, and rows differ by {differ}"
        ),
        f"{mean:.1f} ÷ {sees} = {mean * factor.value:.2f} a tree",
        f"{differ} × √(1 + 1 ÷ {example.TEST_ROWS}) ÷ {sees} = {_percent(sqrt(factor.relative_variance), 2)}",
    ]


def _factor() -> list[str]:
    found, grams = example.estimate(), example.fruit_weight().factor.value
    fruit = example.counts().mean() * example.detector().factor.value
    observed = f"{example.kg_per_mu(found.observed_kg_per_ha.value):.1f}"
    return [
        f"{fruit:.2f} × {grams:.0f} ÷ 1000 = {fruit * grams / 1000:.2f} kg",
        f"{example.BLOCK_TREES} ÷ {example.BLOCK_MU} = {_MU}",
        f"{fruit * grams / 1000:.2f} × {_MU} = {observed} kg/mu",
        f"{observed} ÷ 1302.08 = {found.factor.value:.4f}",
        f"{found.factor.value:.4f} × 1346.87 = {example.kg_per_mu(found.corrected_kg_per_ha.value):.1f} kg/mu",
    ]


def _one_block() -> list[str]:
    between = DEFAULT_BETWEEN_AREAS
    return [
        (
            f"takes that error to be {_percent(between.standard_error)}, known about as well as from "
            f"{between.degrees_of_freedom:.0f} areas"
        )
    ]


def _adding_up() -> list[str]:
    found = example.estimate()
    names = {TREES: "which trees", "fruit weight": "fruit weight", DETECTOR: "detector", BETWEEN_AREAS: "areas differ"}
    together, degrees = found.corrected_kg_per_ha.relative_variance, found.corrected_kg_per_ha.degrees_of_freedom
    millionths = [1e6 * each.relative_variance**2 / each.degrees_of_freedom for each in found.components]
    rows = [
        f"| {names[each.name]} | {_percent(sqrt(each.relative_variance), 2)} | {each.relative_variance:.5f} | "
        f"{each.degrees_of_freedom:.0f} | {part:.1f} |"
        for each, part in zip(found.components, millionths, strict=True)
    ]
    sd = _percent(sqrt(together), 2)
    return [
        "The last column is for step 7.",
        *rows,
        f"| **together** | **{sd}** | **{together:.5f}** | **{degrees:.1f}** | **{sum(millionths):.1f}** |",
        f"√{together:.5f} = {sd}",
        f"{together:.5f}² ÷ {sum(millionths) / 1e6:.7f} = {degrees:.1f}",
    ]


def _interval() -> list[str]:
    found = example.estimate()
    corrected = example.per_mu(found.corrected_kg_per_ha)
    quantile = student_t_quantile((1 + CONFIDENCE) / 2, corrected.degrees_of_freedom)
    sd, reach = sqrt(corrected.relative_variance), quantile * sqrt(corrected.relative_variance)
    low, high = corrected.positive_interval(CONFIDENCE)
    of_block = example.per_mu(example.estimate("scattered").observed_kg_per_ha)
    return [
        f"for {corrected.degrees_of_freedom:.1f} and {_percent(CONFIDENCE)} is {quantile:.3f}",
        "the usual 2 because",
        f"{quantile:.3f} × {_percent(sd, 2)} = {_percent(reach, 1)}",
        f"2.718 ^ {reach:.4f} = {exp(reach):.3f}",
        f"{corrected.value:.1f} ÷ {exp(reach):.3f} = {low:.0f} kg/mu",
        f"{corrected.value:.1f} × {exp(reach):.3f} = {high:.0f} kg/mu",
        f"α is {found.factor.value:.2f} ({_range(found.factor, 2)})",
        f"yield is {corrected.value:.0f} kg/mu ({_range(corrected)})",
        f"about {100 * CONFIDENCE:.0f} hold the harvest",
        f"own trees say {of_block.value:.0f} kg/mu ({_range(of_block)})",
    ]


def _parts() -> list[str]:
    steps = [example.per_mu(found.corrected_kg_per_ha) for found in example.steps().values()]
    differ, weight, detector, areas, spread, counted = map(_range, steps)
    told = {
        "thirty trees of one block": steps[3],
        "120 trees of one block": example.for_trees(120, example.ONE_BLOCK),
        "thirty trees spread over the whole orchard": steps[4],
        "the same, and eight of them counted by hand": steps[5],
    }
    curves = trees_shown()
    areas_too, shared_too, alone = (curves[name] for name in list(curves)[1:])
    return [
        (
            f"Trees differ: {differ}. With fruit weight: {weight}. With the detector: {detector}. With the error "
            f"between areas: {areas}. Trees of the whole orchard: {spread}. And eight trees counted by hand: {counted}."
        ),
        *(
            f"| {what} | {found.value:.0f} | {_range(found)} | ±{_percent(example.half_width(found))} |"
            for what, found in told.items()
        ),
        (
            f"the number of trees, {curves['trees'][0]:.0f} to {curves['trees'][-1]:.0f}. Trees alone fall from "
            f"±{alone[0]:.0f} % to ±{alone[-1]:.0f} %. With fruit weight and detector they level off at "
            f"±{shared_too[-1]:.0f} %, with the error between areas at ±{areas_too[-1]:.0f} %."
        ),
    ]


def _sitings() -> list[str]:
    told = {"scattered": "by a rule", "one area": "area of it", "hand-picked": "looked good"}
    rows = []
    for siting in SITINGS:
        found = example.per_mu(example.estimate(siting).corrected_kg_per_ha)
        rows.append(f"{told[siting]} | {found.value:.0f} | {_range(found)} |")
    held = promises_shown()
    alone, everything = (held[f"held, {reading}"][0] for reading in example.READINGS)
    of = example.DRAWN
    (confidence,) = _found(r"a (\d+ %) interval", "correction.md")
    (drawn,) = _found(r"([\d,]+) orchards of \d+ farms", "correction.md")
    (between,) = _found(r"(between [\d.]+ and [\d.]+ %) of the intervals", "correction.md")
    return [
        *rows,
        f"drew {drawn} orchards",
        f"{between} of {confidence} intervals",
        f"areas is added: {_percent(DEFAULT_BETWEEN_AREAS.standard_error)} at first",
        f"multiplied by {area_factor('hand-picked').factor.value:.2f}.",
        f"a computer drew {of} orchards",
        (
            f"held the harvest in {alone:.0f} of the {of}. The full one held it in {everything:.0f}, where "
            f"{CONFIDENCE * of:.0f} were promised"
        ),
        (
            f"the first {example.SHOWN} of {of} drawn orchards. Trees alone: {alone:.0f} of {of} intervals hold the "
            f"harvest. All errors: {everything:.0f} of {of} hold."
        ),
    ]


def _guard_rails() -> list[str]:
    low, high = PLAUSIBLE_FACTOR
    return [
        "prediction not above 0:",
        f"α outside {low:g} to {high:g} ",
        f"fewer than {FEW_TREES} trees",
        f"more than {UNLIKE:g} standard deviations apart",
        "An α far from 1 is",
    ]


def _hidden() -> list[str]:
    ratio, both = example.visibility().factor, (sum(example.SEEN), sum(example.BY_HAND))
    found = list(example.steps().values())[-1]
    before = example.estimate().corrected_kg_per_ha.value
    fruit, observed = example.counts().mean() * ratio.value, example.kg_per_mu(found.observed_kg_per_ha.value)
    corrected = example.kg_per_mu(found.corrected_kg_per_ha.value)
    return [
        f"count at least {LEAST_TREES} trees by hand",
        "in photos " + " ".join(map(str, example.SEEN)) + f" together {both[0]}",
        "by hand " + " ".join(map(str, example.BY_HAND)) + f" together {both[1]}",
        f"{both[1]} ÷ {both[0]} = {ratio.value:.2f}",
        f"a line of {ratio.value:.2f} for each one",
        f"±{_percent(sqrt(ratio.relative_variance), 1)}, one standard deviation",
        f"So {ratio.value:.2f} has in it",
        f"the detector's {_percent(-example.BIAS)}, and its error",
        f"that of the detector's {_percent(sqrt(example.detector().factor.relative_variance), 2)}",
        f"{example.counts().mean():.1f} × {ratio.value:.2f} = {fruit:.1f}",
        f"{fruit:.1f} × 200 ÷ 1000 = {fruit / 5:.2f} kg",
        f"{fruit / 5:.2f} × {_MU} = {observed:.0f} kg/mu",
        f"{observed:.0f} ÷ 1302.08 = {found.factor.value:.3f}",
        f"{found.factor.value:.3f} × 1346.87 = {corrected:.0f} kg/mu",
        f"rose by {_percent(found.corrected_kg_per_ha.value / before - 1)}",
        f"in the interval, {_percent(BETWEEN_ORCHARDS.standard_error)} to begin with",
    ]


def _sides() -> list[str]:
    first, second, both = sum(example.FIRST), sum(example.SECOND), sum(example.ON_BOTH)
    true = [a + b - c for a, b, c in zip(example.FIRST, example.SECOND, example.ON_BOTH, strict=True)]
    twice, factor = example.seen_twice().value, example.for_one_side().value
    one, other = example.FIRST[0], example.SECOND[0]
    own, counted = sum(example.OWN), sum(example.COUNTED)
    rows = zip("ABCD", example.FIRST, example.SECOND, example.ON_BOTH, true, strict=True)
    return [
        *("| " + " | ".join(map(str, row)) + " |" for row in rows),
        f"| together | {first} | {second} | {both} | {sum(true)} |",
        (
            f"{both} ÷ {first + second} = {_percent(twice)} | {one + other} × (1 − {_percent(twice)}) = "
            f"{(one + other) * (1 - twice):.1f} |"
        ),
        f"{sum(true)} ÷ {first} = {factor:.3f} | {one} × {factor:.3f} = {one * factor:.1f} |",
        f"| {max(one, other)}, and hand counts",
        f"learned from {LEAST_TREES} or more trees of the orchard",
        f"Before that {_percent(DEFAULT_SEEN_TWICE.value)} of the sum",
        f"one standard deviation of {_percent(DEFAULT_SEEN_TWICE.standard_error)} in the interval",
        f"one side is multiplied by {unknown_side_factor().factor.value:.2f};",
        f"of {counted} fruit counted on five trees {own} were their own",
        f"{own} ÷ {counted} = {_percent(example.own_fruit().value)}",
    ]


def _few() -> list[str]:
    prior, trees = example.prior(), example.FEW
    expected = prior.expect(example.REGION, example.THIS_YEAR, example.VARIETY)
    pooled = apply_prior(prior, example.block_factor(example.OWN_FACTOR, trees, example.THIS_YEAR))
    spread, shared, error = sqrt(prior.trees.variance), sqrt(example.other_variance()), example.own_error(trees)
    own, others, weight = log(example.OWN_FACTOR), expected.value, pooled.own_weight
    told = {name: f"{line[1]:.2f} to {line[2]:.2f}" for name, line in pooled_shown().items()}
    return [
        f"gave α = {example.OWN_FACTOR:.2f}. Trees differ by {_percent(spread)}",
        *(f"{year} " + " ".join(f"{factor:.2f}" for factor in known) for year, known in example.EARLIER.items()),
        f"around {exp(others):.2f}, and",
        f"off from that by {_percent(expected.standard_error, 1)}",
        f"√({spread:.4f}² ÷ {trees} + {shared:.4f}²) = {_percent(error, 1)}",
        f"{expected.standard_error:.4f}² ÷ ({expected.standard_error:.4f}² + {error:.4f}²) = {weight:.3f}",
        f"{weight:.3f} × {own:.3f} + {1 - weight:.3f} × {others:.3f} = {pooled.log_factor.value:.3f}",
        f"2.718 ^ {pooled.log_factor.value:.3f} = {pooled.factor.value:.2f}",
        f"({shared:.4f} is what",
        f"{own:.3f} and {others:.3f} are the logarithms of {example.OWN_FACTOR:.2f} and {exp(others):.2f}.",
        (
            f"Three trees alone {told['3 trees alone']}, pooled {told['3 trees, pooled']}. Six trees alone "
            f"{told['6 trees alone']}, pooled {told['6 trees, pooled']}. Thirty trees alone {told['30 trees alone']}, "
            f"pooled {told['30 trees, pooled']}. Other blocks alone {told['No tree: other blocks']}."
        ),
        "with three trees from {} % to {} %,".format(*_measured(3)),
        "with six from {} % to {} %".format(*_measured(6)),
        f"more than {CONFLICT:.0f} standard deviations",
    ]


def _measured(trees: int) -> list[str]:
    """Mean error of the plain ratio and of partial pooling on real orchards."""
    row = _found(rf"\*\*three apple orchards\*\* \| {trees} \|(.*)", "pooling.md")
    ratio, _, pooled, *_ = row[0].split("|")
    return [ratio.strip(), pooled.strip()]


def _found(pattern: str, results: str) -> list[str]:
    """The groups of a pattern in a page of results."""
    found = re.search(pattern, (RESULTS / results).read_text(encoding="utf-8"))
    assert found, f"{results} says nothing like {pattern}"
    return [*found.groups()]


def _season() -> list[str]:
    rates, season = DEFAULT_RATES.steps, example.season()
    shares = [rate.median for step, rate in rates.items() if step != FRUIT_WEIGHT]
    fruit, grams = example.FRUIT_BY_STAGE[0] * float(np.prod(shares)), rates[FRUIT_WEIGHT].median
    foretold = {each.stage.replace("_", " "): each.kg_per_tree for each in season}
    seasons = {rate.seasons for rate in rates.values()}
    return [
        *(f"| {rate.median:.2f} | {_percent(rate.spread)} |" for step, rate in rates.items() if step != FRUIT_WEIGHT),
        f"| {grams:.0f} g | {_percent(rates[FRUIT_WEIGHT].spread)} |",
        f"{example.FRUIT_BY_STAGE[0]} × " + " × ".join(f"{share:.2f}" for share in shares) + f" = {fruit:.1f} a tree",
        f"{fruit:.1f} × {grams:.0f} ÷ 1000 = {fruit * grams / 1000:.1f} kg a tree",
        f"worth {' or '.join(f'{number:.0f}' for number in seasons)} seasons and no more",
        *(
            f"| {stage} | {counted} | {kg.value:.1f} | {_range(kg)} |"
            for (stage, kg), counted in zip(foretold.items(), example.FRUIT_BY_STAGE, strict=True)
        ),
        " ".join(f"{stage.capitalize()}: {_range(kg)}." for stage, kg in foretold.items()),
    ]


SAYINGS: Mapping[str, Callable[[], list[str]]] = {
    "The estimator": _estimator,
    "The paper's example": _paper,
    "The same with thirty counted trees": _counts,
    "1. The trees": _trees,
    "2. The weight of a fruit": _weight,
    "3. The detector": _detector,
    "4. The correction factor": _factor,
    "5. One block is not the orchard": _one_block,
    "6. Adding up": _adding_up,
    "7. The interval": _interval,
    "What each part adds": _parts,
    "Where the trees stand": _sitings,
    "When α is not to be trusted": _guard_rails,
    "Fruit that no photo shows": _hidden,
    "Both sides of a tree, and its neighbours": _sides,
    "Few trees": _few,
    "When one proportion is not enough": lambda: [f"Once {ENOUGH_BLOCKS} blocks or more"],
    "From flowers to harvest": _season,
}
