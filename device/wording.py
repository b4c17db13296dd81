"""What people read of a block: the same words on the command line and on the pages."""

from __future__ import annotations

from device.queries import BlockSummary, VisitSummary, YieldView


def stage_words(stage: str) -> str:
    """A growth stage as people write it."""
    return stage.replace("_", " ")


def fruit_words(label: str) -> str:
    """What was counted, in the plural."""
    return "flowers" if label == "apple_flower" else "fruit"


def yield_words(value: float, unit: str) -> str:
    """A yield without its unit, to the digits that mean something in it."""
    return f"{value:,.{1 if unit == 't/ha' else 0}f}"


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
    if (view.trees, view.fruit) == (visit.trees, visit.fruit):
        return view.warnings
    made_from = (
        f"the estimate was made from {view.fruit:,} {fruit_words(visit.label)} on {view.trees:,} trees; estimate again"
    )
    return (made_from, *view.warnings)


def summary_lines(item: BlockSummary) -> list[tuple[str, str]]:
    """What the manager's table says of a block, line by line."""
    return [("visits", "none yet")] if item.latest is None else visit_lines(item.latest)


def visit_lines(visit: VisitSummary) -> list[tuple[str, str]]:
    """What is said of a visit, line by line; the corrected yield comes last."""
    lines = [
        ("visit", f"{visit.day}, {stage_words(visit.stage)}"),
        ("trees sampled", f"{visit.trees:,}"),
        (f"{fruit_words(visit.label)} counted", f"{visit.fruit:,} ({visit.fruit_per_tree:,.1f} a tree)"),
    ]
    view = visit.estimate
    if view is None:
        return [*lines, ("corrected yield", "not estimated yet")]
    interval = interval_words(view)
    corrected = yield_words(view.corrected, view.unit) + (f" ({interval})" if interval else "")
    return [
        *lines,
        ("observed, sampled trees", f"{yield_words(view.observed, view.unit)} {view.unit}"),
        ("predicted, sampled trees", f"{yield_words(view.predicted_area, view.unit)} {view.unit}"),
        ("correction factor", f"{view.correction_factor:.2f}"),
        ("predicted, orchard", f"{yield_words(view.predicted_orchard, view.unit)} {view.unit}"),
        ("corrected, orchard", f"{corrected} {view.unit}"),
    ]
