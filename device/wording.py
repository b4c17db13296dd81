"""What people read of a block: the same words on the command line and on the pages."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from calibration.fruit_weight import WEIGHED
from calibration.units import BINS
from device.orchard_summary import OrchardView
from device.queries import BlockSummary, ComponentView, TreeSummary, VisitSummary, YieldView
from device.season_cells import span_words
from device.sides import LARGER, ONE, SUM

# said of estimates that an older Pomona made
_DIFFERENCES_ONLY = (
    "from differences between the sampled trees; fruit that no photo shows and the prediction's own error are not in it"
)
# errors smaller than this share of the estimate are not worth a word
_LEAST_SD = 0.005


def interval_made_of(view: YieldView) -> str:
    """What the 95 % interval of an estimate is made of, the largest error first."""
    if not view.components:
        return _DIFFERENCES_ONLY
    errors = sorted(view.components, key=lambda error: -error.relative_sd)
    told = [f"{error.name} {sd_words(error)}" for error in errors if error.relative_sd >= _LEAST_SD]
    return f"made of these errors, one standard deviation of each: {', '.join(told) or 'none'}"


def sd_words(error: ComponentView) -> str:
    """The size of an error."""
    return f"±{error.relative_sd * 100:.0f} %"


@dataclass(frozen=True)
class Figure:
    """A yield in words.

    Attributes:
        whose: of the block, or of the whole orchard.
        how: how it was come by.
        value: without its unit.
        interval: its 95 % interval without its unit, None where there is none.
        unit: the unit.
    """

    whose: str
    how: str
    value: str
    interval: str | None
    unit: str

    @property
    def line(self) -> tuple[str, str]:
        """Its name, and the rest."""
        return f"{self.whose}, {self.how}", f"{self.value}{f' ({self.interval})' if self.interval else ''} {self.unit}"


def figures(view: YieldView) -> tuple[Figure, ...]:
    """What an estimate says of its block, which one of an older Pomona does not, and of the orchard."""
    unit, corrected = view.unit, (view.corrected, view.corrected_low, view.corrected_high)
    orchard = _figure("orchard", "corrected by this block", unit, *corrected)
    if view.block_yield is None:
        return (orchard,)
    own = (view.block_yield, view.block_yield_low, view.block_yield_high)
    return _figure("this block", "by its own trees", unit, *own), orchard


def together_figure(view: OrchardView) -> Figure:
    """What the estimates of several blocks say of their orchard."""
    corrected = (view.corrected, view.corrected_low, view.corrected_high)
    return _figure("orchard", "all blocks together", view.unit, *corrected)


def _figure(whose: str, how: str, unit: str, value: float, low: float | None, high: float | None) -> Figure:
    return Figure(whose, how, yield_words(value, unit), _range_words(low, high, unit), unit)


def orchard_lines(view: OrchardView) -> list[tuple[str, str]]:
    """What is said of an orchard of several blocks, line by line; the yield comes last."""
    lines = [("blocks estimated", f"{view.visited} of {view.blocks}"), together_figure(view).line]
    return lines if view.form is None else [lines[0], ("correction", view.form), lines[1]]


def stage_words(stage: str) -> str:
    """A growth stage as people write it."""
    return stage.replace("_", " ")


def sides_words(rule: str) -> str:
    """What of a tree is counted where its sides become one count by a rule."""
    words: dict[str, str] = {LARGER: "the larger side", SUM: "the sum of both sides", ONE: "one side"}
    return words.get(rule, rule)


def fruit_words(label: str) -> str:
    """What was counted, in the plural."""
    return "flowers" if label == "apple_flower" else "fruit"


def reviewed_words(tree: TreeSummary) -> str:
    """How a person came to the count of a tree that was reviewed."""
    if tree.count_set:
        return "count set"
    return f"{len(tree.photos_reviewed)} of {len(tree.photos)} photo{'s' * (len(tree.photos) != 1)}"


def review_effect(visit: VisitSummary) -> str:
    """What the estimate makes of counts that a person has reviewed."""
    if visit.label != "apple":
        return "Forecasts of the harvest take reviewed counts in place of the model's from now on."
    view = visit.estimate
    if view is None:
        return "The estimate will take reviewed counts in place of the model's, free of the detector's error."
    stale = next(_stale(visit, view), None)
    if stale is None:
        return "The estimate has taken in all that was reviewed."
    return (
        f"The visit comes to {visit.fruit:,} fruit now, {visit.reviewed:,} of {visit.trees:,} trees reviewed; "
        f"{stale} to take it in."
    )


def yield_words(value: float, unit: str) -> str:
    """A yield without its unit, to the digits that mean something in it."""
    return f"{value:,.{1 if unit in ('t/ha', 'kg/tree') or unit.startswith(BINS) else 0}f}"


def interval_words(view: YieldView) -> str | None:
    """The 95 % interval of the corrected yield without its unit; None where there is none."""
    return _range_words(view.corrected_low, view.corrected_high, view.unit)


def _range_words(low: float | None, high: float | None, unit: str) -> str | None:
    return None if low is None or high is None else f"{yield_words(low, unit)} to {yield_words(high, unit)}"


def warnings_of(visit: VisitSummary | None) -> tuple[str, ...]:
    """What to know before relying on a visit's estimate."""
    view = visit.estimate if visit else None
    if visit is None or view is None:
        return ()
    return (*_stale(visit, view), *view.warnings)


def _stale(visit: VisitSummary, view: YieldView) -> Iterator[str]:
    """What an estimate was made from and is no longer so."""
    # an older Pomona took the larger side and did not say so
    if (before := view.sides or LARGER) != visit.sides:
        yield f"the estimate took {sides_words(before)}, and the visit takes {sides_words(visit.sides)}; estimate again"
    elif (view.trees, view.fruit) != (visit.trees, visit.fruit):
        made_from = f"{view.fruit:,} {fruit_words(visit.label)} on {view.trees:,} trees"
        yield f"the estimate was made from {made_from}; estimate again"
    elif view.trees_reviewed not in (None, visit.reviewed):
        before_and_now = f"{view.trees_reviewed:,}, now: {visit.reviewed:,}"
        yield f"trees reviewed when the estimate was made: {before_and_now}; estimate again"
    elif visit.hand_counts_changed:
        yield "trees counted by hand tell something else than when the estimate was made; estimate again"
    taken_g, block_g = view.fruit_weight_g, visit.fruit_weight_g
    weighed = next((part.choice for part in view.components if part.choice.endswith(WEIGHED)), None)
    if block_g is not None and weighed is not None and f"{taken_g:.0f}" != f"{block_g:g}":
        yield f"the estimate was made with {weighed}; that goes before the block's {block_g:g} g"
    elif weighed is None and block_g not in (None, taken_g):
        yield (
            f"the estimate was made with {taken_g:g} g a fruit, and the block's is {block_g:g} g; estimate again, "
            "unless that was meant"
        )


def summary_lines(item: BlockSummary) -> list[tuple[str, str]]:
    """What the manager's table says of a block, line by line."""
    return [("visits", "none yet")] if item.latest is None else visit_lines(item.latest)


def notes_of(visit: VisitSummary | None) -> tuple[str, ...]:
    """What a table of a visit needs said below it: what its interval covers, and the warnings."""
    view = visit.estimate if visit else None
    if view is None or interval_words(view) is None:
        return warnings_of(visit)
    return (f"in brackets the 95 % interval; the orchard's is {interval_made_of(view)}", *warnings_of(visit))


def visit_lines(visit: VisitSummary) -> list[tuple[str, str]]:
    """What is said of a visit, line by line; the yields come last, that of the block before the orchard's."""
    told = figures(visit.estimate) if visit.estimate else ()
    return [*counted_lines(visit), *(figure.line for figure in told)]


def counted_lines(visit: VisitSummary) -> list[tuple[str, str]]:
    """The same without the yields it comes to."""
    lines = [
        ("visit", f"{visit.day}, {stage_words(visit.stage)}"),
        ("trees sampled", f"{visit.trees:,}"),
        (f"{fruit_words(visit.label)} counted", f"{visit.fruit:,} ({visit.fruit_per_tree:,.1f} a tree)"),
    ]
    if visit.reviewed:
        lines.append(("trees reviewed", f"{visit.reviewed:,} of {visit.trees:,}"))
    if visit.sides != LARGER:
        lines.append(("of each tree", sides_words(visit.sides)))
    view = visit.estimate
    if visit.label != "apple":
        return lines  # yield is estimated from fruit
    if view is None:
        return [*lines, ("corrected yield", "not estimated yet")]
    factor = f"{view.correction_factor:.2f}"
    if view.correction_factor_low is not None and view.correction_factor_high is not None:
        factor += f" ({view.correction_factor_low:.2f} to {view.correction_factor_high:.2f})"
    return [
        *lines,
        ("fruit weight", f"{view.fruit_weight_g:,.0f} g"),
        ("observed, sampled trees", f"{yield_words(view.observed, view.unit)} {view.unit}"),
        ("predicted, sampled trees", f"{yield_words(view.predicted_area, view.unit)} {view.unit}"),
        ("correction factor", factor),
        ("predicted, orchard", f"{yield_words(view.predicted_orchard, view.unit)} {view.unit}"),
        *_model_lines(view),
    ]


def _model_lines(view: YieldView) -> list[tuple[str, str]]:
    """Which model predicted on the device, and from what."""
    model = view.model
    if model is None:
        return []
    days = model.acquisitions
    seen = f"{len(days)} days, the last {days[-1]}" if days else "no day"
    return [
        ("predicted by", model.bundle),
        ("from the months", f"{span_words(model.months)} {model.year}"),
        ("satellite pictures", seen),
        ("model's 90 % interval", f"± {yield_words(model.half_width, view.unit)} {view.unit}"),
        ("season like its training", "no" if model.outside else "yes"),
    ]
