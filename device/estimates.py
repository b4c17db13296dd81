"""The estimate of a visit: observed yield, correction factor, corrected yield of block and orchard, with intervals."""

from __future__ import annotations

from dataclasses import dataclass, replace
from math import isinf, sqrt
from pathlib import Path

from calibration.estimate import Estimate, product
from calibration.guard_rails import unlike_orchard
from calibration.observed import Component, SampledTrees, sampling_area_m2
from calibration.shared_factors import SharedFactor
from calibration.siting import Siting, area_factor
from calibration.yields import CONFIDENCE, Correction, Predicted, correct
from cloud_sync import clock
from cloud_sync.messages import EstimateBody, EstimateComponent, EstimatePrediction
from device.errors import InputError
from device.estimate_factors import counts_and_factors, fruit_weight
from device.hand_factors import told_by_hand
from device.names import LONGEST
from device.orchards import Block
from device.predictions import Predictions
from device.sampled_visits import SampledVisit
from device.seasons.areas import learn_areas
from device.seasons.years import season_of
from device.sitings import BLOCK, OF_BLOCK, OF_ORCHARD, ORCHARD, SITINGS
from device.store import Store
from device.visit_designs import RANDOM, design_of


@dataclass(frozen=True)
class Choices:
    """What a person says of a visit beside its photos.

    Attributes:
        fruit_weight_g: single fruit weight; None takes the block's.
        weighed: file with the weights of fruit on a scale, which goes before.
        design: how the trees were chosen, of :data:`device.visit_designs.DESIGNS`.
        listed: file that lists all trees of the block, for strata.
        siting: where the trees were taken from, of :data:`device.sitings.SITINGS`.
        bundle: folder of the bundle that counted, where it did not come with Pomona.
    """

    fruit_weight_g: float | None = None
    weighed: Path | None = None
    design: str = RANDOM
    listed: Path | None = None
    siting: str = BLOCK
    bundle: Path | None = None


@dataclass(frozen=True)
class VisitEstimate:
    """What a visit says.

    Attributes:
        orchard: of the orchard.
        block_kg_per_ha: yield of the block from its own trees.
    """

    orchard: Correction
    block_kg_per_ha: Estimate


NOTHING_SAID = Choices()


def estimate(
    store: Store, block: Block, visit: SampledVisit, predictions: Predictions, choices: Choices = NOTHING_SAID
) -> VisitEstimate:
    """Estimate a visit and record the result; estimating again replaces it by a new revision.

    Args:
        store: the device's records.
        block: the visited block.
        visit: the visit.
        predictions: predicted yields of the orchard and the sampling area.
        choices: what a person says beside the photos.

    Raises:
        InputError: the area of the sampled trees is not known or was measured for another number of trees, there is
            no prediction for it, or what is said does not fit.
        CalibrationError: fewer than two trees, or a count, weight, area or prediction that yield cannot be computed
            from.
    """
    if visit.label != "apple":
        raise InputError(
            f"the visit of {visit.day} counted flowers, and yield is estimated from fruit; "
            "choose a visit of another stage with --stage"
        )
    if choices.siting not in SITINGS:
        raise InputError(f"siting {choices.siting!r} is unknown; known are {', '.join(SITINGS)}")
    weight = fruit_weight(block, choices.fruit_weight_g, choices.weighed)
    area_m2 = _area_m2(block, visit)
    order, design = design_of(
        store, block, visit, choices.design, choices.listed, whole_block=choices.siting in (ORCHARD, BLOCK)
    )
    counts, factors = counts_and_factors(store, block, visit, choices.bundle)
    codes = tuple(visit.trees[tree].code for tree in order)
    sampled = SampledTrees(counts[order], design, area_m2, (weight, *factors), codes)
    at_trees = predictions.at_trees_kg_per_ha(block.name, visit.places)
    result = correct(
        sampled,
        Predicted(at_trees[order], predictions.orchard_kg_per_ha()),
        _area_factor(store, visit, OF_ORCHARD[choices.siting]),
    )
    unlike = unlike_orchard(*predictions.features(block.name, visit.places))
    told = predictions.told(block.name, visit.places)
    result = replace(result, warnings=(*result.warnings, *unlike, *told.warnings))
    own = _area_factor(store, visit, OF_BLOCK[choices.siting])
    found = VisitEstimate(result, product([result.observed_kg_per_ha, own.factor]))
    used = _Used(weight.factor.value, area_m2, choices.siting, predictions.source, told.prediction)
    _record(store, visit.id, _body(block, visit, found, used), told_by_hand(store, block, visit))
    return found


def _area_factor(store: Store, visit: SampledVisit, siting: Siting) -> SharedFactor:
    """By the areas whose orchards or blocks were weighed in earlier seasons, else by default."""
    learned = learn_areas(store, siting, season_of(visit.day, visit.stage))
    return area_factor(siting) if learned is None else area_factor(siting, learned.error, learned.areas)


def _area_m2(block: Block, visit: SampledVisit) -> float:
    trees = len(visit.trees)
    if visit.area_m2 is not None:
        if visit.area_trees != trees:
            raise InputError(
                f"the sampled area of {visit.area_m2:g} m² was given for {visit.area_trees} trees, and the visit of "
                f"{visit.day} has {trees}; measure the ground of all {trees} and import all their photos together "
                "again, with --sampled-area"
            )
        return visit.area_m2
    if block.trees_per_ha is None:
        raise InputError(
            f"the area of the sampled trees of block {block.name} is unknown; give its trees and area: "
            f"pomona block add {block.name} --orchard '{block.orchard}' --trees N --area 2.5ha, "
            "or --sampled-area with the import"
        )
    return sampling_area_m2(trees, block.trees_per_ha)


@dataclass(frozen=True)
class _Used:
    """What went into an estimate beside the counts."""

    fruit_weight_g: float
    area_m2: float
    siting: str
    source: str
    prediction: EstimatePrediction | None


def _body(block: Block, visit: SampledVisit, found: VisitEstimate, used: _Used) -> EstimateBody:
    result = found.orchard
    factor_low, factor_high = result.factor.positive_interval(CONFIDENCE)
    low, high = result.corrected_kg_per_ha.positive_interval(CONFIDENCE)
    block_low, block_high = found.block_kg_per_ha.positive_interval(CONFIDENCE)
    return EstimateBody(
        orchard=block.orchard,
        block=block.name,
        day=visit.day,
        stage=visit.stage,
        label=visit.label,
        trees=len(visit.trees),
        fruit=sum(tree.fruit for tree in visit.trees),
        fruit_weight_g=used.fruit_weight_g,
        area_m2=used.area_m2,
        observed_kg_per_ha=result.observed_kg_per_ha.value,
        predicted_area_kg_per_ha=result.predicted_area_kg_per_ha,
        predicted_orchard_kg_per_ha=result.predicted_orchard_kg_per_ha,
        correction_factor=result.factor.value,
        correction_factor_low=factor_low,
        correction_factor_high=factor_high,
        corrected_kg_per_ha=result.corrected_kg_per_ha.value,
        corrected_low_kg_per_ha=low,
        corrected_high_kg_per_ha=high,
        block_kg_per_ha=found.block_kg_per_ha.value,
        block_low_kg_per_ha=block_low,
        block_high_kg_per_ha=block_high,
        siting=used.siting,
        sides=visit.sides,
        trees_reviewed=sum(tree.reviewed is not None for tree in visit.trees),
        components=tuple(map(_sent, result.components)),
        warnings=result.warnings,
        prediction_source=_printable(used.source)[-LONGEST:],
        prediction=used.prediction,
    )


def _sent(component: Component) -> EstimateComponent:
    degrees = component.degrees_of_freedom
    return EstimateComponent(
        name=component.name,
        relative_sd=sqrt(component.relative_variance),
        degrees_of_freedom=None if isinf(degrees) else degrees,
        choice=component.choice[:LONGEST],
    )


def _printable(text: str) -> str:
    """A file name as a message can hold it: names need not be text, nor seasons a line."""
    return "".join(character if character.isprintable() else "?" for character in text)


def _record(store: Store, visit_id: str, body: EstimateBody, by_hand: str) -> None:
    key = {"visit": visit_id, "label": body.label}
    text = body.model_dump_json(exclude_none=True)
    with store.change():
        known = store.one("SELECT made_at, body FROM estimate WHERE visit = ? AND label = ?", list(key.values()))
        unchanged = known is not None and known["body"] == text
        made_at = known["made_at"] if known and unchanged else clock.now().isoformat()
        store.record("estimate", key, {"made_at": made_at, "body": text}, body, unsent={"by_hand": by_hand})
