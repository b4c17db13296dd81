"""What people ask the store: the one layer under pages, command line and JSON. Reads only."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from datetime import date
from typing import Any

from calibration.units import yield_from_kg_per_ha
from cloud_sync.messages import EstimateBody, Stage
from device.errors import InputError
from device.hand_factors import told_by_hand
from device.orchard_summary import OrchardView
from device.orchards import Block, all_blocks, find_block
from device.recording import LABEL_OF_STAGE
from device.sampled_visits import find_visit
from device.sides import Rule
from device.store import Store


@dataclass(frozen=True)
class ComponentView:
    """One of the errors an interval is made of.

    Attributes:
        name: what errs.
        relative_sd: its standard deviation as a share of the estimate.
        share: its share of the variance.
        choice: how the figure was come by.
    """

    name: str
    relative_sd: float
    share: float
    choice: str


@dataclass(frozen=True)
class ModelView:
    """The model on the device that predicted.

    Attributes:
        bundle: name, version and hash.
        year: of the harvest.
        months: of the season it was given.
        acquisitions: days of the satellite's pictures in it, ISO dates in order.
        county: of the orchard, None where nobody has said.
        half_width: of the model's own 90 % interval.
        outside: whether the season is unlike those trained on.
    """

    bundle: str
    year: int
    months: tuple[int, ...]
    acquisitions: tuple[str, ...]
    county: str | None
    half_width: float
    outside: bool


@dataclass(frozen=True)
class YieldView:
    """An estimate in the unit its orchard's people read.

    Attributes:
        unit: the unit of all yields here.
        trees: trees it was made from; more may have been counted since.
        fruit: fruit it was made from.
        observed: yield of the sampling area from its counts.
        predicted_area: yield predicted for the sampling area.
        predicted_orchard: yield predicted for the orchard.
        correction_factor: observed / predicted on the sampling area.
        correction_factor_low: lower end of its 95 % interval, None where there is none.
        correction_factor_high: upper end.
        block_yield: yield of the block from its own trees, None from an older Pomona.
        block_yield_low: lower end of its 95 % interval.
        block_yield_high: upper end.
        corrected: correction factor x yield predicted for the orchard.
        corrected_low: lower end of its 95 % interval, None where there is none.
        corrected_high: upper end.
        siting: where the sampled trees stand in the orchard, None from an older Pomona.
        components: the errors in the interval of the corrected yield; none from an older Pomona.
        fruit_weight_g: single fruit weight used.
        sides: how the sides of a tree became one count, None from an older Pomona.
        trees_reviewed: trees of these that a person had reviewed, None from an older Pomona.
        warnings: what to know before relying on it.
        prediction_source: where the predictions came from.
        made_at: when it was made.
        model: that predicted on the device; None where the predictions came ready.
    """

    unit: str
    trees: int
    fruit: int
    observed: float
    predicted_area: float
    predicted_orchard: float
    correction_factor: float
    correction_factor_low: float | None
    correction_factor_high: float | None
    block_yield: float | None
    block_yield_low: float | None
    block_yield_high: float | None
    corrected: float
    corrected_low: float | None
    corrected_high: float | None
    siting: str | None
    components: tuple[ComponentView, ...]
    fruit_weight_g: float
    sides: str | None
    trees_reviewed: int | None
    warnings: tuple[str, ...]
    prediction_source: str
    made_at: str
    model: ModelView | None


@dataclass(frozen=True)
class VisitSummary:
    """A visit at a glance.

    Attributes:
        id: id of the visit.
        orchard: name of the orchard.
        block: name of the block.
        day: the day.
        stage: the growth stage.
        label: what was counted.
        trees: trees counted.
        photos: photos taken.
        fruit: fruit on all of them; reviewed counts replace the machine's.
        reviewed: trees a person has reviewed.
        sides: how the sides of a tree become one count, of :data:`device.sides.RULES`.
        estimate: the estimate, None before one was made.
        hand_counts_changed: whether trees counted by hand tell something else than when it was made.
        fruit_weight_g: the block's single fruit weight today, None where unknown.
    """

    id: str
    orchard: str
    block: str
    day: date
    stage: Stage
    label: str
    trees: int
    photos: int
    fruit: int
    reviewed: int
    sides: Rule
    estimate: YieldView | None
    hand_counts_changed: bool
    fruit_weight_g: float | None

    @property
    def fruit_per_tree(self) -> float:
        """Mean over the counted trees."""
        return self.fruit / self.trees if self.trees else 0.0


@dataclass(frozen=True)
class BlockSummary:
    """A block with its latest visit.

    Attributes:
        block: the block.
        visits: number of visits.
        latest: the latest of them, None before the first.
    """

    block: Block
    visits: int
    latest: VisitSummary | None


@dataclass(frozen=True)
class TreeSummary:
    """A tree in a visit.

    Attributes:
        tree: code.
        machine: count of the model.
        reviewed: count of a person, None where nobody has looked.
        photos: SHA-256 of its photos.
        photos_reviewed: of these the ones whose boxes a person has reviewed.
        count_set: whether a person set its count itself, whatever its photos say.
        latitude: degrees north, None where unknown.
        longitude: degrees east.
    """

    tree: str
    machine: int
    reviewed: int | None
    photos: tuple[str, ...]
    photos_reviewed: tuple[str, ...]
    count_set: bool
    latitude: float | None
    longitude: float | None

    @property
    def fruit(self) -> int:
        """The count that stands."""
        return self.machine if self.reviewed is None else self.reviewed


def summarise(store: Store) -> list[BlockSummary]:
    """Every block with its latest visit: the manager's table."""
    summaries = []
    for block in all_blocks(store):
        visits = list_visits(store, block)
        summaries.append(BlockSummary(block, len(visits), visits[0] if visits else None))
    return summaries


_VISITS = """
    SELECT visit.*, count(tree_count.id) AS trees, count(tree_count.reviewed) AS reviewed,
        coalesce(sum(coalesce(tree_count.reviewed, tree_count.machine)), 0) AS fruit,
        (SELECT count(*) FROM photo WHERE photo.visit = visit.id) AS photos,
        estimate.body AS estimate, estimate.made_at, estimate.by_hand
    FROM visit
    LEFT JOIN tree_count ON tree_count.visit = visit.id
    LEFT JOIN estimate ON estimate.visit = visit.id
"""


def list_visits(store: Store, block: Block) -> list[VisitSummary]:
    """The visits of a block, latest first."""
    rows = store.db.query(
        f"{_VISITS} WHERE visit.block = ? GROUP BY visit.id ORDER BY day DESC, visit.rowid DESC", [block.id]
    )
    return [_visit(store, block, row) for row in list(rows)]


def get_visit(store: Store, visit: str) -> VisitSummary:
    """A visit by its id.

    Raises:
        InputError: no such visit.
    """
    row = store.one(f"{_VISITS} WHERE visit.id = ? GROUP BY visit.id", [visit])
    if row is None:
        raise InputError(f"visit {visit!r} is unknown here")
    block = store.one("SELECT name FROM block WHERE id = ?", [row["block"]])
    assert block is not None  # the foreign key holds
    return _visit(store, find_block(store, block["name"]), row)


def _visit(store: Store, block: Block, row: dict[str, Any]) -> VisitSummary:
    return VisitSummary(
        id=row["id"],
        orchard=block.orchard,
        block=block.name,
        day=date.fromisoformat(row["day"]),
        stage=row["stage"],
        label=LABEL_OF_STAGE[row["stage"]],
        trees=row["trees"],
        photos=row["photos"],
        fruit=row["fruit"],
        reviewed=row["reviewed"],
        sides=row["sides"],
        estimate=_yield_view(block, row["estimate"], row["made_at"]) if row["estimate"] else None,
        hand_counts_changed=_hand_counts_changed(store, block, row),
        fruit_weight_g=block.fruit_weight_g,
    )


def _hand_counts_changed(store: Store, block: Block, row: dict[str, Any]) -> bool:
    """Estimates of an older Pomona do not know what hand counts told then."""
    if row["by_hand"] is None:
        return False
    visit = find_visit(store, block, date.fromisoformat(row["day"]), row["stage"])
    return told_by_hand(store, block, visit) != str(row["by_hand"])


def _yield_view(block: Block, text: str, made_at: str) -> YieldView:
    body = EstimateBody.model_validate_json(text)
    unit = block.yield_unit
    if unit == "kg/tree" and block.trees_per_ha is None:
        unit = "kg/ha"  # the density was taken away after the unit was chosen

    def shown(kg_per_ha: float) -> float:
        return yield_from_kg_per_ha(kg_per_ha, unit, block.trees_per_ha)

    def shown_if_known(kg_per_ha: float | None) -> float | None:
        return None if kg_per_ha is None else shown(kg_per_ha)

    return YieldView(
        unit=unit,
        trees=body.trees,
        fruit=body.fruit,
        observed=shown(body.observed_kg_per_ha),
        predicted_area=shown(body.predicted_area_kg_per_ha),
        predicted_orchard=shown(body.predicted_orchard_kg_per_ha),
        correction_factor=body.correction_factor,
        correction_factor_low=body.correction_factor_low,
        correction_factor_high=body.correction_factor_high,
        block_yield=shown_if_known(body.block_kg_per_ha),
        block_yield_low=shown_if_known(body.block_low_kg_per_ha),
        block_yield_high=shown_if_known(body.block_high_kg_per_ha),
        corrected=shown(body.corrected_kg_per_ha),
        corrected_low=shown_if_known(body.corrected_low_kg_per_ha),
        corrected_high=shown_if_known(body.corrected_high_kg_per_ha),
        siting=body.siting,
        components=_components(body),
        fruit_weight_g=body.fruit_weight_g,
        sides=body.sides,
        trees_reviewed=body.trees_reviewed,
        warnings=body.warnings,
        prediction_source=body.prediction_source,
        made_at=made_at,
        model=_model_view(body, shown),
    )


def _model_view(body: EstimateBody, shown: Callable[[float], float]) -> ModelView | None:
    used = body.prediction
    if used is None:
        return None
    days = tuple(day.isoformat() for day in sorted(used.acquisitions))
    width = shown(used.half_width_kg_per_ha)
    return ModelView(used.bundle, used.year, used.months, days, used.county, width, used.outside)


def _components(body: EstimateBody) -> tuple[ComponentView, ...]:
    whole = sum(part.relative_sd**2 for part in body.components) or 1.0
    return tuple(
        ComponentView(part.name, part.relative_sd, part.relative_sd**2 / whole, part.choice) for part in body.components
    )


def list_trees(store: Store, visit: VisitSummary) -> list[TreeSummary]:
    """The trees of a visit, by code."""
    rows = store.db.query(
        "SELECT tree.code, tree.latitude, tree.longitude, machine, reviewed, photos, "
        "EXISTS (SELECT 1 FROM tree_review WHERE tree_review.visit = tree_count.visit AND NOT taken_back "
        "AND tree_review.tree = tree_count.tree AND tree_review.label = tree_count.label) AS count_set "
        "FROM tree_count JOIN tree ON tree.id = tree_count.tree WHERE visit = ? AND label = ? ORDER BY tree.code",
        [visit.id, visit.label],
    )
    looked_at = {
        sha256
        for (sha256,) in store.db.execute(
            "SELECT sha256 FROM photo_review JOIN photo ON photo.id = photo_review.photo "
            "WHERE photo.visit = ? AND label = ? AND NOT taken_back",
            [visit.id, visit.label],
        )
    }
    trees = []
    for row in rows:
        photos = tuple(json.loads(row["photos"]))
        reviewed = tuple(name for name in photos if name in looked_at)
        trees.append(
            TreeSummary(
                row["code"],
                row["machine"],
                row["reviewed"],
                photos,
                reviewed,
                bool(row["count_set"]),
                row["latitude"],
                row["longitude"],
            )
        )
    return trees


def summaries_as_dict(blocks: Sequence[BlockSummary], orchards: Sequence[OrchardView]) -> dict[str, Any]:
    """Blocks, and orchards of several blocks, as plain values: what ``pomona summary --json`` prints."""
    return {"orchards": [asdict(view) for view in orchards], "blocks": [summary_as_dict(item) for item in blocks]}


def summary_as_dict(summary: BlockSummary) -> dict[str, Any]:
    """A block summary as plain values."""
    block = asdict(summary.block)
    del block["id"]
    latest = None
    if summary.latest is not None:
        latest = {**asdict(summary.latest), "day": summary.latest.day.isoformat()}
        latest["fruit_per_tree"] = summary.latest.fruit_per_tree
        for name in ("orchard", "block", "fruit_weight_g"):  # the block's own, above
            del latest[name]
    return {"block": block, "visits": summary.visits, "latest_visit": latest}
