"""The page of a map: what it shows, how sure it is, what it was made of; one file that needs no other."""

from __future__ import annotations

import base64
import html
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import geopandas

from models.orchards.style import CLASSES, confidence_colours, confidence_look, quick_look
from models.orchards.tiles import UNKNOWN

PAGE = "orchards.html"
_LARGEST = 10
_PICTURE_PX = 1200
_FIGURES = {
    "overall": "overall accuracy",
    "kappa": "kappa",
    "users": "user's accuracy of orchards",
    "producers": "producer's accuracy of orchards",
    "f1": "F1 of orchards",
}
_AREAS = {"orchard": "orchard", "other": "other", "outside": "outside the base mask", "unknown": "unknown"}
_COUNTED = (
    "<p>Counted from the map's pixels. What a map gets wrong does not cancel out: for an estimate with an interval "
    "draw reference points on the map and run <code>pomona map area</code>.</p>"
)
_STYLE = """
:root { color-scheme: light dark; --ink: #1b1b1b; --paper: #fdfcf8; --quiet: #5f5f5a; --line: #d9d6cc;
  --card: #f1efe6; }
@media (prefers-color-scheme: dark) {
  :root { --ink: #ececec; --paper: #191a18; --quiet: #a5a69f; --line: #3a3b37; --card: #252623; }
}
body { margin: 0 auto; max-width: 72rem; padding: 1rem; font: 16px/1.5 system-ui, sans-serif;
  color: var(--ink); background: var(--paper); }
h1 { font-size: 1.5rem; margin: 0; } h2 { font-size: 1.15rem; margin: 2rem 0 .5rem; }
p { max-width: 46rem; } .quiet, figcaption { color: var(--quiet); font-size: .9rem; }
.grid { display: grid; gap: 1rem; grid-template-columns: repeat(auto-fit, minmax(min(100%, 22rem), 1fr)); }
.cards { display: grid; gap: .75rem; grid-template-columns: repeat(auto-fit, minmax(9.5rem, 1fr)); margin: 1rem 0; }
.card { background: var(--card); border-radius: .5rem; padding: .75rem 1rem; }
.card b { display: block; font-size: 1.35rem; font-weight: 600; font-variant-numeric: tabular-nums; }
figure { margin: 0; } img { width: 100%; max-height: 85vh; object-fit: contain; object-position: left; display: block;
  image-rendering: pixelated; }
.legend { display: flex; flex-wrap: wrap; gap: .25rem 1rem; margin: .5rem 0; font-size: .9rem; }
.legend i { display: inline-block; width: .9em; height: .9em; border: 1px solid var(--line); vertical-align: -.1em; }
.scale { display: inline-block; width: 8rem; height: .8em; vertical-align: -.1em; }
.table { overflow-x: auto; } table { border-collapse: collapse; font-variant-numeric: tabular-nums; }
th, td { text-align: left; padding: .25rem 1rem .25rem 0; border-bottom: 1px solid var(--line); vertical-align: top; }
th { font-weight: 500; } td.n, th.n { text-align: right; white-space: nowrap; } td.long { overflow-wrap: anywhere; }
.table + .table { margin-top: 1rem; }
@media (max-width: 30rem) { th, td { padding-right: .6rem; } td.n, th.n { white-space: normal; } }
"""


def write_page(folder: Path, map_path: Path, polygons: Path, record: Mapping[str, Any]) -> Path:
    """Write ``orchards.html`` from a finished map and its record.

    Args:
        folder: where the page goes.
        map_path: the map.
        polygons: its orchards.
        record: what ``map.json`` holds.
    """
    parts = [
        "<h1>Orchards</h1>",
        f'<p class="quiet">{html.escape(_summary(record))}</p>',
        _cards(record),
        '<div class="grid">',
        _picture(quick_look(map_path, _PICTURE_PX), "map of the orchards", _class_legend()),
        _picture(confidence_look(map_path, _PICTURE_PX), "map of the confidence", _confidence_legend()),
        "</div>",
        "<h2>How far to trust it</h2>",
        _accuracy(record),
        "<h2>Areas</h2>",
        _COUNTED,
        _table(
            ["mapped as", "ha", "mu"],
            [
                [shown, f"{record['areas_ha'][name]:,.2f}", f"{15 * record['areas_ha'][name]:,.1f}"]
                for name, shown in _AREAS.items()
            ],
        ),
        "<h2>The largest orchards</h2>",
        _largest(polygons),
        "<h2>What it was made of</h2>",
        _made_of(record),
    ]
    page = (
        '<!doctype html><html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>Orchards</title><style>{_STYLE}</style></head><body>" + "\n".join(parts) + "</body></html>\n"
    )
    path = folder / PAGE
    partial = path.with_suffix(".partial")
    partial.write_text(page, encoding="utf-8")
    return partial.replace(path)


def _summary(record: Mapping[str, Any]) -> str:
    made = record["made_of"]
    points = made["points"]
    return (
        f"{made['classifier'].replace('-', ' ')}, {len(made['features'])} features, trained on "
        f"{points['orchards']} points of orchards and {points['number'] - points['orchards']} of others"
    )


def _cards(record: Mapping[str, Any]) -> str:
    accuracy = record["accuracy"]
    cards = [
        (f"{record['areas_ha']['orchard']:,.1f} ha", "mapped as orchard"),
        (f"{record['orchard_mu']:,.0f} mu", "the same in mu"),
        (f"{record['orchards']:,}", "orchards outlined"),
        (_percent(accuracy["overall"]["value"]), f"overall accuracy, {_range(accuracy['overall'])}"),
    ]
    shown = "".join(f'<div class="card"><b>{value}</b>{html.escape(name)}</div>' for value, name in cards)
    return f'<div class="cards">{shown}</div>'


def _accuracy(record: Mapping[str, Any]) -> str:
    validation = record["made_of"]["validation"]
    rows = [
        [
            shown,
            f"{_number(record['accuracy'][name]['value'])}",
            f"{_number(record['accuracy'][name]['low'])}\u00a0to\u00a0{_number(record['accuracy'][name]['high'])}",
        ]
        for name, shown in _FIGURES.items()
    ]
    (other_other, other_orchard), (orchard_other, orchard_orchard) = record["error_matrix"]
    return (
        f"<p>Every point was judged by a classifier that had seen no point within its block of "
        f"{validation['block_km']:g} km. Intervals hold 95 % of resamples of whole blocks. They are of the labelled "
        "points: where these were not drawn at random from the region, the map may be better or worse.</p>"
        + _table(["figure", "value", "95 %"], rows)
        + _table(
            ["points", "other there", "orchard there"],
            [
                ["mapped as other", str(other_other), str(other_orchard)],
                ["mapped as orchard", str(orchard_other), str(orchard_orchard)],
            ],
        )
    )


def _largest(polygons: Path) -> str:
    orchards = geopandas.read_file(polygons, rows=_LARGEST)
    if orchards.empty:
        return "<p>None was outlined.</p>"
    centres = orchards.geometry.representative_point().to_crs(4326)
    rows = [
        [
            str(orchard.orchard),
            f"{orchard.area_ha:,.2f}",
            f"{orchard.area_mu:,.1f}",
            f"{orchard.confidence_percent:.0f}\u00a0%",
            f"{centre.y:.5f}, {centre.x:.5f}",
        ]
        for orchard, centre in zip(orchards.itertuples(), centres, strict=True)
    ]
    return _table(["", "ha", "mu", "confidence", "latitude, longitude"], rows)


def _made_of(record: Mapping[str, Any]) -> str:
    made = record["made_of"]
    base = made["base_mask_classes"]
    rows = [
        ["classifier", made["classifier"]],
        ["its settings", ", ".join(f"{name} {value}" for name, value in record["settings"].items())],
        ["feature plan", made["plan"]],
        ["features", ", ".join(made["features"])],
        ["base mask", "none" if base is None else "classes " + ", ".join(map(str, base))],
        ["rasters", ", ".join(Path(raster["path"]).name for raster in made["rasters"])],
        ["libraries", ", ".join(f"{name} {version}" for name, version in made["versions"].items())],
        ["SHA-256 of all that", made["sha256"]],
    ]
    body = "".join(
        f"<tr><th>{html.escape(name)}</th><td class=long>{html.escape(value)}</td></tr>" for name, value in rows
    )
    return f'<div class="table"><table>{body}</table></div>'


def _class_legend() -> str:
    keys = (
        f'<span><i style="background:{shown.hex if value != UNKNOWN else "transparent"}"></i> '
        f"{html.escape(shown.name)}</span>"
        for value, shown in CLASSES.items()
    )
    return "".join(keys)


def _confidence_legend() -> str:
    doubtful, sure = confidence_colours()
    return (
        f'<span>confidence in the class shown:</span> <span>50\u00a0% <i class="scale" style="width:8rem;background:'
        f'linear-gradient(90deg,{doubtful},{sure})"></i> 100\u00a0%</span>'
    )


def _picture(png: bytes, alternative: str, legend: str) -> str:
    source = base64.b64encode(png).decode()
    return (
        f'<figure><img alt="{html.escape(alternative)}" src="data:image/png;base64,{source}">'
        f'<figcaption class="legend">{legend}</figcaption></figure>'
    )


def _table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A table whose first column is text and whose others are numbers."""
    names = "".join(f"<th{' class=n' if at else ''}>{html.escape(name)}</th>" for at, name in enumerate(head))
    body = "".join(
        "<tr>"
        + "".join(f"<td{' class=n' if at else ''}>{html.escape(cell)}</td>" for at, cell in enumerate(row))
        + "</tr>"
        for row in rows
    )
    return f'<div class="table"><table><tr>{names}</tr>{body}</table></div>'


def _number(value: float | None) -> str:
    return "–" if value is None else f"{value:.3f}"


def _percent(value: float | None) -> str:
    return "–" if value is None else f"{100 * value:.1f} %"


def _range(interval: Mapping[str, float | None]) -> str:
    low, high = interval["low"], interval["high"]
    return "no interval" if low is None or high is None else f"{100 * low:.1f} to {100 * high:.1f} %"
