"""The estimate of a visit: observed yield of its sampling area, correction factor, corrected yield of the orchard."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import date

import numpy as np

from calibration.fruit_weight import given_weight
from calibration.observed import SampledTrees, sampling_area_m2
from calibration.sampling import SimpleRandom
from calibration.siting import area_factor
from calibration.yields import CONFIDENCE, Correction, correct, predicted_alike
from cloud_sync import clock
from cloud_sync.messages import EstimateBody, Stage
from device.errors import InputError
from device.names import LONGEST
from device.orchards import Block
from device.predictions import Place, Predictions
from device.recording import LABEL_OF_STAGE
from device.store import Store

# An empirical weight of a ripe dessert apple; said in the warnings whenever nobody gave a better one.
DEFAULT_FRUIT_WEIGHT_G = 200.0


@dataclass(frozen=True)
class SampledVisit:
    """A visit with the counts of its trees.

    Attributes:
        id: id of its row.
        day: the day.
        stage: the growth stage.
        area_m2: ground area of the sampled trees where somebody measured it.
        area_trees: number of trees it was measured for.
        counts: fruit of each tree; the reviewed count where there is one.
        places: latitude and longitude of each tree by its code.
    """

    id: str
    day: date
    stage: Stage
    area_m2: float | None
    area_trees: int | None
    counts: tuple[int, ...]
    places: dict[str, Place]


def find_visit(store: Store, block: Block, day: date | None = None, stage: str | None = None) -> SampledVisit:
    """The latest visit of a block, or that of a day and stage.

    Raises:
        InputError: no such visit, or one without counts.
    """
    rows = [
        row
        for row in store.db.query("SELECT * FROM visit WHERE block = ? ORDER BY day DESC, rowid DESC", [block.id])
        if (day is None or row["day"] == day.isoformat()) and (stage is None or row["stage"] == stage)
    ]
    if not rows:
        when = " ".join(str(part) for part in (day, stage) if part)
        raise InputError(
            f"block {block.name} has no visit{f' of {when}' if when else ''}; bring its photos in: pomona visit import "
            f"FOLDER --block {block.name} --stage STAGE"
        )
    visit = rows[0]
    label = LABEL_OF_STAGE[visit["stage"]]
    counts = list(
        store.db.query(
            "SELECT code, coalesce(reviewed, machine) AS fruit, latitude, longitude FROM tree_count "
            "JOIN tree ON tree.id = tree_count.tree WHERE visit = ? AND label = ? ORDER BY code",
            [visit["id"], label],
        )
    )
    if not counts:
        raise InputError(f"the visit of block {block.name} on {visit['day']} has no counts; import its photos again")
    return SampledVisit(
        visit["id"],
        date.fromisoformat(visit["day"]),
        visit["stage"],
        visit["area_m2"],
        visit["area_trees"],
        tuple(row["fruit"] for row in counts),
        {row["code"]: (row["latitude"], row["longitude"]) for row in counts},
    )


def estimate(
    store: Store, block: Block, visit: SampledVisit, predictions: Predictions, fruit_weight_g: float | None = None
) -> Correction:
    """Estimate a visit and record the result; estimating again replaces it by a new revision.

    Args:
        store: the device's records.
        block: the visited block.
        visit: the visit.
        predictions: predicted yields of the orchard and the sampling area.
        fruit_weight_g: single fruit weight; None takes the block's.

    Raises:
        InputError: the area of the sampled trees is not known or was measured for another number of trees, or there is
            no prediction for it.
        CalibrationError: a count, weight, area or prediction that yield cannot be computed from.
    """
    label = LABEL_OF_STAGE[visit.stage]
    if label != "apple":
        raise InputError(
            f"the visit of {visit.day} counted flowers, and yield is estimated from fruit; "
            "choose a visit of another stage with --stage"
        )
    trees = len(visit.counts)
    warnings: list[str] = []
    weight = block.fruit_weight_g if fruit_weight_g is None else fruit_weight_g
    if weight is None:
        weight = DEFAULT_FRUIT_WEIGHT_G
        warnings.append(f"no fruit weight is known for block {block.name}: {weight:g} g was assumed; weigh a few fruit")
    area_m2 = visit.area_m2
    if area_m2 is not None and visit.area_trees != trees:
        raise InputError(
            f"the sampled area of {area_m2:g} m² was given for {visit.area_trees} trees, and the visit of {visit.day} "
            f"has {trees}; measure the ground of all {trees} and import all their photos together again, with "
            "--sampled-area"
        )
    if area_m2 is None:
        if block.trees_per_ha is None:
            raise InputError(
                f"the area of the sampled trees of block {block.name} is unknown; give its trees and area: "
                f"pomona block add {block.name} --orchard '{block.orchard}' --trees N --area 2.5ha, "
                "or --sampled-area with the import"
            )
        area_m2 = sampling_area_m2(trees, block.trees_per_ha)
    predicted = predicted_alike(
        trees, predictions.area_kg_per_ha(block.name, visit.places), predictions.orchard_kg_per_ha()
    )
    sampled = SampledTrees(
        np.array(visit.counts, dtype=np.float64), SimpleRandom(block.trees), area_m2, (given_weight(weight),)
    )
    result = correct(sampled, predicted, area_factor("one area"))
    low, high = result.corrected_kg_per_ha.positive_interval(CONFIDENCE)
    warnings += result.warnings
    body = EstimateBody(
        orchard=block.orchard,
        block=block.name,
        day=visit.day,
        stage=visit.stage,
        label=label,
        trees=trees,
        fruit=sum(visit.counts),
        fruit_weight_g=weight,
        area_m2=area_m2,
        observed_kg_per_ha=result.observed_kg_per_ha.value,
        predicted_area_kg_per_ha=result.predicted_area_kg_per_ha,
        predicted_orchard_kg_per_ha=result.predicted_orchard_kg_per_ha,
        correction_factor=result.factor.value,
        corrected_kg_per_ha=result.corrected_kg_per_ha.value,
        corrected_low_kg_per_ha=low,
        corrected_high_kg_per_ha=high,
        warnings=tuple(warnings),
        prediction_source=_printable(predictions.source)[-LONGEST:],
    )
    _record(store, visit.id, body)
    return replace(result, warnings=tuple(warnings))


def _printable(text: str) -> str:
    """A file name as a message can hold it: names need not be text, nor seasons a line."""
    return "".join(character if character.isprintable() else "?" for character in text)


def _record(store: Store, visit_id: str, body: EstimateBody) -> None:
    key = {"visit": visit_id, "label": body.label}
    text = body.model_dump_json(exclude_none=True)
    with store.change():
        known = store.one("SELECT made_at, body FROM estimate WHERE visit = ? AND label = ?", list(key.values()))
        unchanged = known is not None and known["body"] == text
        made_at = known["made_at"] if known and unchanged else clock.now().isoformat()
        store.record("estimate", key, {"made_at": made_at, "body": text}, body)
