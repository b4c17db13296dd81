"""The page a training run of yields leaves behind: every model beside the one chosen, year by year."""

from __future__ import annotations

import html
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.ticker import MaxNLocator

from models.results_html import plot, settings_table, write_html
from models.yields.comparison import Outcome
from models.yields.lineup import MODELS
from models.yields.runs import YieldRun, figures
from models.yields.scores import METRICS, bootstrap, paired_difference, rmse
from models.yields.table import YieldTable

PAGE = "results.html"
_RED, _BLUE, _GREY = "#b3261e", "#00639b", "#8a8a85"
_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
_STYLE = ".figures td, .figures th { white-space: nowrap; overflow-wrap: normal; }"
_EXPLAINED = (
    "± is half the 95 % interval of 1000 resamples of the rows. Chosen less this: difference of RMSE on the same "
    "resamples. Inside: share of yields within their 90 % interval."
)
Row = tuple[str, ...]


def write_run_page(folder: Path, run: YieldRun, settings: Mapping[str, Any]) -> Path:
    """Write ``results.html``; it needs no other file.

    Args:
        folder: the run's.
        run: what came of it.
        settings: what decided it.
    """
    table, chosen = run.table, run.outcomes[run.chosen]
    title = f"{table.crop} in {table.region}: {MODELS[run.chosen]}"
    parts = [
        f"<h1>{html.escape(title)}</h1>",
        _quiet(f"{run.fitted.training_data}. Every yield below was predicted by models that saw nothing of its year."),
        _passed_over(run),
        "<h2>Every model on years left out</h2>",
        _html_table(HEADER, comparison_rows(run)),
        _quiet(_EXPLAINED),
        '<div class="grid">',
        plot(_draw_rows, table, chosen),
        plot(_draw_years, run),
        plot(_draw_in_season, run) if run.in_season else "",
        "</div>",
        f"<h2>{html.escape(MODELS[run.chosen])}, year by year</h2>",
        _html_table(("year", "rows", "RMSE kg/ha", "interval ± kg/ha", "inside %"), year_rows(table, chosen)),
        "<h2>Settings</h2>",
        settings_table(settings),
    ]
    return write_html(folder / PAGE, title, parts, _STYLE)


HEADER: Row = ("model", "RMSE kg/ha", "MAE kg/ha", "MAPE %", "R²", "chosen less this", "inside %")


def comparison_rows(run: YieldRun) -> list[Row]:
    """Every model as :data:`HEADER` names it, the lowest error first."""
    yields, chosen = run.table.yield_kg_per_ha, run.outcomes[run.chosen]
    rows = []
    for name in sorted(run.outcomes, key=lambda model: run.rmse[model]):
        outcome = run.outcomes[name]
        scores = bootstrap(yields, outcome.predicted)
        cells = [
            f"{score.value:.{digits}f} ± {score.half_width:.{digits}f}"
            for score, digits in ((scores[metric], _DIGITS[metric]) for metric in ("RMSE", *_OTHERS))
        ]
        less = paired_difference(yields, chosen.predicted, outcome.predicted)
        difference = "" if name == run.chosen else f"{less.value:+.0f} ({less.low:+.0f} to {less.high:+.0f})"
        inside = 100 * figures(run.table, outcome)["inside_90_percent_interval"]
        mark = " (chosen)" if name == run.chosen else ""
        rows.append((f"{MODELS[name]}{mark}", *cells, difference, f"{inside:.0f}"))
    return rows


_OTHERS = tuple(metric for metric in METRICS if metric != "RMSE")
_DIGITS = {"RMSE": 0, "MAE": 0, "MAPE": 1, "R²": 2}


def year_rows(table: YieldTable, outcome: Outcome) -> list[Row]:
    """A row a year left out."""
    rows: list[Row] = []
    for year in table.years:
        own = table.year == year
        error = np.abs(outcome.predicted[own] - table.yield_kg_per_ha[own])
        width = outcome.half_widths[own]
        figure = float(rmse(table.yield_kg_per_ha[own], outcome.predicted[own]))
        inside = f"{100 * float((error <= width).mean()):.0f}"
        rows.append((str(year), str(int(own.sum())), f"{figure:.0f}", f"{width.mean():.0f}", inside))
    return rows


def in_season_rows(run: YieldRun) -> list[Row]:
    """A row for each season that has only begun, the whole one last."""
    seasons = {**run.in_season, run.table.months[-1]: run.outcomes[run.chosen]}
    rows: list[Row] = []
    for month, outcome in seasons.items():
        found = figures(run.table, outcome)
        rows.append(
            (
                f"{_MONTHS[run.table.months[0] - 1]}–{_MONTHS[month - 1]}",
                f"{found['rmse_kg_per_ha']:.0f}",
                f"{found['r_squared']:.2f}",
                f"{100 * found['inside_90_percent_interval']:.0f}",
            )
        )
    return rows


def _quiet(text: str) -> str:
    return f'<p class="quiet">{html.escape(text)}</p>'


def _passed_over(run: YieldRun) -> str:
    if not run.passed_over:
        return ""
    names = " and ".join(MODELS[name] for name in run.passed_over)
    return (
        f"<p>A lower error {'has' if len(run.passed_over) == 1 else 'have'} {html.escape(names)}, which no device can "
        "run; the best of the others was chosen.</p>"
    )


def _html_table(header: Sequence[str], rows: Sequence[Row]) -> str:
    def line(cells: Sequence[str], tag: str) -> str:
        kinds = ["", *[' class="n"'] * (len(cells) - 1)]
        inside = (f"<{tag}{kind}>{html.escape(cell)}</{tag}>" for kind, cell in zip(kinds, cells, strict=True))
        return f"<tr>{''.join(inside)}</tr>"

    body = "".join(line(row, "td") for row in rows)
    return f'<div class="table figures"><table>{line(header, "th")}{body}</table></div>'


def _draw_rows(axes: Axes, table: YieldTable, outcome: Outcome) -> None:
    yields, predicted = table.yield_kg_per_ha / 1000, outcome.predicted / 1000
    ends = [min(yields.min(), predicted.min()), max(yields.max(), predicted.max())]
    axes.plot(ends, ends, color=_GREY, linewidth=0.8)
    axes.scatter(yields, predicted, s=12, color=_BLUE, alpha=0.6, edgecolors="none")
    axes.set(title="Predicted and true, years left out", xlabel="yield, t/ha", ylabel="predicted, t/ha")


def _draw_years(axes: Axes, run: YieldRun) -> None:
    yields, years = run.table.yield_kg_per_ha / 1000, run.table.years

    def means(values: Any) -> list[float]:
        return [float(values[run.table.year == year].mean()) for year in years]

    predicted = run.outcomes[run.chosen].predicted / 1000
    axes.plot(years, means(yields), color=_GREY, marker="o", label="true")
    axes.plot(years, means(predicted), color=_BLUE, marker="o", label="predicted without that year")
    axes.set(title="Mean of all rows, year by year", xlabel="year", ylabel="t/ha")
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))


def _draw_in_season(axes: Axes, run: YieldRun) -> None:
    seasons = {**run.in_season, run.table.months[-1]: run.outcomes[run.chosen]}
    errors = [float(rmse(run.table.yield_kg_per_ha, outcome.predicted)) / 1000 for outcome in seasons.values()]
    axes.plot(range(len(seasons)), errors, color=_BLUE, marker="o", label=MODELS[run.chosen])
    for name, colour in (("county-mean", _GREY), ("last-year", _RED)):
        if name in run.rmse:
            axes.axhline(run.rmse[name] / 1000, color=colour, linestyle="--", label=MODELS[name])
    axes.set_xticks(range(len(seasons)), [_MONTHS[month - 1] for month in seasons])
    axes.set(title="Error by what is known of the season", xlabel="last month known", ylabel="RMSE, t/ha")
    axes.set_ylim(bottom=0)
