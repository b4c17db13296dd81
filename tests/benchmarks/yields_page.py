"""The page of yield results: Tables 9 and 10 of the paper, with paired differences and what intervals cover."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
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
POMONA_DATA=data python -m tests.benchmarks.yields SET…
```

Every row is predicted by models that saw nothing of its year: settings are searched (the same search and
{trials} trials for every model), scales fitted, rows added and weights learned on the other years alone; networks are
the mean of {members}. A value stands with the half width of its 95 % interval from 1000 resamples of the rows. *Ours
less theirs* is the difference of RMSE on the same resamples, with its interval, for *{on_effects}*, which learns what
random county effects leave ([how](../explanation/yields.md#few-rows)). *Inside* is the share of yields within their
90 % interval. Resamples take rows as independent; rows of one year are not, so what holds for another year is less
certain than these intervals say.

None of this is apples in Gansu. Soybean and wheat are sown each year, their counties' yields are steady and their
fields are large; apples bear in alternate years, stand on slopes in small orchards and are thinned by hand. These
sets say whether the network learns from a season more than simple models do when rows are few. They do not say how far
off it will be in an orchard.
"""


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
    """

    title: str
    unit: str
    yields: FloatArray
    year: NDArray[np.int64]
    outcomes: Mapping[str, Outcome]
    note: str
    missing: Sequence[str]
    anomaly: bool


def write_page(results: Sequence[SetResult], trials: int, members: int, path: Path) -> None:
    """Write all sections."""
    parts = [HEAD.format(on_effects=WIDE_AND_DEEP, trials=trials, members=members)]
    for result in results:
        parts += [f"\n## {result.title}\n", *_main_table(result), *_verdict(result), *_years(result)]
        parts += _variants(result, ABLATIONS, "What the parts are worth", "as it is")
        parts += _variants(result, AUGMENTATIONS, "What added rows are worth", "real rows alone")
    path.write_text("\n".join(parts).rstrip() + "\n", encoding="utf-8")


def _shown(interval: Interval) -> str:
    return f"{interval.value:.2f} ± {interval.half_width:.2f}"


def _tested(result: SetResult, outcome: Outcome) -> NDArray[np.bool_]:
    return np.asarray(np.isfinite(outcome.predicted) & np.isfinite(result.yields))


def _difference(result: SetResult, other: str) -> Interval | None:
    if WIDE_AND_DEEP not in result.outcomes or other == WIDE_AND_DEEP:
        return None
    ours, theirs = result.outcomes[WIDE_AND_DEEP], result.outcomes[other]
    rows = _tested(result, ours)
    return paired_difference(result.yields[rows], ours.predicted[rows], theirs.predicted[rows])


def _main_table(result: SetResult) -> list[str]:
    tested = max(int(_tested(result, outcome).sum()) for outcome in result.outcomes.values())
    lines = [
        f"{len(result.yields)} rows, {tested} of them tested; errors in {result.unit}. {result.note}".rstrip() + "\n",
        "| model | MAE | RMSE | MAPE % | R² | ours less theirs | inside % |",
        "| --- | --- | --- | --- | --- | --- | --- |",
    ]
    for name, outcome in result.outcomes.items():
        if name in ABLATIONS or name in AUGMENTATIONS:
            continue
        rows = _tested(result, outcome)
        scores = bootstrap(result.yields[rows], outcome.predicted[rows])
        per_cent = "–" if result.anomaly else _shown(scores["MAPE"])
        difference = _difference(result, name)
        less = (
            "" if difference is None else f"{difference.value:+.2f} ({difference.low:+.2f} to {difference.high:+.2f})"
        )
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
    errors = {}
    for name, outcome in result.outcomes.items():
        if name not in ABLATIONS and name not in AUGMENTATIONS:
            rows = _tested(result, outcome)
            errors[name] = float(rmse(result.yields[rows], outcome.predicted[rows]))
    if WIDE_AND_DEEP not in errors:
        return []
    best = min(errors, key=errors.__getitem__)
    seven = [name for name in PAPERS_SEVEN if name in errors]
    lost = [name for name in seven if errors[name] <= errors[WIDE_AND_DEEP]]
    differences = {name: _difference(result, name) for name in errors}
    close = [name for name, found in differences.items() if found is not None and found.low <= 0 <= found.high]
    told = f"{WIDE_AND_DEEP} has a lower RMSE than "
    if lost:
        told += f"{len(seven) - len(lost)} of the {len(seven)} models of the paper that ran, not than {_list(lost)}."
    else:
        told += f"all {len(seven)} models of the paper that ran ({_list(seven)})."
    if close:
        told += f" These rows cannot tell it from {_list(close)}: the interval of the difference holds zero."
    return [f"{told} The lowest RMSE of all has {best}.\n"]


def _list(names: Sequence[str]) -> str:
    return " and ".join(filter(None, [", ".join(names[:-1]), *names[-1:]]))


def _years(result: SetResult) -> list[str]:
    """Error and coverage of each test year for ours."""
    if WIDE_AND_DEEP not in result.outcomes:
        return []
    outcome = result.outcomes[WIDE_AND_DEEP]
    tested = _tested(result, outcome)
    lines = [
        f"{WIDE_AND_DEEP}, year by year:\n",
        "| year | RMSE | 90 % interval ± | inside % |",
        "| --- | --- | --- | --- |",
    ]
    for year in np.unique(result.year[tested]):
        rows = tested & (result.year == year)
        yields, predicted, widths = result.yields[rows], outcome.predicted[rows], outcome.half_widths[rows]
        error = float(rmse(yields, predicted))
        lines.append(
            f"| {year} | {error:.2f} | {widths.mean():.2f} | {100 * coverage(yields, predicted, widths):.1f} |"
        )
    return [*lines, ""]


def _variants(result: SetResult, variants: Mapping[str, Any], title: str, itself: str) -> list[str]:
    found = [name for name in variants if name in result.outcomes]
    if not found or WIDE_AND_DEEP not in result.outcomes:
        return []
    told = (
        f"{WIDE_AND_DEEP} with one thing changed, for the settings that were found for itself. Difference: its own "
        "RMSE less the variant's.\n"
    )
    lines = [
        f"### {title}\n",
        told,
        "| variant | MAE | RMSE | R² | difference |",
        "| --- | --- | --- | --- | --- |",
    ]
    for name in (WIDE_AND_DEEP, *found):
        outcome = result.outcomes[name]
        rows = _tested(result, outcome)
        scores = bootstrap(result.yields[rows], outcome.predicted[rows])
        difference = _difference(result, name)
        less = (
            "" if difference is None else f"{difference.value:+.2f} ({difference.low:+.2f} to {difference.high:+.2f})"
        )
        shown = " | ".join(_shown(scores[metric]) for metric in ("MAE", "RMSE", "R²"))
        lines.append(f"| {itself if name == WIDE_AND_DEEP else name} | {shown} | {less} |")
    return [*lines, ""]
