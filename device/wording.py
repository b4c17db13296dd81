"""What people read of a block: the same words on the command line and on the pages."""

from __future__ import annotations

from calibration.units import BINS
from device.queries import BlockSummary, VisitSummary, YieldView

INTERVAL_COVERS = (
    "in brackets the 95 % interval from differences between the sampled trees; fruit that no photo shows and the "
    "prediction's own error are not in it"
)


def stage_words(stage: str) -> str:
    """A growth stage as people write it."""
    return stage.replace("_", " ")


def fruit_words(label: str) -> str:
    """What was counted, in the plural."""
    return "flowers" if label == "apple_flower" else "fruit"


def yield_words(value: float, unit: str) -> str:
    """A yield without its unit, to the digits that mean something in it."""
    return f"{value:,.{1 if unit in ('t/ha', 'kg/tree') or unit.startswith(BINS) else 0}f}"


def interval_words(view: YieldView) -> str | None:
    """The 95 % interval of the corrected yield without its unit; None from one tree."""
    if view.corrected_low is None or view.corrected_high is None:
        return None
    return f"{yield_words(view.corrected_low, view.unit)} to {yield_words(view.corrected_high, view.unit)}"


def warnings_of(visit: VisitSummary | None) -> tuple[str, ...]:
    """What to know before relying on a visit's estimate."""
    view = visit.estimate if visit else None
    if visit is None or view is None:
        return ()
    stale = []
    if (view.trees, view.fruit) != (visit.trees, visit.fruit):
        made_from = f"{view.fruit:,} {fruit_words(visit.label)} on {view.trees:,} trees"
        stale.append(f"the estimate was made from {made_from}; estimate again")
    if visit.fruit_weight_g not in (None, view.fruit_weight_g):
        stale.append(
            f"the estimate was made with {view.fruit_weight_g:g} g a fruit, and the block's is "
            f"{visit.fruit_weight_g:g} g; estimate again, unless that was meant"
        )
    return (*stale, *view.warnings)


def summary_lines(item: BlockSummary) -> list[tuple[str, str]]:
    """What the manager's table says of a block, line by line."""
    return [("visits", "none yet")] if item.latest is None else visit_lines(item.latest)


def notes_of(visit: VisitSummary | None) -> tuple[str, ...]:
    """What a table of a visit needs said below it: what its interval covers, and the warnings."""
    view = visit.estimate if visit else None
    if view is None or interval_words(view) is None:
        return warnings_of(visit)
    return (INTERVAL_COVERS, *warnings_of(visit))


def visit_lines(visit: VisitSummary) -> list[tuple[str, str]]:
    """What is said of a visit, line by line; the corrected yield comes last."""
    lines = [
        ("visit", f"{visit.day}, {stage_words(visit.stage)}"),
        ("trees sampled", f"{visit.trees:,}"),
        (f"{fruit_words(visit.label)} counted", f"{visit.fruit:,} ({visit.fruit_per_tree:,.1f} a tree)"),
    ]
    view = visit.estimate
    if visit.label != "apple":
        return lines  # yield is estimated from fruit
    if view is None:
        return [*lines, ("corrected yield", "not estimated yet")]
    interval = interval_words(view)
    corrected = yield_words(view.corrected, view.unit) + (f" ({interval})" if interval else "")
    return [
        *lines,
        ("fruit weight", f"{view.fruit_weight_g:,.0f} g"),
        ("observed, sampled trees", f"{yield_words(view.observed, view.unit)} {view.unit}"),
        ("predicted, sampled trees", f"{yield_words(view.predicted_area, view.unit)} {view.unit}"),
        ("correction factor", f"{view.correction_factor:.2f}"),
        ("predicted, orchard", f"{yield_words(view.predicted_orchard, view.unit)} {view.unit}"),
        ("corrected, orchard", f"{corrected} {view.unit}"),
    ]
