"""docs/results/mt-cyp-net.md, from what has been run."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from models.maps.resampling import Interval
from models.yields.pixels.scores import crop_scores, yield_scores
from tests.benchmarks.yields_page import wrapped

OURS = "MT-CYP-Net (small)"
_CROP_FIGURES = ("mIoU", "accuracy", "precision", "recall")
_COMMAND = "POMONA_DATA=data python -m tests.benchmarks.pixel_yields"
_HEAD = """# Yields and crops of pixels, from few labels

What MT-CYP-Net and its peers do on fields that they have not seen. Every table is made by one command, which goes on
where it was stopped; rows that are missing are named below their table. The small encoder is used throughout: the sets
are of 31 fields and of 75 tiles, and the machine has two cores and no GPU. No weights were fetched, so nothing is
pre-trained.
"""


@dataclass(frozen=True, eq=False)
class Row:
    """All parts of a row, joined.

    Attributes:
        parts: names of the files.
        kept: what each holds.
    """

    parts: list[str]
    kept: list[dict[str, Any]]

    def column(self, name: str) -> NDArray[Any]:
        """Values of all parts, one after the other."""
        return np.concatenate([np.asarray(one[name]) for one in self.kept])


def write_page(runs: Path, out: Path) -> None:
    """Write the page from what there is.

    Args:
        runs: folder of what was run.
        out: the page.
    """
    sections = [_HEAD]
    for table, write in _SECTIONS.items():
        rows = read_rows(runs / table)
        if rows:
            sections.append(f"{write(rows)}\n\n`{_COMMAND} {table}`\n")
    out.parent.mkdir(parents=True, exist_ok=True)
    out.write_text("\n".join(sections), encoding="utf-8")


def read_rows(folder: Path) -> dict[str, Row]:
    """Rows of a table by their names."""
    found: dict[str, Row] = {}
    for of_row in sorted(folder.glob("*")):
        files = sorted(of_row.glob("*.json"), key=lambda file: int(file.stem))
        kept = [json.loads(file.read_text(encoding="utf-8")) for file in files]
        if kept:
            found[kept[0]["name"]] = Row([file.stem for file in files], kept)
    return found


def _figure(interval: Interval, form: str = ".2f") -> str:
    return f"{interval.value:{form}} ({interval.low:{form}} to {interval.high:{form}})"


def _table(head: list[str], rows: list[list[str]]) -> str:
    lines = [head, ["---", *["---:"] * (len(head) - 1)], *rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def _whole(rows: Mapping[str, Row]) -> tuple[dict[str, Row], str]:
    """Rows that have as many parts as the longest, and a line that names the others."""
    most = max(len(row.parts) for row in rows.values())
    whole = {name: row for name, row in rows.items() if len(row.parts) == most}
    missing = [f"{name} ({len(row.parts)} of {most})" for name, row in rows.items() if name not in whole]
    return whole, f"\n\nUnder way: {', '.join(missing)}." if missing else ""


def _compared(rows: Mapping[str, Row], last: str) -> str:
    """Yield scores on the same points; the last row is what the others are compared with."""
    whole, missing = _whole(rows)
    names = [name for name in whole if name != last] + ([last] if last in whole else [])
    first = whole[names[0]]
    order = {name: np.lexsort((whole[name].column("yields"), whole[name].column("field"))) for name in names}
    yields, field = (first.column(key)[order[names[0]]] for key in ("yields", "field"))
    said = {name: whole[name].column("predicted")[order[name]] for name in names}
    found = yield_scores(yields, said, field)
    body = [
        [
            name,
            _figure(found[name]["RMSE"]),
            _figure(found[name]["MAE"]),
            _figure(found[name]["R²"]),
            "" if name == names[-1] else _figure(found[name]["less"], "+.3f"),
            f"{sum(one['cpu_s'] for one in whole[name].kept):.0f}" if "cpu_s" in whole[name].kept[0] else "",
        ]
        for name in names
    ]
    head = ["", "RMSE t/ha", "MAE t/ha", "R²", f"RMSE of {names[-1]} less its own", "CPU s"]
    lines = f"{len(yields)} yields of {len(np.unique(field))} fields."
    return f"{lines}\n\n{_table(head, body)}{missing}"


def _bavaria(rows: Mapping[str, Row]) -> str:
    text = _compared(rows, OURS)
    return f"""## Bavarian cereals, by field

31 fields of winter wheat and winter barley, 2018, twelve dates of Sentinel-2 with twelve bands and four indices; ten
folds of whole fields, judged on every published yield. Settings of each model are searched on the training fields of
each fold alone, by two folds of whole fields, with the same number of trials; the networks are the mean of three.
Trees get the crop as a feature; networks map yields back by it. Both networks begin at a straight line and take of what
they add to it the share that fields left out bear out
([how](../explanation/pixel-yields.md#what-differs-each-by-a-switch)). Intervals are of resampled fields.

{text}

{_shares_taken(rows)}

{_by_crop(rows)}"""


def _shares_taken(rows: Mapping[str, Row]) -> str:
    said = [
        f"{name} {', '.join(format(one['parameters']['share'], '.0%') for one in row.kept)}"
        for name, row in rows.items()
        if "share" in row.kept[0]["parameters"]
    ]
    return wrapped(f"Taken of what a network adds to its line, fold by fold: {'; '.join(said)}.")


def _by_crop(rows: Mapping[str, Row]) -> str:
    whole, _ = _whole(rows)
    body = []
    for name, row in whole.items():
        errors, crop = row.column("predicted") - row.column("yields"), row.column("crop")
        body.append([name, *(f"{np.sqrt((errors[crop == at] ** 2).mean()):.2f}" for at in (0, 1))])
    return "RMSE by crop in t/ha (the form of the paper's Figure 10):\n\n" + _table(
        ["", "winter wheat", "winter barley"], body
    )


def _cleaned(rows: Mapping[str, Row]) -> str:
    return f"""## Labels cleaned by our own filters

The same, trained on harvester points that pass the filters of the label cleaning, judged on the published yields all
the same; default settings, one network.

{_compared(rows, OURS)}"""


def _ablation(rows: Mapping[str, Row]) -> str:
    return f"""## What each part does

Default settings, one network, the same folds (the form of the paper's Table 3).

{_compared(rows, "as it is")}"""


def _grouped(rows: Mapping[str, Row], score: Callable[[Row], float]) -> tuple[list[str], dict[str, dict[str, float]]]:
    """Columns and, for each model, its score in each, of rows named ``model / column``."""
    columns: list[str] = []
    found: dict[str, dict[str, float]] = {}
    for name, row in rows.items():
        model, _, column = name.partition(" / ")
        columns += [column] if column not in columns else []
        found.setdefault(model, {})[column] = score(row)
    return columns, found


def _rmse(row: Row) -> float:
    return float(np.sqrt(((row.column("predicted") - row.column("yields")) ** 2).mean()))


def _bands(rows: Mapping[str, Row]) -> str:
    whole, missing = _whole(rows)
    columns, found = _grouped(whole, _rmse)
    body = [[model, *(f"{own[c]:.2f}" if c in own else "–" for c in columns)] for model, own in found.items()]
    return f"""## Bands

RMSE in t/ha by field with fewer bands of the same twelve dates (the form of Figure 11); default settings, one network.

{_table(["", *columns], body)}{missing}"""


def _shares(rows: Mapping[str, Row]) -> str:
    def mean_of_seeds(row: Row) -> float:
        return float(np.mean([_rmse(Row(["0"], [one])) for one in row.kept]))

    seeds = min(len(row.parts) for row in rows.values())
    columns, found = _grouped(rows, mean_of_seeds)
    columns.sort(key=float)
    body = [[model, *(f"{own[c]:.3f}" if c in own else "–" for c in columns)] for model, own in found.items()]
    best = {c: min((own[c], model) for model, own in found.items() if c in own)[1] for c in columns}
    return f"""## How many labels

RMSE in t/ha, mean over {seeds} draws or more of three tenths of the fields to judge on; of the yields of the others a
share is known, and every pixel's image (the form of Figure 12). Default settings, one network.

{_table(["share of yields", *columns], body)}

Lowest: {"; ".join(f"{model} at {c}" for c, model in best.items())}."""


def _crops(rows: Mapping[str, Row], title: str, about: str) -> str:
    whole, missing = _whole(rows)
    body = []
    for name, row in whole.items():
        matrix = np.sum([np.asarray(one["matrix"]) for one in row.kept], axis=0)
        figures = crop_scores(matrix)
        points = sum(one["points"] for one in row.kept)
        rmse = f"{np.sqrt(sum(one['squares'] for one in row.kept) / points):.3f}" if points else "–"
        parts = [
            f"{100 * figures[key]:.1f}" if matrix.sum() else "–" for key in ("mIoU", "accuracy", "precision", "recall")
        ]
        body.append([name, *parts, rmse, f"{sum(one['cpu_s'] for one in row.kept):.0f}"])
    head = ["", "mIoU %", "accuracy %", "mean precision %", "mean recall %", "RMSE of drawn yields", "CPU s"]
    folds = max(len(row.parts) for row in rows.values())
    return f"## {title}\n\n{about} {folds} folds.\n\n{_table(head, body)}{missing}"


def _agrifieldnet(rows: Mapping[str, Row]) -> str:
    return _crops(
        rows,
        "Crops of northern India, by tile",
        "AgriFieldNet: 75 tiles of 256 x 256 px, one image, 13 crops, 1 % of the pixels labelled, some crops on a few "
        "fields only. Whole tiles are held out. The set has no yields; ours is trained with drawn ones beside the "
        "crops.",
    )


def _joint(rows: Mapping[str, Row]) -> str:
    return _crops(
        rows,
        "Both tasks together, drawn yields",
        "The same tiles with yields that are made up from greenness and crop, with noise, at one labelled pixel in 40. "
        "They are no measurement and only say whether the tasks help each other.",
    )


def _speed(rows: Mapping[str, Row]) -> str:
    (row,) = rows.values()
    kept = row.kept[0]
    seconds: dict[str, float] = kept["seconds_a_pixel"]
    trees = min(seconds[name] for name in ("Random forest", "XGBoost", "LightGBM"))
    body = [[name, f"{value:.2e}", f"{trees / value:.2f}"] for name, value in seconds.items()]
    return f"""## Speed

Seconds a pixel for one image of 256 x 256 px and 13 bands, best of three, {kept["device"]}, load {kept["load"]}.
The paper has its networks on a GPU and its trees on a processor.

{_table(["", "s a pixel", "times as fast as the fastest of forest, XGBoost, LightGBM"], body)}"""


_SECTIONS: Mapping[str, Callable[[Mapping[str, Row]], str]] = {
    "bavaria": _bavaria,
    "cleaned": _cleaned,
    "shares": _shares,
    "ablation": _ablation,
    "bands": _bands,
    "agrifieldnet": _agrifieldnet,
    "joint": _joint,
    "speed": _speed,
}
