"""Pages that a training run leaves behind: one file that needs no other."""

from __future__ import annotations

import html
import io
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from matplotlib.figure import Figure

_STYLE = """
:root { color-scheme: light dark; --ink: #1b1b1b; --paper: #fdfcf8; --quiet: #5f5f5a; --line: #d9d6cc; }
@media (prefers-color-scheme: dark) {
  :root { --ink: #ececec; --paper: #191a18; --quiet: #a5a69f; --line: #3a3b37; } figure.plot { background: #fdfcf8; }
}
body { margin: 0 auto; max-width: 72rem; padding: 1rem; font: 16px/1.5 system-ui, sans-serif;
  color: var(--ink); background: var(--paper); }
h1 { font-size: 1.5rem; margin: 0; } h2 { font-size: 1.15rem; margin: 2rem 0 .5rem; }
p { max-width: 46rem; } .quiet, figcaption { color: var(--quiet); font-size: .9rem; }
.grid { display: grid; gap: 1rem; grid-template-columns: repeat(auto-fit, minmax(min(100%, 20rem), 1fr)); }
figure { margin: 0; } figure.plot { border-radius: .5rem; } img, svg { width: 100%; height: auto; display: block; }
figure > img { border-radius: .5rem; }
.table { overflow-x: auto; } table { border-collapse: collapse; font-variant-numeric: tabular-nums; }
th, td { text-align: left; padding: .25rem 1rem .25rem 0; border-bottom: 1px solid var(--line); vertical-align: top;
  overflow-wrap: anywhere; } th { font-weight: 500; white-space: nowrap; } td.n, th.n { text-align: right; }
"""


def write_html(path: Path, title: str, parts: Sequence[str], style: str = "") -> Path:
    """Write a page, whole or not at all.

    Args:
        path: of the file.
        title: of the page.
        parts: of its body.
        style: rules of its own.

    Returns:
        The file.
    """
    page = (
        '<!doctype html><html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>{html.escape(title)}</title><style>{_STYLE}{style}</style></head><body>"
        + "\n".join(parts)
        + "</body></html>\n"
    )
    partial = path.with_suffix(".partial")
    partial.write_text(page, encoding="utf-8")
    return partial.replace(path)


def plot(draw: Any, *values: Any) -> str:
    """A figure that ``draw(axes, *values)`` draws, with its legend below."""
    figure = Figure(figsize=(4.4, 3.4), layout="constrained")
    figure.patch.set_alpha(0)
    axes = figure.add_subplot()
    axes.set_facecolor("none")
    axes.spines[["top", "right"]].set_visible(False)
    axes.grid(visible=True, color="#d9d6cc", linewidth=0.6)
    draw(axes, *values)
    handles, names = axes.get_legend_handles_labels()
    if handles:
        figure.legend(handles, names, loc="outside lower center", ncols=len(handles), frameon=False)
    buffer = io.StringIO()
    figure.savefig(buffer, format="svg", metadata={"Date": None})
    drawing = buffer.getvalue()
    return f'<figure class="plot">{drawing[drawing.index("<svg") :]}</figure>'


def settings_table(settings: Mapping[str, Any]) -> str:
    """Names and values in two columns."""
    rows: Iterable[str] = (
        f"<tr><th>{html.escape(name.replace('_', ' '))}</th><td>{html.escape(_plain(value))}</td></tr>"
        for name, value in settings.items()
    )
    return f'<div class="table"><table>{"".join(rows)}</table></div>'


def _plain(value: Any) -> str:
    if isinstance(value, Mapping):
        return ", ".join(f"{name.replace('_', ' ')} {_plain(inner)}" for name, inner in value.items())
    if isinstance(value, list | tuple):
        return ", ".join(str(inner) for inner in value)
    return f"{value:.4g}" if isinstance(value, float) else "none" if value is None else str(value)
