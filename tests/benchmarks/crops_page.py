"""The page of the weighted LSTM's results."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from models.crops.scores import Figure, Judged, kappa, mean_f1, overall, paired_difference, with_interval, worst_f1
from models.crops.series import IntArray, PixelSeries
from models.maps.accuracy import scores
from models.maps.resampling import Interval

FOREST = "Random forest"
FOREST_TOO = "Random forest, indices"
PAPERS = "Weighted LSTM"
OURS = "Weighted LSTM, indices, kernel"
BY_SHARES = ", by the map's shares"
BY_FOUND = ", by shares found without labels"
FIRST = "Weighted LSTM, first stage"
FINAL = "Weighted LSTM, whole pipeline"
NOISY = "A fifth of the labels wrong, no reliable samples"
NOISY_FINAL = "A fifth of the labels wrong, whole pipeline"
CLEAN = "Right labels, no reliable samples"
TABLE_1 = ("36 steps, local", "12 months, local", "12 months, neighbour", "12 months, both")
MISSING: Mapping[float, tuple[str, str]] = {
    share: (f"{OURS}, {share:.0%} of steps missing", f"{FOREST}, {share:.0%} of steps missing")
    for share in (0.0, 0.25, 0.5, 0.75)
}
_FIGURES: Mapping[str, Figure] = {"OA": overall, "kappa": kappa, "mean F1": mean_f1, "worst F1": worst_f1}

HEAD = """# Crop maps by the weighted LSTM

How well the weighted LSTM tells crops apart, beside a random forest and other networks for pixel series. Written by

```sh
POMONA_DATA=data python -m tests.benchmarks.crops all
```

Points of the Cropland Data Layer in Arkansas (10,000) and California (10,020), Sentinel-2 of 2021 as medians of the
months, ten bands. The layer is itself a classification and wrong in places: what is measured is agreement with it. One
year and two states; what another year does to these figures the data cannot say.

* **Weighted LSTM** is the paper's network (425,415 parameters at ten bands and 15 classes, as the paper has them) on
  the ten bands, trained with AdamW and dropout instead of RMSprop.
* **Weighted LSTM, indices, kernel** is ours, `pomona train weighted-lstm --indices --kernel`: the same network sees
  logarithms and six vegetation indices, and its probabilities are averaged with those of a kernel logistic
  regression. Whether to use them, and the kernel's width and ridge, was decided by cross-validation inside the
  training points of the first draw of each state; none of that draw's test points had a say.
* Other networks and the forest (500 trees) read the bands. Networks take the loop that was chosen for the LSTM
  (AdamW, 40 passes) and were not searched for themselves. *Random forest, indices* sees what ours sees.
* **By the map's shares**: training points are as many of each class, a map's are not, so what learned from them says
  rare crops too often. Where the shares of the classes are known, as the method takes them to be (its first step
  draws by them), the probabilities are put right by Bayes' rule: `--map-shares`. That lifts the forest too, so tables
  show both ways, and **every** model gets the same shares: for draws at random those of all points of the state,
  elsewhere those of all that is not held out. The published figures are without. *Shares found without labels* are
  estimated from the probabilities of the test points alone (Saerens and others, 2002), as a check that nothing hangs
  on knowing them.

Figures are means over trainings, each with a draw or a dealing of blocks of its own. The column says how many; three
are meant, and what a table lacks was not run, as it takes hours on two cores. Intervals of 95 % are from 1,000
resamples of blocks of 20 km and of trainings; *ours less theirs* is on the same resamples. OA is overall accuracy, PA
and UA a class's producer's and user's accuracy.

In short: ours is above the forest in every table, and above the paper's network on draws at random. It is not the best
network there: L-TAE, in a fifth of the time and without indices or kernel, is level with it or better (one training
each), and TempCNN is level. Shares help where they are true. From zone to zone in California those of the one zone are
wrong for the other, and from zone 1 to zone 0 they cost ours a quarter of OA: leave `--map-shares` off for a region
whose shares are not known.
"""
# of a random forest and of MCTNet on these points, and the least that was asked of ours
_ASKED = {"arkansas": (0.945, 0.918, 0.938), "california": (0.86, 0.819, 0.845)}


@dataclass(frozen=True, eq=False)
class Outcome:
    """What models said in one experiment.

    Attributes:
        title: of its section.
        note: what a reader has to know.
        pixels: all of them.
        mapped: by the model's name, (seeds, n) classes, -1 where not tested.
        train: pixels trained on.
    """

    title: str
    note: str
    pixels: PixelSeries
    mapped: Mapping[str, IntArray]
    train: int

    def judged(self, name: str) -> Judged:
        """What one model said."""
        return Judged(self.pixels.label, self.mapped[name], self.pixels.block, self.pixels.classes)


def write_page(outcomes: Mapping[str, Outcome], path: Path, lacking: Sequence[str] = ()) -> None:
    """Write the page of all experiments that were run, and name the others."""
    parts = [HEAD, "## What was asked, and what came\n", _promises(outcomes)]
    for name, outcome in outcomes.items():
        parts.append(f"## {outcome.title}\n")
        if outcome.note:
            parts.append(outcome.note + "\n")
        parts.append(_table(outcome, [name for name in outcome.mapped if not name.endswith((BY_SHARES, BY_FOUND))]))
        if {OURS + BY_SHARES, FINAL + BY_SHARES} & outcome.mapped.keys():
            parts.append("By the map's shares:\n")
            parts.append(_table(outcome, [name for name in outcome.mapped if name.endswith(BY_SHARES)]))
        if name == "joint" and {FIRST, FINAL} <= outcome.mapped.keys():
            parts.append(_by_class(outcome))
    if lacking:
        parts.append("## Not run yet\n")
        parts += [f"* {title}" for title in lacking]
    path.write_text("\n".join(parts).rstrip() + "\n", encoding="utf-8")


def _promises(outcomes: Mapping[str, Outcome]) -> str:
    lines = [_row(["asked", "trainings", "found", "kept"]), _row(["---", "--:", "---", "---"])]
    for state, (least, forest, mctnet) in _ASKED.items():
        if f"{state}-random" not in outcomes:
            continue
        outcome = outcomes[f"{state}-random"]
        for name, how in (
            (OURS, "without shares"),
            (OURS + BY_SHARES, "by the map's shares"),
            (OURS + BY_FOUND, "by shares found"),
        ):
            if name not in outcome.mapped:
                continue
            found = with_interval(outcome.judged(name), overall)
            asked = f"{state.capitalize()}, at random: OA of {least} (forest {forest}, MCTNet {mctnet}), {how}"
            lines.append(_row([asked, str(len(outcome.mapped[name])), _interval(found), _kept(found, least)]))
    for key, outcome in outcomes.items():
        for suffix in ("", BY_SHARES):
            if "random" in key or not {OURS + suffix, FOREST + suffix} <= outcome.mapped.keys():
                continue
            less = _difference(outcome, OURS + suffix, FOREST + suffix, overall)
            asked = f"{outcome.title}{suffix}: OA above the forest's"
            lines.append(_row([asked, str(len(outcome.mapped[OURS + suffix])), _signed(less), _kept(less, 0)]))
    if "joint" in outcomes:
        lines += _of_the_pipeline(outcomes["joint"])
    return "\n".join(lines) + "\n"


def _of_the_pipeline(outcome: Outcome) -> list[str]:
    lines = []
    for suffix in ("", BY_SHARES):
        final, clean, noisy, won = (name + suffix for name in (FINAL, CLEAN, NOISY, NOISY_FINAL))
        if {FIRST, final} <= outcome.mapped.keys():
            for label, figure in (("OA", overall), ("F1 of the worst class", worst_f1)):
                gain = _difference(outcome, final, FIRST, figure)
                asked = f"16 classes{suffix}: the whole pipeline above its own first stage in {label}"
                lines.append(_row([asked, str(len(outcome.mapped[final])), _signed(gain), _kept(gain, 0)]))
        if {clean, noisy, won} <= outcome.mapped.keys():
            lost, back = (_difference(outcome, name, noisy, overall) for name in (clean, won))
            share = back.value / lost.value if lost.value > 0 else float("nan")
            said = f"lost {_signed(lost)}, won back {_signed(back)}: {share:.0%}"
            kept = "yes" if share >= 0.5 else "no"
            asked = f"16 classes{suffix}, a fifth of the labels wrong: reliable samples win back half of the lost OA"
            lines.append(_row([asked, str(len(outcome.mapped[noisy])), said, kept]))
    return lines


def _kept(found: Interval, least: float) -> str:
    if found.value < least:
        return f"no, {least - found.value:.3f} short"
    return "yes" if found.low >= least else "yes, within chance"


def _table(outcome: Outcome, names: list[str]) -> str:
    wanted = (OURS, OURS + BY_SHARES, FINAL, FINAL + BY_SHARES, TABLE_1[3], MISSING[0.0][0])
    ours = next((name for name in wanted if name in names), None)
    head = ["", "trainings", *_FIGURES, "ours less theirs, OA"]
    lines = [_row(head), _row(["---", *["--:"] * (len(head) - 1)])]
    for name in sorted(names, key=lambda name: (name != ours, name)):
        judged = outcome.judged(name)
        found = [with_interval(judged, figure) for figure in _FIGURES.values()]
        cells = [_interval(found[0]), *(f"{one.value:.3f}" for one in found[1:])]
        less = "" if ours is None or name == ours else _signed(_difference(outcome, ours, name, overall))
        shown = name.removesuffix(BY_SHARES)
        lines.append(_row([f"**{shown}**" if name == ours else shown, str(len(judged.mapped)), *cells, less]))
    return "\n".join(lines) + "\n"


def _difference(outcome: Outcome, ours: str, theirs: str, figure: Figure) -> Interval:
    """Over the trainings that both have."""
    both = min(len(outcome.mapped[ours]), len(outcome.mapped[theirs]))
    sides = [
        Judged(outcome.pixels.label, outcome.mapped[name][:both], outcome.pixels.block, outcome.pixels.classes)
        for name in (ours, theirs)
    ]
    return paired_difference(sides[0], sides[1], figure)


def _by_class(outcome: Outcome) -> str:
    lines = [_row(["class", "tested", "PA first", "UA first", "F1 first", "PA whole", "UA whole", "F1 whole"])]
    lines.append(_row(["---", *["--:"] * 7]))
    tested = outcome.judged(FINAL).matrices().sum((0, 1, 2))
    found = [scores(outcome.judged(name).matrices().sum((0, 1))) for name in (FIRST, FINAL)]
    for index, name in enumerate(outcome.pixels.legend):
        cells = [f"{100 * one[key][index]:.1f}" for one in found for key in ("producers", "users", "f1")]
        lines.append(_row([name, f"{tested[index]:,}", *cells]))
    return "\n".join(lines) + "\n"


def _signed(interval: Interval) -> str:
    return f"{interval.value:+.3f} ({interval.low:+.3f} to {interval.high:+.3f})"


def _interval(interval: Interval) -> str:
    if not np.isfinite(interval.low):
        return f"{interval.value:.3f}"
    return f"{interval.value:.3f} ({interval.low:.3f} to {interval.high:.3f})"


def _row(cells: list[str]) -> str:
    return f"| {' | '.join(cells)} |"
