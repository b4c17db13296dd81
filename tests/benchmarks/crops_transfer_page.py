"""The page of the recurrent U-Net: the paper's table on simulated countries, and paired differences."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from models.maps.accuracy import scores
from models.maps.resampling import Interval, limits

METHODS = ("RF", "RI", "as it comes", "FT", "FT_E")
TRAINED = ("RI", "FT", "FT_E")
RATES = (1e-3, 5e-3)
BANDS: Mapping[str, tuple[str, ...]] = {"VH": ("VH",), "VH VV": ("VH", "VV")}
FEATURES = tuple(BANDS)
COUNTRIES = ("A", "B")
LABELS = (2,)
SEEDS = (0, 1, 2)
_RESAMPLES = 1000

HEAD = """# Recurrent U-Net: what was measured

Written by

```sh
POMONA_DATA=data python -m tests.benchmarks.crops_transfer pretrain choose tune angiang
```

**These countries are simulated.** No open set at hand has dense masks of rice in two countries with Sentinel-1 series,
so three are drawn: fields of rice, a summer crop, a winter crop, forest and water, with backscatter curves of eight
periods of 20 days, 32 x 32 px patches at 10 m. The source has its own calendar; country A is 25 days later and
country B 20 days earlier, with other crops beside the rice, other field sizes, another level of backscatter and two to
three times the speckle in power. What holds here shows that training, transfer and freezing do what they should; how
large a gain is on real countries it cannot say.

The network is the defined one at a quarter of its widths (8, 16, 32, 64), so that two processor cores can train it;
patches are 32 px where the paper has 256. The source is trained with VH on 240 patches, 100 cycles. In each target two
labelled patches are drawn, and every way of starting trains 30 cycles on them at the learning rate that did best on 30
patches of country A which nothing else uses. IoU of rice on 60 other patches of each country, drawn anew after all
choices; mean over three seeds, which draw labelled patches, weights and batches. How many cycles is a matter of the
time there was: RI, which begins with nothing, might gain most from more. No other number of labels was measured.

Batch normalisation keeps statistics for each date. With one running mean for all dates, as plain batch normalisation
has, the same network at home reached an IoU of 0.35 where its own batches' statistics gave 0.80 (40 cycles, 30 other
patches): what was normalised date by date in training was not when it mapped.

RF: random forest of pixels, trained in the target. RI: random weights. *As it comes*: the source's network, not trained
on. FT: all its weights trained on. FT_E: its encoder and carries trained on, its decoder frozen. With VV the source's
network is given a second band without weight, so that it begins as it was.

The paper's network (Jo, Koukos et al., arXiv 2211.04755) is trained on paddy rice of South Korea. Its table, by
fine-tuning in Spain, VH and then VH VV. Tested in Spain: RF 0.87 and 0.90, RI 0.86 and 0.69, FT 0.89 and 0.90, FT_E
0.90 and 0.90. Tested in France: RF 0.63 and 0.66, RI 0.52 and 0.36, FT 0.57 and 0.63, FT_E 0.63 and 0.66. Numbers of
countries that were drawn say nothing about those; the order of rows may be compared.
"""


AN_GIANG = f"""Windows of 10 x 10 px of Sentinel-1 in 2022 (`ey_rice_s1_angiang`), each rice or not as a whole, 16 of
them laid side by side, {LABELS[-1]} such mosaics to train on, 30 of other blocks to test on. This is reported only:
borders were drawn by us, no window holds both classes, and the sample without rice comes from five blocks. Weights come
from the simulated source.
"""


def cell_file(runs: Path, method: str, country: str, features: str, labels: int, seed: int) -> Path:
    """Where one training's error matrices are kept."""
    return runs / "cells" / f"{labels} {country} {features} {method} {seed}.json"


def choice_file(runs: Path, method: str, rate: float) -> Path:
    """Where the IoU on patches for choosing is kept."""
    return runs / "choose" / f"{method} {rate}.json"


def choice(runs: Path, method: str, rate: float) -> float:
    """IoU of one learning rate on patches for choosing."""
    return float(json.loads(choice_file(runs, method, rate).read_text(encoding="utf-8"))["iou"])


def chosen_rate(runs: Path, method: str) -> float:
    """The learning rate with the best IoU on patches for choosing."""
    return max(RATES, key=lambda rate: choice(runs, method, rate))


def _matrices(runs: Path, method: str, country: str, features: str, labels: int, test: str) -> NDArray[np.int64] | None:
    """(seeds, places, 2, 2) of the seeds that are there."""
    files = [cell_file(runs, method, country, features, labels, seed) for seed in SEEDS]
    there = [json.loads(file.read_text(encoding="utf-8"))[test] for file in files if file.is_file()]
    return np.array(there) if there else None


def _iou(matrices: NDArray[np.float64]) -> NDArray[np.float64]:
    # nothing mapped where rice is there: no overlap at all
    return np.nan_to_num(scores(matrices)["iou"][..., 1])


def _resampled(matrices: NDArray[np.int64]) -> NDArray[np.float64]:
    """(resamples,) IoU, the mean over trainings, over resamples of patches and of trainings."""
    seeds, places = matrices.shape[:2]
    random = np.random.default_rng(0)
    of_places = random.multinomial(places, np.full(places, 1 / places), _RESAMPLES)
    of_seeds = random.multinomial(seeds, np.full(seeds, 1 / seeds), _RESAMPLES)
    each = _iou(np.einsum("rp,spij->rsij", of_places, matrices).astype(np.float64))
    return np.asarray((each * of_seeds).sum(1) / seeds)


def difference(ours: NDArray[np.int64], theirs: NDArray[np.int64]) -> Interval:
    """IoU of ours less theirs on the same resamples of patches and seeds, with its interval of 95 %."""
    pairs = min(len(ours), len(theirs))
    ours, theirs = ours[:pairs], theirs[:pairs]
    value = float((_iou(ours.sum(1)) - _iou(theirs.sum(1))).mean())
    return Interval(value, *limits(_resampled(ours) - _resampled(theirs), 0.95))


def _table(runs: Path, labels: int) -> list[str]:
    columns = [(fine, test, features) for fine in COUNTRIES for test in _others(fine) for features in FEATURES]
    lines = [
        f"## {labels} labelled patches of the target\n",
        "| fine-tuned in | " + " | ".join(fine for fine, _, _ in columns) + " |",
        "| --- |" + " ---: |" * len(columns),
        "| tested in | " + " | ".join(test for _, test, _ in columns) + " |",
        "| features | " + " | ".join(features for _, _, features in columns) + " |",
    ]
    for method in METHODS:
        cells = []
        for fine, test, features in columns:
            found = _matrices(runs, method, fine, features, labels, test)
            cells.append("–" if found is None else f"{float(_iou(found.sum(1)).mean()):.3f}")
        lines.append(f"| {method} | " + " | ".join(cells) + " |")
    return [*lines, ""]


def _others(fine: str) -> tuple[str, ...]:
    return (fine, *(name for name in COUNTRIES if name != fine))


def _differences(runs: Path, labels: int) -> list[str]:
    lines = [
        "IoU less RI's, at home, with the interval of 95 % by paired resamples of patches and seeds:\n",
        "| fine-tuned and tested in | features | FT | FT_E | RF |",
        "| --- | --- | ---: | ---: | ---: |",
    ]
    for country in COUNTRIES:
        for features in FEATURES:
            random_start = _matrices(runs, "RI", country, features, labels, country)
            cells = []
            for method in ("FT", "FT_E", "RF"):
                found = _matrices(runs, method, country, features, labels, country)
                if found is None or random_start is None:
                    cells.append("–")
                else:
                    less = difference(found, random_start)
                    cells.append(f"{less.value:+.3f} ({less.low:+.3f} to {less.high:+.3f})")
            lines.append(f"| {country} | {features} | " + " | ".join(cells) + " |")
    return [*lines, ""]


def _an_giang(runs: Path) -> list[str]:
    lines = [
        "## Mosaics of An Giang\n",
        AN_GIANG,
        "| | " + " | ".join(FEATURES) + " |",
        "| --- |" + " ---: |" * len(FEATURES),
    ]
    for method in METHODS:
        cells = []
        for features in FEATURES:
            found = _matrices(runs, method, "An Giang", features, LABELS[-1], "An Giang")
            cells.append("–" if found is None else f"{float(_iou(found.sum(1)).mean()):.3f}")
        lines.append(f"| {method} | " + " | ".join(cells) + " |")
    lines.append("")
    for features in FEATURES:
        of = {m: _matrices(runs, m, "An Giang", features, LABELS[-1], "An Giang") for m in TRAINED}
        iou = {m: float(_iou(found.sum(1)).mean()) for m, found in of.items() if found is not None}
        if len(iou) == len(TRAINED):
            best = max(iou, key=lambda method: iou[method])
            helped = "did not help" if best == "RI" else "helped"
            lines.append(
                f"With {features} weights of a drawn country {helped} here: {best} is the best of the three.\n"
            )
    return lines


def _verdicts(runs: Path) -> list[str]:
    """FT and FT_E above RI where fine-tuned and tested in the same country, by features: the worst interval tells."""
    lines = ["## Must hold: FT and FT_E above RI where labels are few\n"]
    for method in ("FT", "FT_E"):
        found = []
        for country in COUNTRIES:
            for features in FEATURES:
                ours = _matrices(runs, method, country, features, LABELS[0], country)
                theirs = _matrices(runs, "RI", country, features, LABELS[0], country)
                if ours is not None and theirs is not None:
                    found.append(difference(ours, theirs))
        above = sum(each.low > 0 for each in found)
        whole = len(COUNTRIES) * len(FEATURES)
        met = "not measured" if not found else "met" if above == whole else "not met everywhere"
        lines.append(f"* {method}: **{met}**; above RI, with the whole interval, in {above} of {whole} cells.")
    return [*lines, ""]


def _source(runs: Path) -> list[str]:
    file = runs / "source.json"
    if not file.is_file():
        return []
    found = json.loads(file.read_text(encoding="utf-8"))
    return [
        "## At home\n",
        (
            f"IoU on 60 other patches of the source: network {found['network']:.3f}, random forest of pixels, trained "
            f"on the same patches, {found['forest']:.3f}.\n"
        ),
        "IoU on the patches for choosing, by learning rate:\n",
        "| | " + " | ".join(f"{rate:g}" for rate in RATES) + " |",
        "| --- |" + " ---: |" * len(RATES),
        *(
            f"| {method} | " + " | ".join(f"{choice(runs, method, rate):.3f}" for rate in RATES) + " |"
            for method in TRAINED
            if all(choice_file(runs, method, rate).is_file() for rate in RATES)
        ),
        "",
    ]


def write_page(runs: Path, out: Path) -> None:
    """Write what is there."""
    lines = [HEAD, *_verdicts(runs), *_source(runs)]
    for labels in LABELS:
        lines += _table(runs, labels) + _differences(runs, labels)
    lines += _an_giang(runs)
    done = len(list((runs / "cells").glob("*.json")))
    wanted = len(SEEDS) * len(METHODS) * len(FEATURES) * (len(LABELS) * len(COUNTRIES) + 1)
    if done < wanted:
        lines.append(
            f"{done} of {wanted} trainings are done; – is one that is not, and means are over the seeds done.\n"
        )
    out.write_text("\n".join(lines).rstrip() + "\n", encoding="utf-8")
