"""The walk to the chosen trees: as lines to read in the field, as JSON, and as a map."""

from __future__ import annotations

import json
import textwrap
from collections.abc import Iterator
from itertools import groupby
from math import isinf
from typing import Any

from cloud_sync.documents import PLAN_SCHEMA
from device.errors import InputError
from device.planning.designs import SPREAD_OUT, STRATIFIED, SYSTEMATIC
from device.planning.plan import Plan

WIDTH = 80
_UP, _DOWN = "→", "←"
# keeps a code in one piece where a line is broken
_HARD_BLANK = "\N{NO-BREAK SPACE}"


def promise_words(plan: Plan) -> str:
    """What the chosen trees are promised to reach."""
    promise = plan.promise
    confidence, assurance = percent(promise.confidence), percent(promise.assurance)
    return f"±{percent(plan.precision, 1)} at {confidence}, kept in {assurance} of draws"


def percent(share: float, digits: int = 0) -> str:
    """A share as people read it."""
    return f"{100 * share:.{digits}f} %"


def design_words(plan: Plan) -> str:
    """How the trees were chosen."""
    number, trees = len(plan.walk), len(plan.trees)
    if number == trees:
        return "all"
    ways = {
        SYSTEMATIC: f"every {trees / number:.4g}th along the walk, from a random start",
        SPREAD_OUT: "at random, but apart from one another",
        STRATIFIED: f"from {len(plan.draw.population.sizes)} strata, {plan.draw.allocation} allocation",
    }
    return f"{ways[plan.draw.design]} (seed {plan.seed})"


def strata_lines(plan: Plan) -> list[str]:
    """A line for each stratum; none without."""
    draw = plan.draw
    if draw.names is None:
        return []
    lines = zip(draw.names, draw.population.sizes.tolist(), draw.sample.tolist(), strict=True)
    return [f"{name}: {chosen:,} of {trees:,} trees" for name, trees, chosen in lines]


def walk_lines(plan: Plan, width: int = WIDTH) -> list[str]:
    """The walking list: a row a line, its trees in the order they are met, wrapped at a width.

    A tree is named by its place in the row where its code says no more than that, else by its code.
    """
    trees = plan.trees
    if trees.row is None or trees.position is None:
        return _wrapped("  ".join(trees.codes[tree].replace(" ", _HARD_BLANK) for tree in plan.walk.tolist()), width)
    lines = []
    rows, positions = trees.row, trees.position
    digits = [len(str(column[plan.walk].max())) for column in (rows, positions)]
    for number, (row, group) in enumerate(groupby(plan.walk.tolist(), key=lambda tree: int(rows[tree]))):
        names = [
            str(positions[tree]).rjust(digits[1])
            if trees.names_follow_rows
            else trees.codes[tree].replace(" ", _HARD_BLANK)
            for tree in group
        ]
        head = f"row {row:>{digits[0]}} {_DOWN if number % 2 else _UP}  "
        lines += _wrapped("  ".join(names), width, head)
    return lines


def _wrapped(text: str, width: int, head: str = "") -> list[str]:
    lines = textwrap.wrap(text, width, initial_indent=head, subsequent_indent=" " * len(head), break_on_hyphens=False)
    return [line.replace(_HARD_BLANK, " ") for line in lines]


def _stops(plan: Plan) -> Iterator[dict[str, Any]]:
    """The chosen trees in walking order, as plain values."""
    trees, draw = plan.trees, plan.draw
    weights = (draw.population.sizes / draw.sample).tolist()
    placed = trees.placed
    for order, tree in enumerate(plan.walk.tolist(), start=1):
        stratum = int(draw.stratum[tree])
        yield {
            "order": order,
            "tree": trees.codes[tree],
            "row": None if trees.row is None else int(trees.row[tree]),
            "position": None if trees.position is None else int(trees.position[tree]),
            "latitude": float(trees.latitude[tree]) if placed[tree] else None,
            "longitude": float(trees.longitude[tree]) if placed[tree] else None,
            "stratum": None if draw.names is None else draw.names[stratum],
            "weight": weights[stratum],
        }


def plan_as_dict(plan: Plan) -> dict[str, Any]:
    """A plan as plain values: what ``pomona plan --json`` prints."""
    draw, spread, promise = plan.draw, plan.draw.spread, plan.promise
    strata = zip(draw.names or (), draw.population.sizes.tolist(), draw.sample.tolist(), strict=draw.names is not None)
    return {
        "schema": PLAN_SCHEMA,
        "orchard": plan.block.orchard,
        "block": plan.block.name,
        "trees": len(plan.trees),
        "photograph": len(plan.walk),
        "promise": {
            "precision": promise.precision,
            "confidence": promise.confidence,
            "assurance": promise.assurance,
        },
        "precision": plan.precision,
        "spread": {
            "cv": spread.cv,
            "degrees_of_freedom": None if isinf(spread.degrees_of_freedom) else spread.degrees_of_freedom,
            "source": spread.source,
        },
        "design": draw.design,
        "allocation": draw.allocation,
        "seed": plan.seed,
        "strata": [{"stratum": name, "trees": trees, "photograph": chosen} for name, trees, chosen in strata],
        "walk": list(_stops(plan)),
        "notes": list(plan.notes),
    }


def plan_as_geojson(plan: Plan) -> tuple[bytes, int]:
    """The chosen trees as points (RFC 7946), in walking order.

    Returns:
        The file's content, and how many trees have no known place and are not in it.

    Raises:
        InputError: no chosen tree has one.
    """
    features = []
    for stop in _stops(plan):
        latitude, longitude = stop.pop("latitude"), stop.pop("longitude")
        if latitude is not None:
            geometry = {"type": "Point", "coordinates": [round(longitude, 7), round(latitude, 7)]}
            features.append({"type": "Feature", "geometry": geometry, "properties": stop})
    if not features:
        raise InputError(
            f"where the trees of block {plan.block.name} stand is not known, so there is nothing to map; give "
            "--trees FILE with latitude and longitude, or plan without --map"
        )
    content = {"type": "FeatureCollection", "features": features}
    return (json.dumps(content, ensure_ascii=False) + "\n").encode(), len(plan.walk) - len(features)
