"""Pictures for the documentation that are read on a phone and in dark mode, and that say what they show.

A picture is an SVG as wide as a phone's text, with a ground of its own, so that it can be read on any page. It is drawn
in the colours for a light page; a style inside it turns each into its dark counterpart where the reader prefers dark
ones, and programs that know no such style show the light picture. The numbers drawn stand in its description, so that
a test can tell an old picture from a current one without comparing drawings.

Colours are after Okabe and Ito (Color Universal Design, 2008): people who are colour-blind can tell them apart. Each
also comes with a marker or line of its own.
"""

from __future__ import annotations

import json
import re
from io import StringIO
from pathlib import Path
from typing import Any
from xml.sax.saxutils import escape, unescape

from matplotlib.axes import Axes
from matplotlib.figure import Figure

GROUND, INK, FAINT, BLUE, ORANGE = LIGHT = ("#ffffff", "#1f2328", "#6b747e", "#0072b2", "#c95100")
DARK = ("#0d1117", "#e6edf3", "#949ea9", "#56b4e9", "#e69f00")
# 420 px on a desktop; on a phone of 360 px, where the text is some 328 px wide, letters are still 11 px high
_WIDTH_IN, _EDGE_IN, _FONT_PT = 4.375, 0.1, 10.5
STYLE: dict[str, Any] = {
    "axes.edgecolor": FAINT,
    "axes.facecolor": "none",
    "axes.labelcolor": INK,
    "axes.linewidth": 0.8,
    "axes.spines.right": False,
    "axes.spines.top": False,
    "axes.titlelocation": "left",
    "axes.titlesize": _FONT_PT,
    "axes.titleweight": "bold",
    "figure.facecolor": GROUND,
    "font.size": _FONT_PT,
    "lines.linewidth": 2.2,
    "svg.fonttype": "path",
    "svg.hashsalt": "pomona",
    "text.color": INK,
    "xtick.color": FAINT,
    "xtick.labelcolor": INK,
    "ytick.color": FAINT,
    "ytick.labelcolor": INK,
}


def draw(height_in: float, panels: int = 1) -> tuple[Figure, list[Axes]]:
    """An empty picture of one or more panels, one below the other."""
    figure = Figure(figsize=(_WIDTH_IN, height_in))
    figure.set_layout_engine("constrained", w_pad=_EDGE_IN, h_pad=_EDGE_IN)
    return figure, [figure.add_subplot(panels, 1, i + 1) for i in range(panels)]


def save(figure: Figure, path: Path, shown: object) -> None:
    """Write a picture.

    Args:
        figure: what was drawn, all of it within ``matplotlib.style.context(STYLE)``.
        path: where to.
        shown: the numbers in it, as JSON has them.
    """
    text = StringIO()
    figure.savefig(text, format="svg", metadata={"Date": None, "Creator": None})
    inside = f"<desc>{escape(json.dumps(shown, ensure_ascii=False))}</desc>\n <style>{_dark()}</style>"
    svg = re.sub(r"<metadata>.*?</metadata>", lambda _: inside, text.getvalue(), count=1, flags=re.DOTALL)
    path.write_text("\n".join(line.rstrip() for line in svg.splitlines()) + "\n", encoding="utf-8")


def read_shown(path: Path) -> object:
    """The numbers in a picture that :func:`save` wrote."""
    described = re.search(r"<desc>(.*?)</desc>", path.read_text(encoding="utf-8"), flags=re.DOTALL)
    return json.loads(unescape(described[1])) if described else None


def _dark() -> str:
    rules = "".join(
        f'[style*="{kind}: {light}"]{{{kind}:{dark} !important}}'
        for light, dark in zip(LIGHT, DARK, strict=True)
        for kind in ("fill", "stroke")
    )
    return f"@media (prefers-color-scheme:dark){{{rules}}}"
