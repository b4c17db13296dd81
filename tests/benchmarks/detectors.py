"""The paper's tables of detectors, from the runs of ``pomona train protocol`` and from the networks themselves.

    python -m tests.benchmarks.detectors comparison --runs runs/protocol --data orchard [--out PAGE.md]
    python -m tests.benchmarks.detectors ablation   --runs runs/protocol --data orchard [--out PAGE.md]
    python -m tests.benchmarks.detectors size [--out PAGE.md]
    python -m tests.benchmarks.detectors time [--network NAME …] [--rounds N] [--device cuda] [--out PAGE.md]

``orchard`` holds ``train`` and ``val``. Runs that are not finished are listed as missing.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Sequence
from pathlib import Path

import torch

from export.evaluate.matching import Figure, PhotoResult
from export.evaluate.paired import FIGURES, PAIRED_MEASURES, Difference, mean_over_seeds, paired_difference
from models.detection.networks import ABLATIONS
from tests.benchmarks.detector_runs import Found, find_runs
from tests.benchmarks.detector_size import size_page
from tests.benchmarks.detector_time import time_page
from tests.benchmarks.paper import ABLATION, FLOWERS, FRUIT, NAMES, Printed

BASE = "yolo11n"
_PEERS = ("yolov5n", "yolov6n", "yolov8n", "yolov9t", "yolov10n", "yolo11n", "yolo12n", "rtdetr-l")
_COMPARED = (*_PEERS, "yolo-a", "yolo-a-light")

_PROTOCOL = """Every network is trained the same way: two epochs of 1,600 random crops of 320 px, 16 a step, the same
crops in the same order for the same seed, from the layers that it shares with YOLO11n's COCO weights; the last state is
measured, none is chosen. Counting thresholds are fixed on rows held out from training. This is a short training on two
processor cores, so it compares networks at this budget, not at their best.

Whole trees are looked at with their longer side at 1344 px, flowering photos at 2688 px, in tiles of 480 px. Figures
are means over seeds, with 95 % intervals from resampling trees, and seeds where there are several; so are differences.
`not separable`: the interval holds 0. With one seed it does not say how another training would have ended.

```sh
pomona train protocol --data DATA/train --weights yolo11n.pth --out runs/protocol
"""
_LOST_MARKS = """The text of the paper that we have has lost the marks of its Table 13; its rows are taken to be the
modules one by one, then the pairs, in the order of their columns.
"""
_REMARKS = (
    (
        "`started`: share of the network's values that YOLO11n's COCO weights gave, layer by layer where name and "
        "shape agree. Networks that share more with YOLO11n have an advantage at so short a training."
    ),
    (
        "The paper's figures are of other photos (close-ups, divided at random after augmentation), 200 epochs, one "
        "network each for fruit and flowers; they stand here to be compared in order, not in height. Its RT-DETR has "
        "a ResNet34 in front, ours HGNetv2."
    ),
)


def table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A Markdown table."""
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines) + "\n"


def comparison_page(runs: Path, data: Path) -> str:
    """The form of the paper's Tables 11 and 12, with differences to YOLO11n."""
    found, missing = find_runs(runs, data)
    chosen = {name: found[name] for name in _COMPARED if name in found}
    parts = [
        "# Detectors compared under one protocol\n",
        _protocol("comparison"),
        "## Fruit, whole trees of unseen rows\n",
        _figures_table(chosen, _COMPARED, "trees", FRUIT),
        "### Difference to YOLO11n\n",
        _differences_table(chosen, "trees"),
        "### By orchard row and stage (AP50)\n",
        _by_row_and_stage(chosen),
        "## Flowers, five photos\n",
        _figures_table(chosen, _COMPARED, "flowers", FLOWERS),
        "### Difference to YOLO11n\n",
        _differences_table(chosen, "flowers"),
        _closing([name for name in missing if name.rpartition("-seed")[0] in _COMPARED]),
    ]
    return "\n".join(parts)


def ablation_page(runs: Path, data: Path) -> str:
    """The form of the paper's Table 13: which modules of YOLO-A are built into YOLO11n."""
    found, missing = find_runs(runs, data)
    rows = (BASE, *ABLATIONS, "yolo-a")
    chosen = {name: found[name] for name in rows if name in found}
    parts = [
        "# What each module of YOLO-A changes\n",
        _protocol("ablation"),
        "## Fruit, whole trees of unseen rows\n",
        _figures_table(chosen, rows, "trees", {BASE: FRUIT[BASE], **ABLATION}),
        _LOST_MARKS,
        "### Difference to YOLO11n\n",
        _differences_table(chosen, "trees"),
        "## Flowers, five photos\n",
        _figures_table(chosen, rows, "flowers", {name: FLOWERS[name] for name in (BASE, "yolo-a")}),
        "### Difference to YOLO11n\n",
        _differences_table(chosen, "flowers"),
        _closing([name for name in missing if name.rpartition("-seed")[0] in rows]),
    ]
    return "\n".join(parts)


def _protocol(command: str) -> str:
    return f"{_PROTOCOL}python -m tests.benchmarks.detectors {command} --runs runs/protocol --data DATA\n```\n"


def _figures_table(found: dict[str, Found], order: Sequence[str], kind: str, printed: dict[str, Printed]) -> str:
    head = ("network", "seeds", "started", "P", "R", "AP50", "AP50-95", "paper: P", "R", "AP50", "AP50-95")
    rows = []
    for name in order:
        paper = _printed(printed.get(name))
        if name not in found:
            rows.append((NAMES[name], "missing", *[""] * 5, *paper))
            continue
        run = found[name]
        started = f"{run.initialised:.0%}".replace("%", " %")
        ours = [_figure(mean_over_seeds(run.results(kind), measure)) for measure in FIGURES.values()]
        rows.append((NAMES[name], str(len(run.seeds)), started, *ours, *paper))
    return table(head, rows)


def _figure(found: Figure) -> str:
    return f"{found.value:.3f} ({found.low:.3f} to {found.high:.3f})"


def _printed(values: Printed | None) -> list[str]:
    if values is None:
        return [""] * 4
    return [f"{value:.4f}" for value in (values.precision, values.recall, values.ap50, values.ap50_95)]


def _differences_table(found: dict[str, Found], kind: str) -> str:
    if BASE not in found:
        return f"{NAMES[BASE]} is missing, so there is nothing to compare with.\n"
    rows = []
    for name, run in found.items():
        if name == BASE:
            continue
        ours, theirs, shared = _shared_seeds(run, found[BASE], kind)
        if shared:
            differences = [paired_difference(ours, theirs, measure) for measure in PAIRED_MEASURES.values()]
            rows.append((NAMES[name], str(shared), *map(_difference, differences)))
    return table(("network", "seeds", *PAIRED_MEASURES), rows)


def _shared_seeds(run: Found, base: Found, kind: str) -> tuple[list[list[PhotoResult]], list[list[PhotoResult]], int]:
    seeds = [seed for seed in run.seeds if seed in base.seeds]
    ours = [run.results(kind)[run.seeds.index(seed)] for seed in seeds]
    theirs = [base.results(kind)[base.seeds.index(seed)] for seed in seeds]
    return ours, theirs, len(seeds)


def _difference(found: Difference) -> str:
    return f"{found.value:+.3f} ({found.low:+.3f} to {found.high:+.3f}) {found.verdict}"


def _by_row_and_stage(found: dict[str, Found]) -> str:
    if not found:
        return "No run is finished.\n"
    photos = next(iter(found.values())).results("trees")[0]
    groups = list(dict.fromkeys((photo.row, photo.stage) for photo in photos))
    head = ["network"]
    for row, stage in groups:
        number = sum((photo.row, photo.stage) == (row, stage) for photo in photos)
        head.append(f"{row}, {stage.replace('_', ' ')} ({number} trees)")
    rows = []
    for name, run in found.items():
        cells = [NAMES[name]]
        for group in groups:
            seeds = [[r for r in results if (r.row, r.stage) == group] for results in run.results("trees")]
            cells.append(_figure(mean_over_seeds(seeds, FIGURES["AP50"])))
        rows.append(cells)
    return table(head, rows)


def _closing(missing: Sequence[str]) -> str:
    lines = list(_REMARKS)
    if missing:
        lines.append(f"Not trained yet: {', '.join(missing)}.")
    return "\n".join(f"* {line}" for line in lines) + "\n"


def main() -> None:
    """Parse the arguments, then print a page or write it."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(dest="command", required=True)
    pages: dict[str, Callable[[argparse.Namespace], str]] = {
        "comparison": lambda given: comparison_page(given.runs, given.data),
        "ablation": lambda given: ablation_page(given.runs, given.data),
        "size": lambda _given: size_page(),
        "time": lambda given: time_page(given.network, given.rounds, torch.device(given.device)),
    }
    for name in pages:
        command = commands.add_parser(name)
        command.add_argument("--out", type=Path, help="page to write; without it the page is printed")
        if name in {"comparison", "ablation"}:
            command.add_argument("--runs", type=Path, required=True, help="folder of the protocol's runs")
            command.add_argument("--data", type=Path, required=True, help="folder of train and val")
    timing = commands.choices["time"]
    timing.add_argument("--network", action="append", choices=NAMES, help="only these, and YOLO11n")
    timing.add_argument("--rounds", type=int, default=5)
    timing.add_argument("--device", choices=("cpu", "cuda"), default="cpu", help="where torch runs")
    given = parser.parse_args()
    page = pages[given.command](given)
    if given.out is None:
        print(page)
    else:
        given.out.write_text(page, encoding="utf-8")


if __name__ == "__main__":
    main()
