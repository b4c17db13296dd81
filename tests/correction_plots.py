"""Draws the pictures of docs/explanation/correction.md: ``python -m tests.correction_plots``."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import numpy as np
from matplotlib import style
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FixedLocator, FuncFormatter, NullLocator

from calibration.estimate import Estimate
from calibration.pooling import apply_prior
from calibration.yields import CONFIDENCE
from tests import correction_example as example
from tests.dark_svg import BLUE, FAINT, GROUND, INK, ORANGE, STYLE, draw, save

IMAGES = Path(__file__).parents[1] / "docs" / "images"
Shown = dict[str, list[float]]
_ERRORS_LET_IN = 4
_SAMPLES = (5, 7, 10, 15, 20, 30, 45, 60, 90, 120)
FEW_OR_MANY = (3, 6, 30)


def _line(estimate: Estimate) -> list[float]:
    return [estimate.value, *estimate.positive_interval(CONFIDENCE)]


def errors_shown() -> Shown:
    """Corrected yield and its interval in kg/mu, as each error is let in."""
    return {
        name: [round(figure) for figure in _line(example.per_mu(found.corrected_kg_per_ha))]
        for name, found in example.steps().items()
    }


def draw_errors(shown: Shown) -> Figure:
    """Intervals that grow, and shrink again."""
    figure, (axes,) = draw(4.5)
    for place, (name, line) in enumerate(shown.items()):
        helps = place >= _ERRORS_LET_IN
        _interval(axes, place + 0.4 * helps, line, helps=helps)
        _name(axes, place + 0.4 * helps, name, f"{line[1]:.0f} – {line[2]:.0f}")
    _rows(axes, len(shown) + 0.4)
    axes.set_xlabel("corrected yield, kg/mu")
    return figure


def trees_shown() -> Shown:
    """Half widths in per cent by number of trees."""
    errors: Mapping[str, Sequence[str]] = {
        "satellite error between areas too": example.ONE_BLOCK,
        "fruit weight and detector too": example.SHARED,
        "trees alone": (),
    }
    widths = {
        name: [round(100 * example.half_width(example.for_trees(trees, made_of)), 1) for trees in _SAMPLES]
        for name, made_of in errors.items()
    }
    return {"trees": [*_SAMPLES], **widths}


def draw_trees(shown: Shown) -> Figure:
    """Half width over number of trees."""
    figure, (axes,) = draw(3.4)
    trees = shown["trees"]
    styles = ((ORANGE, "-", "D", 16), (BLUE, "-", "o", 14), (INK, "--", "s", 22))
    for (name, widths), (colour, dashes, marker, above) in zip(list(shown.items())[1:], styles, strict=True):
        axes.plot(trees, widths, dashes, color=colour, marker=marker, markersize=5)
        axes.annotate(name, (trees[-1], widths[-1]), (4, above), textcoords="offset points", ha="right", color=colour)
    _log_ticks(axes, (5, 10, 20, 30, 60, 120))
    axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"±{value:.0f} %"))
    axes.set_ylim(0, 60)
    axes.set_xlabel("trees photographed")
    axes.set_title("Half of the interval")
    return figure


def promises_shown() -> Shown:
    """Lower and upper ends of some intervals in turn, and how many of all held."""
    told = example.promises()
    ends = {name: [round(end, 2) for pair in each[: example.SHOWN] for end in pair] for name, each in told.items()}
    return ends | {f"held, {name}": [example.held(each)] for name, each in told.items()}


def draw_promises(shown: Shown) -> Figure:
    """One interval an orchard, beside what was harvested."""
    figure, panels = draw(4.6, len(example.READINGS))
    everywhere = [end for reading in example.READINGS for end in shown[reading]]
    for axes, reading in zip(panels, example.READINGS, strict=True):
        ends = np.array(shown[reading]).reshape(-1, 2)
        for place, (low, high) in enumerate(ends):
            holds = low <= 1 <= high
            axes.plot([place, place], [low, high], color=BLUE if holds else ORANGE, linewidth=2.2 if holds else 2.8)
            axes.plot(place, np.sqrt(low * high), "o" if holds else "X", color=BLUE if holds else ORANGE, markersize=5)
        axes.axhline(1, color=INK, linewidth=1)
        axes.set_yscale("log")
        axes.set_ylim(min(everywhere) / 1.05, max(everywhere) * 1.05)
        axes.yaxis.set_major_locator(FixedLocator([0.5, 1, 2]))
        axes.yaxis.set_minor_locator(NullLocator())
        axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: {0.5: "half", 1: "harvest", 2: "twice"}[value]))
        axes.xaxis.set_major_locator(NullLocator())
        axes.set_title(f"{reading.capitalize()}: {shown[f'held, {reading}'][0]:.0f} of {example.DRAWN} hold")
    return figure


def hidden_shown() -> Shown:
    """Counts of the trees that were counted twice, and the ratio."""
    return {
        "seen": [*example.SEEN],
        "by hand": [*example.BY_HAND],
        "ratio": [round(example.visibility().factor.value, 3)],
    }


def draw_hidden(shown: Shown) -> Figure:
    """Fruit by hand over fruit in photos."""
    figure, (axes,) = draw(3.6)
    (ratio,), most = shown["ratio"], max(shown["seen"]) * 1.1
    axes.plot(shown["seen"], shown["by hand"], "o", color=BLUE, markersize=7)
    axes.plot([0, most], [0, ratio * most], color=ORANGE)
    axes.plot([0, most], [0, most], "--", color=FAINT)
    axes.text(most * 0.94, ratio * most, f"{ratio:.2f} for each one counted", ha="right", color=ORANGE)
    axes.text(most, most * 0.55, "if all fruit were seen", ha="right")
    axes.set_xlim(0, most * 1.02)
    axes.set_ylim(0, ratio * most * 1.05)
    axes.set_xlabel("counted in the photos of a tree")
    axes.set_title("Counted on it by hand")
    return figure


def pooled_shown() -> Shown:
    """α with its interval from a block's own trees, and pooled, for few and many trees; last what others expect."""
    known = example.prior()
    expected = known.expect(example.REGION, example.THIS_YEAR, example.VARIETY)
    shown: Shown = {}
    for trees in FEW_OR_MANY:
        pooled = apply_prior(known, example.block_factor(example.OWN_FACTOR, trees, example.THIS_YEAR)).factor
        shown[f"{trees} trees alone"] = _rounded(example.own_estimate(trees))
        shown[f"{trees} trees, pooled"] = _rounded(pooled)
    value = np.exp(expected.value)
    others = Estimate(value, value**2 * expected.variance, expected.degrees_of_freedom)
    return shown | {"No tree: other blocks": _rounded(others)}


def _rounded(estimate: Estimate) -> list[float]:
    return [round(figure, 2) for figure in _line(estimate)]


def draw_pooled(shown: Shown) -> Figure:
    """Intervals in pairs."""
    figure, (axes,) = draw(4.7)
    for number, (name, line) in enumerate(shown.items()):
        place = number + 0.4 * (number // 2)
        _interval(axes, place, line, helps="alone" not in name)
        _name(axes, place, name, f"{line[1]:.2f} – {line[2]:.2f}")
    _rows(axes, place + 1)
    _log_ticks(axes, (0.7, 1, 1.4, 2, 2.8))
    axes.set_xlabel("correction factor")
    return figure


def season_shown() -> Shown:
    """Harvest in kg a tree with its interval, as foretold after each visit."""
    return {each.stage.replace("_", " "): [round(kg, 2) for kg in _line(each.kg_per_tree)] for each in example.season()}


def draw_season(shown: Shown) -> Figure:
    """Forecasts that narrow."""
    figure, (axes,) = draw(3.2)
    for place, (name, line) in enumerate(shown.items()):
        _interval(axes, place, line)
        _name(axes, place, name.capitalize(), f"{line[1]:.0f} – {line[2]:.0f}")
    _rows(axes, len(shown))
    _log_ticks(axes, (10, 20, 40, 80))
    axes.set_xlabel("harvest foretold, kg a tree")
    return figure


def _interval(axes: Axes, place: float, line: Sequence[float], *, helps: bool = False) -> None:
    value, low, high = line
    colour = ORANGE if helps else BLUE
    axes.plot([low, high], [place, place], color=colour, linewidth=3.2, solid_capstyle="butt")
    axes.plot(value, place, "D" if helps else "o", color=colour, markeredgecolor=GROUND, markersize=9)


def _name(axes: Axes, place: float, name: str, ends: str) -> None:
    """Above its interval, where a phone has room for it."""
    for at, text in enumerate((name, ends)):
        across = axes.get_yaxis_transform()
        axes.annotate(text, (at, place), (0, 8), xycoords=across, textcoords="offset points", ha=("left", "right")[at])


def _rows(axes: Axes, last: float) -> None:
    """Rows from top to bottom."""
    axes.set_ylim(last - 0.55, -0.8)
    axes.yaxis.set_major_locator(NullLocator())
    axes.spines["left"].set_visible(False)


def _log_ticks(axes: Axes, ticks: Sequence[float]) -> None:
    axes.set_xscale("log")
    axes.xaxis.set_major_locator(FixedLocator(list(ticks)))
    axes.xaxis.set_minor_locator(NullLocator())
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))


PICTURES: Mapping[str, tuple[Callable[[], Shown], Callable[[Shown], Figure]]] = {
    "correction-errors": (errors_shown, draw_errors),
    "correction-trees": (trees_shown, draw_trees),
    "correction-promises": (promises_shown, draw_promises),
    "correction-hidden": (hidden_shown, draw_hidden),
    "correction-pooled": (pooled_shown, draw_pooled),
    "correction-season": (season_shown, draw_season),
}


def make_pictures(folder: Path) -> None:
    """Draw all of them."""
    for name, (compute, paint) in PICTURES.items():
        shown = compute()
        with style.context(STYLE):
            save(paint(shown), folder / f"{name}.svg", shown)


if __name__ == "__main__":
    make_pictures(IMAGES)
