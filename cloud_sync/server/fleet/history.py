"""Figures of a device over time, as lines that are small enough to stand in a row."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import select
from sqlalchemy.orm import Session

from cloud_sync import clock
from cloud_sync.server.database import HealthSample

WIDTH, HEIGHT = 300, 60
_MARGIN = 4  # a line at the edge would lose half of its width
# A line of 300 pixels shows no more steps; of what falls into one, the least and the most are drawn.
_STEPS = 150
# Between two messages of a device that is connected lie 15 minutes; a longer gap is one, and drawn as one.
_GAP = timedelta(minutes=45)

# name of the figure, what it is called, unit, what it is multiplied with, decimals
_CHARTS = (
    ("waiting", "Waiting to be sent", "records", 1.0, 0),
    ("temperature_c", "Temperature", "°C", 1.0, 0),
    ("disk_free_bytes", "Free disk", "GB", 1e-9, 1),
    ("memory_free_bytes", "Free memory", "MB", 1e-6, 0),
    ("battery_percent", "Battery", "%", 1.0, 0),
    ("load", "Load per core", "", 1.0, 2),
)

Point = tuple[datetime, float]


@dataclass(frozen=True)
class Chart:
    """A line with what to read beside it.

    Attributes:
        name: what it shows.
        unit: unit of the figures.
        path: the line as SVG draws it, :data:`WIDTH` by :data:`HEIGHT`, interrupted where nothing is known.
        lowest: lowest value, in words.
        highest: highest value.
        last: latest value.
    """

    name: str
    unit: str
    path: str
    lowest: str
    highest: str
    last: str


def read_samples(session: Session, device: str, days: int) -> Sequence[HealthSample]:
    """What a device said of itself in the last days, in order.

    Args:
        session: a view of the database.
        device: name of the device.
        days: how far back.
    """
    since = clock.now() - timedelta(days=days)
    query = select(HealthSample).where(HealthSample.device == device, HealthSample.received_at >= since)
    return session.scalars(query.order_by(HealthSample.received_at)).all()


def draw_charts(samples: Iterable[HealthSample], days: int) -> list[Chart]:
    """A chart of each figure of which two values are known; the right edge is now.

    Args:
        samples: what a device said, in order.
        days: how far back the charts go.
    """
    rows = list(samples)
    until = clock.now()
    since = until - timedelta(days=days)
    charts = []
    for field, name, unit, factor, decimals in _CHARTS:
        told = [(row.received_at, getattr(row, field)) for row in rows]
        points = [(when, factor * value) for when, value in told if value is not None]
        if len(points) < 2:
            continue
        values = [value for _, value in points]
        low, high, last = (f"{value:,.{decimals}f}" for value in (min(values), max(values), values[-1]))
        charts.append(Chart(name, unit, line(_thin(points, since, until), since, until), low, high, last))
    return charts


def line(points: Sequence[Point], since: datetime, until: datetime) -> str:
    """Points as the path of an SVG line, broken where there is a gap.

    Args:
        points: moments and values, in order.
        since: the left edge.
        until: the right edge.
    """
    values = [value for _, value in points]
    low, high = min(values), max(values)
    span_s = (until - since) / timedelta(seconds=1)
    parts = []
    before: datetime | None = None
    for when, value in points:
        x = WIDTH * ((when - since) / timedelta(seconds=1)) / span_s
        share = (value - low) / (high - low) if high > low else 0.5
        y = HEIGHT - _MARGIN - (HEIGHT - 2 * _MARGIN) * share
        is_new = before is None or when - before > max(_GAP, 2 * (until - since) / _STEPS)
        parts.append(f"{'M' if is_new else 'L'}{x:.1f} {y:.1f}" + ("h.1" if is_new else ""))  # alone it is a dot
        before = when
    return "".join(parts)


def _thin(points: Sequence[Point], since: datetime, until: datetime) -> list[Point]:
    """The least and the most of each step, in the order in which they came."""
    step = (until - since) / _STEPS
    steps: dict[int, list[Point]] = {}
    for point in points:
        steps.setdefault(int((point[0] - since) / step), []).append(point)
    kept = []
    for within in steps.values():
        ends = {min(within, key=lambda point: point[1]), max(within, key=lambda point: point[1])}
        kept += sorted(ends)
    return kept
