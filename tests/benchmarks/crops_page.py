"""The page of the weighted LSTM's results."""

from __future__ import annotations

from collections.abc import Mapping
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

How well the weighted LSTM tells crops apart, beside the networks of its paper, a random forest and two later networks.
Written by

```sh
POMONA_DATA=data python -m tests.benchmarks.crops all
```

Points of the Cropland Data Layer in Arkansas (10,000) and California (10,020), Sentinel-2 of 2021 as medians of the
months, ten bands. Labels are the layer's codes, which are themselves a classification and wrong in places; what is
measured is agreement with it. Networks have one loop and one number of passes (AdamW, one rise and fall of the rate),
chosen for the LSTM inside the training draw of seed 0; the peers were not searched for themselves, the forest has 500
trees. Every figure is the mean over the trainings, each with a draw or a dealing of blocks of its own, with the
interval of 95 % from 1,000 resamples of blocks of 20 km and of trainings; *ours less theirs* is on the same resamples.
One year and two states: what another year does to these figures the data cannot say.
"""


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


def write_page(outcomes: Mapping[str, Outcome], path: Path) -> None:
    """Write the page of all experiments that were run."""
    parts = [HEAD]
    for name, outcome in outcomes.items():
        parts.append(f"## {outcome.title}\n")
        if outcome.note:
            parts.append(outcome.note + "\n")
        parts.append(_table(outcome))
        if name == "joint" and {FIRST, FINAL} <= outcome.mapped.keys():
            parts.append(_by_class(outcome))
            parts.append(_recovered(outcome))
    path.write_text("\n".join(parts).rstrip() + "\n", encoding="utf-8")


def _table(outcome: Outcome) -> str:
    ours = next((name for name in (OURS, FINAL, TABLE_1[3], MISSING[0.0][0]) if name in outcome.mapped), None)
    head = ["", "trainings", *_FIGURES, "ours less theirs, OA"]
    lines = [_row(head), _row(["---", *["--:"] * (len(head) - 1)])]
    order = sorted(outcome.mapped, key=lambda name: (name != ours, name))
    for name in order:
        judged = outcome.judged(name)
        cells = [_interval(with_interval(judged, figure)) for figure in _FIGURES.values()]
        less = "" if ours is None or name == ours else _against(outcome, ours, name)
        lines.append(_row([f"**{name}**" if name == ours else name, str(len(judged.mapped)), *cells, less]))
    return "\n".join(lines) + "\n"


def _against(outcome: Outcome, ours: str, theirs: str) -> str:
    both = min(len(outcome.mapped[ours]), len(outcome.mapped[theirs]))
    sides = [
        Judged(outcome.pixels.label, outcome.mapped[name][:both], outcome.pixels.block, outcome.pixels.classes)
        for name in (ours, theirs)
    ]
    found = paired_difference(sides[0], sides[1], overall)
    return f"{found.value:+.3f} ({found.low:+.3f} to {found.high:+.3f})"


def _by_class(outcome: Outcome) -> str:
    lines = [_row(["class", "PA first", "UA first", "F1 first", "PA whole", "UA whole", "F1 whole"])]
    lines.append(_row(["---", *["--:"] * 6]))
    found = [scores(outcome.judged(name).matrices().sum((0, 1))) for name in (FIRST, FINAL)]
    for index, name in enumerate(outcome.pixels.legend):
        cells = [f"{100 * one[key][index]:.1f}" for one in found for key in ("producers", "users", "f1")]
        lines.append(_row([name, *cells]))
    return "\n".join(lines) + "\n"


def _recovered(outcome: Outcome) -> str:
    said = []
    for label, figure in (("OA", overall), ("the worst class's F1", worst_f1)):
        gain = paired_difference(outcome.judged(FINAL), outcome.judged(FIRST), figure)
        said.append(f"The whole pipeline less its first stage: {_signed(gain)} in {label}.")
    if {NOISY, NOISY_FINAL, CLEAN} <= outcome.mapped.keys():
        values = {name: with_interval(outcome.judged(name), overall).value for name in (NOISY, NOISY_FINAL, CLEAN)}
        lost = values[CLEAN] - values[NOISY]
        back = values[NOISY_FINAL] - values[NOISY]
        share = f"{back / lost:.0%}" if lost > 0 else "nothing to win"
        said.append(f"With a fifth of the labels wrong {lost:.3f} of OA is lost; reliable samples win back {share}.")
    return "\n".join(said) + "\n"


def _signed(interval: Interval) -> str:
    return f"{interval.value:+.3f} ({interval.low:+.3f} to {interval.high:+.3f})"


def _interval(interval: Interval) -> str:
    if not np.isfinite(interval.low):
        return f"{interval.value:.3f}"
    return f"{interval.value:.3f} ({interval.low:.3f} to {interval.high:.3f})"


def _row(cells: list[str]) -> str:
    return f"| {' | '.join(cells)} |"
