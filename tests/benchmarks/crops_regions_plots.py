"""Pictures of docs/results/lstm-mtl.md: the season's curve, and what moves the network."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from matplotlib import style
from numpy.typing import NDArray

from tests.benchmarks.region_sets import MATURITY, REGIONS, TWO_MONTHS
from tests.dark_svg import BLUE, FAINT, INK, ORANGE, STYLE, draw, save

_DAYS = 10
_MARKS = ((BLUE, "-", "o"), (ORANGE, "-", "D"), (INK, "--", "s"))


def draw_season(curves: Mapping[str, Sequence[float]], folder: Path) -> None:
    """F1 over the days from planting that are known.

    Args:
        curves: by region, after one step, two, and so on.
        folder: of the picture.
    """
    shown = {name: [round(value, 3) for value in curve] for name, curve in curves.items()}
    with style.context(STYLE):
        figure, (axes,) = draw(3.4)
        for (name, curve), (colour, dashes, marker) in zip(shown.items(), _MARKS, strict=False):
            days = _DAYS * (1 + np.arange(len(curve)))
            axes.plot(days, curve, dashes, color=colour, marker=marker, markersize=5, label=name.capitalize())
        axes.axvline(_DAYS * (MATURITY - TWO_MONTHS), color=FAINT, linewidth=1, linestyle=":")
        axes.text(_DAYS * (MATURITY - TWO_MONTHS) + 2, 0.02, "two months\nbefore ripeness", color=FAINT)
        axes.set_ylim(0, 1)
        axes.set_xlabel("days from planting that are known")
        axes.set_title("F1 of rice")
        axes.legend(frameon=False, loc="center right")
        save(figure, folder / "lstm-mtl-season.svg", shown)


def draw_importance(of_rice: NDArray[np.float64], bands: Sequence[str], folder: Path) -> None:
    """Gradients of the probability of rice, a panel for each region.

    Args:
        of_rice: (regions, time, bands).
        bands: names.
        folder: of the picture.
    """
    strongest = np.argsort(-np.abs(of_rice).max((0, 1)))[: len(_MARKS)]
    shown = {
        state: {bands[band]: [round(float(value), 4) for value in of_rice[region, :, band]] for band in strongest}
        for region, state in enumerate(REGIONS)
    }
    most = 1.1 * float(np.abs(of_rice).max())
    with style.context(STYLE):
        figure, panels = draw(5.4, len(REGIONS))
        for axes, (state, curves) in zip(panels, shown.items(), strict=True):
            axes.axhline(0, color=FAINT, linewidth=1)
            for (band, curve), (colour, dashes, marker) in zip(curves.items(), _MARKS, strict=False):
                days = _DAYS * np.arange(len(curve))
                axes.plot(days, curve, dashes, color=colour, marker=marker, markersize=4, label=band)
            axes.set_ylim(-most, most)
            axes.set_title(f"{state.capitalize()}: gradient of rice")
        panels[0].legend(frameon=False, ncols=len(_MARKS), loc="lower right")
        panels[-1].set_xlabel("days from planting")
        save(figure, folder / "lstm-mtl-importance.svg", shown)
