"""The page of yield results: Tables 9 and 10 of the paper, with paired differences and what intervals cover."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from textwrap import fill
from typing import Any

import numpy as np
from numpy.typing import NDArray

from models.yields.comparison import Outcome
from models.yields.conformal import coverage
from models.yields.scores import Interval, bootstrap, paired_difference, rmse
from models.yields.table import FloatArray

OURS = "APYieldNet"
WIDE_AND_DEEP = "APYieldNet, wide and deep"
WIDE_ALONE = "Its wide part alone"
PAPERS_SEVEN = ("Lasso", "Ridge", "Multiple linear", "PLSR", "LSTM", "GRU", "BiLSTM")

# switches of the network against its own default
ABLATIONS: Mapping[str, Mapping[str, Any]] = {
    "neither TCN nor ASB": {"tcn": False, "asb": False},
    "TCN alone": {"asb": False},
    "ASB alone": {"tcn": False},
    "statistics not to the head": {"revin_stats_to_head": False},
    "no RevIN": {"revin": False},
    "mean fusion": {"fusion": "mean"},
    "vector tokens": {"tokens": "vector"},
    "with ICB": {"icb": True},
    "sigmoid mask": {"mask_gradient": "sigmoid"},
    "no year": {"year": False},
}
# noisy copies; rows from Mixup and from the autoencoder, in real rows
AUGMENTATIONS: Mapping[str, tuple[int, float, float]] = {
    "noise": (2, 0.0, 0.0),
    "noise and Mixup": (2, 2.0, 0.0),
    "noise, Mixup and TVAE": (2, 2.0, 4.0),
}

HEAD = """# Yields predicted from seasons

How well APYieldNet predicts yields of public statistics, beside the models of its paper and those a sceptic would ask
for. Written by

```sh
POMONA_DATA=data python -m tests.benchmarks.yields {sets}
```

Every row is predicted by models that saw nothing of its year: settings are searched (the same search for every model;
{trials} trials for networks, ours and trees, {linear_trials} for linear models, which take no time), scales fitted,
rows added and weights learned on the other years alone; networks are the mean of {members}. *{ours}* is the network
as in the paper; *{wide_and_deep}* is our variant of it ([how](../explanation/yields.md#few-rows)), and *{wide_alone}*
is what is left of that without the network. A value stands with the half width of its 95 % interval from 1000
resamples of the rows. *Ours less theirs* is the difference of RMSE on the same resamples, with its interval, for
*{wide_and_deep}*. *Inside* is the share of yields within their 90 % interval. Resamples take rows as independent;
rows of one year are not, so what holds for another year is less certain than these intervals say.

{looked_at}

How much can be told before the season is over has [a page of its own](yields-in-season.md).

## What this says of apples in Gansu

Little. Soybean, maize and wheat are sown each year, their counties' yields are steady and their fields are large;
apples bear in alternate years, stand on slopes in small orchards and are thinned by hand. The only apples here are of
four whole states with the weather of a few stations, of which two states' temperatures are not of their months. These
sets say whether the network learns from a season more than simple models do when rows are few and the year is new.
They do not say how far off it will be in a county of Gansu, let alone in an orchard; that is known once the owner's own
statistics have been through the same comparison.

The paper's own figures, kg/mu, for 22 counties of Gansu in 2023, and R² there. They are of one test year, with
settings and a stop that near-copies of the training rows decided, so they do not compare with those below row by row:

| model | MAE | RMSE | MAPE % | R² |
| --- | --- | --- | --- | --- |
| Lasso | 235.20 ± 56.71 | 303.27 ± 73.86 | 20.25 ± 6.35 | 0.68 ± 0.07 |
| Ridge | 224.51 ± 54.29 | 288.32 ± 68.11 | 19.82 ± 6.53 | 0.70 ± 0.07 |
| Multiple linear | 221.66 ± 48.53 | 278.54 ± 62.62 | 20.33 ± 6.89 | 0.72 ± 0.09 |
| PLSR | 217.81 ± 47.85 | 276.91 ± 62.97 | 20.38 ± 7.45 | 0.72 ± 0.09 |
| LSTM | 199.78 ± 58.38 | 270.82 ± 67.76 | 15.14 ± 4.36 | 0.73 ± 0.09 |
| GRU | 196.00 ± 55.78 | 263.87 ± 72.94 | 15.48 ± 4.88 | 0.74 ± 0.11 |
| BiLSTM | 187.52 ± 45.71 | 236.82 ± 54.61 | 14.78 ± 3.57 | 0.80 ± 0.07 |
| APYieldNet | 152.68 ± 40.83 | 203.92 ± 57.28 | 12.64 ± 4.03 | 0.85 ± 0.06 |
| – without TCN and ASB | 177.79 | 240.29 | 15.34 | 0.79 |
| – with TCN alone | 178.26 | 235.82 | 13.51 | 0.81 |
| – with ASB alone | 163.62 | 222.22 | 12.94 | 0.83 |
"""

LOOKED_AT = """How the wide part is built was chosen by errors on left-out training years alone: about fifty
settings of effects, thirty-six of the line and thirteen mixed models of effects and season were looked at, on
up to five splits of each set, and three ways of putting the network beside them (the third, leaving RevIN to
the search, came after the table of parts below and changed the RMSE of both Illinois sets by 0.01; it is not
in). Training years of one split are test years of another, so this choice is blind to no year. A comparison
with a pretrained transformer for tables (TabPFN) is missing: its weights are not in its package and cannot be
fetched here."""


@dataclass(frozen=True, eq=False)
class SetResult:
    """What models did on one set.

    Attributes:
        title: of the section.
        unit: of all yields here.
        yields: (n,).
        year: (n,).
        outcomes: by the model's name.
        note: what a reader has to know of the set.
        missing: models that have not been run.
        anomaly: whether yields are departures, of which no percentage can be taken.
        processor_seconds: of all models; None where some have not been run.
    """

    title: str
    unit: str
    yields: FloatArray
    year: NDArray[np.int64]
    outcomes: Mapping[str, Outcome]
    note: str
    missing: Sequence[str]
    anomaly: bool
    processor_seconds: float | None


def write_page(
    results: Sequence[SetResult], sets: Sequence[str], trials: tuple[int, int], members: int, path: Path
) -> None:
    """Write all sections; trials are those of networks and those of linear models."""
    head = HEAD.format(
        sets=" ".join(sets),
        ours=OURS,
        wide_and_deep=WIDE_AND_DEEP,
        wide_alone=WIDE_ALONE,
        trials=trials[0],
        linear_trials=trials[1],
        members=members,
        looked_at=LOOKED_AT,
    )
    parts = [wrapped(head), *_overview(results)]
    for result in results:
        parts += [f"\n## {result.title}\n", *_main_table(result), *_verdict(result), *_years(result)]
        parts += _variants(result, ABLATIONS, OURS, "What the parts of the network are worth", "as it is")
        parts += _variants(result, AUGMENTATIONS, WIDE_AND_DEEP, "What added rows are worth", "real rows alone")
        if result.processor_seconds is not None:
            parts.append(f"All models of this set took {result.processor_seconds / 60:.0f} min of one core.\n")
    path.write_text("\n".join(parts).rstrip() + "\n", encoding="utf-8")


def wrapped(text: str) -> str:
    """Paragraphs as wide as the documentation's others; code, tables and headings as they are."""
    blocks = text.split("\n\n")
    plain = [
        block if block.lstrip()[:1] in ("`", "|", "#", "!") else fill(block, 120, break_on_hyphens=False)
        for block in blocks
    ]
    return "\n\n".join(plain)


def _overview(results: Sequence[SetResult]) -> list[str]:
    """Each set in a line: ours, the best of the paper's seven, the best of all, and what intervals cover."""
    lines = [
        "\n## All sets\n",
        f"RMSE. *Ours* is *{WIDE_AND_DEEP}*. No weights of these sets are shipped: most state no licence.\n",
        "| set | ours | best of the paper's seven | ours less that | lowest of all | inside 90 % intervals, % |",
        "| --- | --- | --- | --- | --- | --- |",
    ]
    for result in results:
        errors = _errors(result)
        seven = [name for name in PAPERS_SEVEN if name in errors]
        if WIDE_AND_DEEP not in errors or not seven:
            continue
        rival, best = min(seven, key=errors.__getitem__), min(errors, key=errors.__getitem__)
        outcome = result.outcomes[WIDE_AND_DEEP]
        rows = _tested(result, outcome)
        inside = 100 * coverage(result.yields[rows], outcome.predicted[rows], outcome.half_widths[rows])
        lines.append(
            f"| {result.title} | {errors[WIDE_AND_DEEP]:.2f} {result.unit} | {rival} {errors[rival]:.2f} "
            f"| {_less(_difference(result, WIDE_AND_DEEP, rival))} | {best} {errors[best]:.2f} | {inside:.1f} |"
        )
    told = (
        "Where the lowest of all is another model than ours, that one is to be used there; where it sees no season, "
        "what is known of such seasons says nothing of a new year's yields that years left out would bear out."
    )
    return [*lines, "", fill(told, 120)]


def _errors(result: SetResult) -> dict[str, float]:
    """RMSE of each model that is compared."""
    errors = {}
    for name, outcome in result.outcomes.items():
        if name not in ABLATIONS and name not in AUGMENTATIONS:
            rows = _tested(result, outcome)
            errors[name] = float(rmse(result.yields[rows], outcome.predicted[rows]))
    return errors


def _shown(interval: Interval) -> str:
    return f"{interval.value:.2f} ± {interval.half_width:.2f}"


def _tested(result: SetResult, outcome: Outcome) -> NDArray[np.bool_]:
    return np.asarray(np.isfinite(outcome.predicted) & np.isfinite(result.yields))


def _difference(result: SetResult, one: str, other: str) -> Interval | None:
    if one not in result.outcomes or other == one:
        return None
    ours, theirs = result.outcomes[one], result.outcomes[other]
    rows = _tested(result, ours)
    return paired_difference(result.yields[rows], ours.predicted[rows], theirs.predicted[rows])


def _less(difference: Interval | None) -> str:
    return "" if difference is None else f"{difference.value:+.2f} ({difference.low:+.2f} to {difference.high:+.2f})"


def _main_table(result: SetResult) -> list[str]:
    tested = max(int(_tested(result, outcome).sum()) for outcome in result.outcomes.values())
    told = f"{len(result.yields)} rows, {tested} of them tested; errors in {result.unit}. {result.note}"
    lines = [
        fill(told, 120) + "\n",
        "| model | MAE | RMSE | MAPE % | R² | ours less theirs | inside % |",
        "| --- | --- | --- | --- | --- | --- | --- |",
    ]
    for name, outcome in result.outcomes.items():
        if name in ABLATIONS or name in AUGMENTATIONS:
            continue
        rows = _tested(result, outcome)
        scores = bootstrap(result.yields[rows], outcome.predicted[rows])
        per_cent = "–" if result.anomaly else _shown(scores["MAPE"])
        less = _less(_difference(result, WIDE_AND_DEEP, name))
        inside = 100 * coverage(result.yields[rows], outcome.predicted[rows], outcome.half_widths[rows])
        lines.append(
            f"| {name} | {_shown(scores['MAE'])} | {_shown(scores['RMSE'])} | {per_cent} | {_shown(scores['R²'])} "
            f"| {less} | {inside:.1f} |"
        )
    if result.missing:
        lines.append(f"\nNot run yet: {', '.join(result.missing)}.")
    return [*lines, ""]


def _verdict(result: SetResult) -> list[str]:
    """Which model is best here, and whether ours is better than the paper's seven."""
    errors = _errors(result)
    if WIDE_AND_DEEP not in errors:
        return []
    best = min(errors, key=errors.__getitem__)
    seven = [name for name in PAPERS_SEVEN if name in errors]
    lost = [name for name in seven if errors[name] <= errors[WIDE_AND_DEEP]]
    differences = {name: _difference(result, WIDE_AND_DEEP, name) for name in errors}
    close = [name for name, found in differences.items() if found is not None and found.low <= 0 <= found.high]
    told = f"{WIDE_AND_DEEP} has a lower RMSE than "
    if lost:
        told += f"{len(seven) - len(lost)} of the {len(seven)} models of the paper that ran, not than {_list(lost)}."
    else:
        told += f"all {len(seven)} models of the paper that ran ({_list(seven)})."
    if close:
        told += f" These rows cannot tell it from {_list(close)}: the interval of the difference holds zero."
    return [fill(f"{told} The lowest RMSE of all has {best}.", 120) + "\n"]


def _list(names: Sequence[str]) -> str:
    return " and ".join(filter(None, [", ".join(names[:-1]), *names[-1:]]))


def _years(result: SetResult) -> list[str]:
    """Error and coverage of each test year for ours."""
    if WIDE_AND_DEEP not in result.outcomes:
        return []
    outcome = result.outcomes[WIDE_AND_DEEP]
    tested = _tested(result, outcome)
    lines = [
        f"{WIDE_AND_DEEP}, year by year, and how much of its line and network the other years let it take:\n",
        "| year | RMSE | 90 % interval ± | inside % | line | network |",
        "| --- | --- | --- | --- | --- | --- |",
    ]
    for year in np.unique(result.year[tested]):
        rows = tested & (result.year == year)
        yields, predicted, widths = result.yields[rows], outcome.predicted[rows], outcome.half_widths[rows]
        error = float(rmse(yields, predicted))
        taken = next(own for name, own in outcome.parameters.items() if _is_of(name, int(year)))
        lines.append(
            f"| {year} | {error:.2f} | {widths.mean():.2f} | {100 * coverage(yields, predicted, widths):.1f} "
            f"| {taken['line_share']:.2f} | {taken['network_share']:.2f} |"
        )
    return [*lines, ""]


def _is_of(split: str, year: int) -> bool:
    """Whether a split of this name, such as ``2019 to 2022``, tests the year."""
    first, *rest = map(int, split.split(" to "))
    return first <= year <= (rest[0] if rest else first)


def _variants(result: SetResult, variants: Mapping[str, Any], base: str, title: str, itself: str) -> list[str]:
    found = [name for name in variants if name in result.outcomes]
    if not found or base not in result.outcomes:
        return []
    told = (
        f"{base} with one thing changed, for the settings that were found for itself. Difference: its own RMSE less "
        "the variant's.\n"
    )
    lines = [
        f"### {title}\n",
        told,
        "| variant | MAE | RMSE | R² | difference |",
        "| --- | --- | --- | --- | --- |",
    ]
    for name in (base, *found):
        outcome = result.outcomes[name]
        rows = _tested(result, outcome)
        scores = bootstrap(result.yields[rows], outcome.predicted[rows])
        shown = " | ".join(_shown(scores[metric]) for metric in ("MAE", "RMSE", "R²"))
        lines.append(f"| {itself if name == base else name} | {shown} | {_less(_difference(result, base, name))} |")
    return [*lines, ""]
