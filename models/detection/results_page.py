"""The page a training run leaves behind: losses, precision and recall, and what it got most wrong."""

from __future__ import annotations

import base64
import csv
import html
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol

import cv2
import numpy as np
from matplotlib.axes import Axes
from matplotlib.ticker import MaxNLocator
from numpy.typing import NDArray

from models.detection.held_out import HeldOutRecord, SquareResult
from models.results_html import plot, settings_table, write_html

PAGE = "results.html"
STEPS = "steps.csv"
_WORST = 6
_COLOURS = ("#b3261e", "#00639b", "#386a20", "#7d5700")
# red, green, blue of boxes in pictures: found, labelled but missed, found without a label
_FOUND, _MISSED, _EXTRA = (255, 255, 255), (255, 200, 0), (255, 60, 60)
_LEGEND = (
    "<p>Squares with most objects missed or found beside a label, at the score from which as many are found as are "
    'labelled. <i class="key found"></i> found <i class="key missed"></i> labelled and missed '
    '<i class="key extra"></i> found without a label</p>'
)
_STYLE = """
i.key { display: inline-block; width: .8em; height: .8em; border: 3px solid; vertical-align: -.1em; }
i.found { border-color: #fff; outline: 1px solid #777; }
i.missed { border-color: #ffc800; } i.extra { border-color: #ff3c3c; }
"""


class Squares(Protocol):
    """Squares of held-out photos in a fixed order."""

    @property
    def im_files(self) -> Sequence[str]:
        """The photo of each square."""
        ...

    def __getitem__(self, index: int) -> Mapping[str, Any]:
        """A square with its ``img`` (3, side, side), red, green, blue."""
        ...


def write_results_page(folder: Path, settings: Mapping[str, Any], record: HeldOutRecord, squares: Squares) -> Path:
    """Write ``results.html`` beside a run's ``results.csv`` and ``steps.csv``; it needs no other file.

    Args:
        folder: the run's.
        settings: what decided the run.
        record: what the last validation found.
        squares: what it looked at.
    """
    epochs, steps = _read(folder / "results.csv"), _read(folder / STEPS)
    labels = list(settings["labels"])
    thresholds = [record.threshold(number) for number in range(len(labels))]
    parts = [
        f"<h1>{html.escape(str(settings['network']))}</h1>",
        f'<p class="quiet">{html.escape(_summary(settings, epochs))}</p>',
        _figures(labels, record, thresholds, epochs),
        "<h2>While it trained</h2>",
        '<div class="grid">',
        plot(_draw_losses, steps),
        plot(_draw_averages, epochs, int(settings["validate_every"])),
        "</div>",
        "<h2>On the photos that were held out</h2>",
        '<div class="grid">',
        plot(_draw_precision_recall, record, labels),
        plot(_draw_counts, record, labels, thresholds),
        "</div>",
        "<h2>What it gets most wrong</h2>",
        _LEGEND,
        '<div class="grid">',
        *(_picture(square, squares, number, thresholds) for number, square in _worst(record, thresholds)),
        "</div>",
        "<h2>Settings</h2>",
        settings_table(settings),
    ]
    return write_html(folder / PAGE, f"{settings['network']}: results", parts, _STYLE)


def _read(path: Path) -> list[dict[str, float]]:
    with path.open(newline="", encoding="utf-8") as file:
        return [{name.strip(): float(value) for name, value in line.items()} for line in csv.DictReader(file)]


def _summary(settings: Mapping[str, Any], epochs: Sequence[Mapping[str, float]]) -> str:
    started = (
        f"{settings['initialised']:.0%} of its values from trained weights".replace("%", " %")
        if settings["initialised"]
        else "from random values"
    )
    return (
        f"{len(epochs)} epochs of {settings['crops_per_epoch']} crops of {settings['image_px']} px, {started}; "
        f"seed {settings['seed']}, code {str(settings['commit'])[:12]}"
    )


def _figures(
    labels: Sequence[str], record: HeldOutRecord, thresholds: Sequence[float], epochs: Sequence[Mapping[str, float]]
) -> str:
    rows = []
    for number, label in enumerate(labels):
        labelled = sum(int((s.label_classes == number).sum()) for s in record.squares)
        precision, recall = record.precision_recall(number)
        envelope = np.maximum.accumulate(precision[::-1])[::-1]
        average = float((envelope * np.diff(recall, prepend=0.0)).sum()) if labelled else float("nan")
        hits = sum(
            int((s.matched & (s.classes == number) & (s.scores >= thresholds[number])).sum()) for s in record.squares
        )
        share = f"{hits / labelled:.3f}" if labelled else "–"
        ap50 = f"{average:.3f}" if labelled else "–"
        rows.append(
            f'<tr><td>{html.escape(label)}</td><td class="n">{labelled}</td><td class="n">{ap50}</td>'
            f'<td class="n">{share}</td></tr>'
        )
    both = epochs[-1].get("metrics/mAP50-95(B)", float("nan"))
    return (
        '<div class="table"><table><tr><th>label</th><th class="n">labelled</th><th class="n">AP50</th>'
        f'<th class="n">found</th></tr>{"".join(rows)}</table></div>'
        f'<p class="quiet">Squares of 640 px of photos that training never saw. Mean AP50–95 over the labels: '
        f"{both:.3f}. Found: share of the labels, at the score from which as many are found as are labelled.</p>"
    )


# --- plots ----------------------------------------------------------------------------------------------------------


def _smooth(values: Sequence[float], window: int) -> NDArray[np.float64]:
    """The mean of the last few values at each place."""
    sums = np.cumsum(np.concatenate(([0.0], np.asarray(values, dtype=np.float64))))
    ends = np.arange(1, len(values) + 1)
    starts = np.maximum(0, ends - window)
    means: NDArray[np.float64] = (sums[ends] - sums[starts]) / (ends - starts)
    return means


def _draw_losses(axes: Axes, steps: Sequence[Mapping[str, float]]) -> None:
    window = max(1, len(steps) // 40)
    numbers = [line["step"] for line in steps]
    names = [name for name in steps[0] if name != "step"] if steps else []
    for name, colour in zip(names, _COLOURS, strict=False):
        values = [line[name] for line in steps]
        axes.plot(numbers, values, color=colour, alpha=0.2, linewidth=0.7)
        axes.plot(numbers, _smooth(values, window), color=colour, label=name.replace("_", " "))
    axes.set(title="Loss", xlabel="step", ylabel="loss of a batch")
    axes.set_ylim(bottom=0)


def _draw_averages(axes: Axes, epochs: Sequence[Mapping[str, float]], every: int) -> None:
    seen = [e for e in epochs if e["epoch"] % every == 0 or e is epochs[-1]]
    for name, colour in (("mAP50", _COLOURS[1]), ("mAP50-95", _COLOURS[2])):
        values = [line[f"metrics/{name}(B)"] for line in seen]
        axes.plot([line["epoch"] for line in seen], values, color=colour, marker="o", label=name)
    axes.set(title="Average precision on held-out squares", xlabel="epoch", ylabel="mean over labels", ylim=(0, 1))
    axes.set_xlim(0.5, len(epochs) + 0.5)
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))


def _draw_precision_recall(axes: Axes, record: HeldOutRecord, labels: Sequence[str]) -> None:
    for number, (label, colour) in enumerate(zip(labels, _COLOURS, strict=False)):
        precision, recall = record.precision_recall(number)
        if len(precision):
            axes.plot(recall, precision, color=colour, label=label)
    axes.set(title="Precision and recall", xlabel="recall", ylabel="precision", xlim=(0, 1), ylim=(0, 1.02))


def _draw_counts(axes: Axes, record: HeldOutRecord, labels: Sequence[str], thresholds: Sequence[float]) -> None:
    most = 1
    for number, (label, colour) in enumerate(zip(labels, _COLOURS, strict=False)):
        shown = [s for s in record.squares if (s.label_classes == number).any()]
        labelled = [int((s.label_classes == number).sum()) for s in shown]
        found = [int(((s.classes == number) & (s.scores >= thresholds[number])).sum()) for s in shown]
        axes.scatter(labelled, found, s=12, color=colour, alpha=0.6, label=label, edgecolors="none")
        most = max([most, *labelled, *found])
    axes.plot([0, most], [0, most], color="#8a8a85", linewidth=0.8)
    axes.set(title="Found and labelled in each square", xlabel="labelled", ylabel="found")


# --- pictures -------------------------------------------------------------------------------------------------------


def _mistakes(square: SquareResult, thresholds: Sequence[float]) -> tuple[NDArray[np.bool_], int, int]:
    """Which detections count, how many labels they miss and how many of them have no label."""
    counted = square.scores >= np.asarray(thresholds, dtype=np.float32)[square.classes]
    hits = int((counted & square.matched).sum())
    return counted, len(square.labels) - hits, int(counted.sum()) - hits


def _worst(record: HeldOutRecord, thresholds: Sequence[float]) -> list[tuple[int, SquareResult]]:
    wrong = {number: sum(_mistakes(square, thresholds)[1:]) for number, square in enumerate(record.squares)}
    order = sorted((number for number, mistakes in wrong.items() if mistakes), key=lambda number: -wrong[number])
    return [(number, record.squares[number]) for number in order[:_WORST]]


def _picture(square: SquareResult, squares: Squares, number: int, thresholds: Sequence[float]) -> str:
    pixels = np.ascontiguousarray(squares[number]["img"].numpy().transpose(1, 2, 0))
    counted, missed, extra = _mistakes(square, thresholds)
    _draw_boxes(pixels, _unmatched_labels(square, counted), _MISSED)
    _draw_boxes(pixels, square.boxes[counted & square.matched], _FOUND)
    _draw_boxes(pixels, square.boxes[counted & ~square.matched], _EXTRA)
    _, encoded = cv2.imencode(".jpg", pixels[..., ::-1], (cv2.IMWRITE_JPEG_QUALITY, 80))
    name = html.escape(Path(squares.im_files[number]).name)
    data = base64.b64encode(np.asarray(encoded).tobytes()).decode()
    return (
        f'<figure><img alt="part of {name} with boxes" src="data:image/jpeg;base64,{data}">'
        f"<figcaption>{name}: {missed} of {len(square.labels)} missed, {extra} without a label</figcaption></figure>"
    )


def _unmatched_labels(square: SquareResult, counted: NDArray[np.bool_]) -> NDArray[np.float32]:
    """Labels that no counted and matched detection overlaps by half."""
    hits = square.boxes[counted & square.matched]
    kept = []
    for label in square.labels:
        low, high = np.maximum(hits[:, :2], label[:2]), np.minimum(hits[:, 2:], label[2:])
        overlap = np.prod((high - low).clip(min=0), axis=1)
        areas = np.prod(hits[:, 2:] - hits[:, :2], axis=1) + np.prod(label[2:] - label[:2])
        if not (2 * overlap >= areas - overlap).any():
            kept.append(label)
    return np.asarray(kept, dtype=np.float32).reshape(-1, 4)


def _draw_boxes(pixels: NDArray[np.uint8], boxes: NDArray[np.float32], colour: tuple[int, int, int]) -> None:
    for x1, y1, x2, y2 in boxes.round().astype(int).tolist():
        cv2.rectangle(pixels, (x1, y1), (x2, y2), colour, 2, cv2.LINE_AA)
