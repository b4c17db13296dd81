"""Fitted models of yields on drawn tables, small enough to make in a test."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np

from export.build.yields import YieldRecipe, build_yield_bundle
from export.runtime.bundle import YieldBundle, sha256_of
from export.runtime.manifest import MANIFEST
from models.yields.candidates import (
    Candidate,
    apyieldnet,
    linear_candidates,
    on_county_effects,
    recurrent_candidates,
    sceptical_candidates,
    wide_alone,
    wide_and_deep,
)
from models.yields.fitted import FittedModel, fit_season, fitted_model
from models.yields.table import YieldTable
from tests.models.yields.tables import drawn_table

RECIPE = YieldRecipe("drawn", "1.0.0")


def candidates(table: YieldTable) -> dict[str, Candidate]:
    """Every model that can be exported, by name; networks of two epochs."""
    pair = on_county_effects(apyieldnet(table, 2), "APYieldNet on county effects")
    wide = wide_and_deep(apyieldnet(table, 2), "APYieldNet, wide and deep")
    networks = [apyieldnet(table, 1), pair, wide, *recurrent_candidates(table, 1)]
    quick = [replace(c, default={**c.default, "epochs": 2}) for c in networks]
    plain = [c for c in sceptical_candidates() if c.name in ("County effects", "County mean")]
    return {c.name: c for c in (*linear_candidates(), *plain, wide_alone("County effects and a line"), *quick)}


def fitted(name: str, *last_months: int, table: YieldTable | None = None) -> FittedModel:
    """A model fitted to a drawn table, and to the table as it is when these months have ended."""
    table = drawn_table() if table is None else table
    tables = [table, *(table.months_until(month) for month in last_months)]
    seasons = []
    for number, some in enumerate(tables):
        candidate = candidates(some)[name]
        width = 700.0 + 100 * number
        seasons.append(
            fit_season(candidate, some, candidate.default, half_width_kg_per_ha=width, metrics={"RMSE": width / 2})
        )
    return fitted_model(
        table,
        seasons,
        training_data="drawn seasons",
        simulated=True,
        licence="AGPL-3.0-or-later",
        attribution=(),
        commit="unknown",
    )


def drawn_bundle(folder: Path, name: str = "Ridge", *last_months: int, table: YieldTable | None = None) -> YieldBundle:
    """A bundle of it."""
    return build_yield_bundle(fitted(name, *last_months, table=table), folder, RECIPE)


def spoil_sample(folder: Path, graph: str) -> None:
    """Let a bundle be whole, and one graph predict otherwise than its sample says.

    Args:
        folder: the bundle.
        graph: name of the graph's files without what follows the point.
    """
    sample, listed = folder / f"{graph}.npz", folder / MANIFEST
    with np.load(sample) as held:
        arrays = dict(held)
    arrays["yield_kg_per_ha"] = arrays["yield_kg_per_ha"] * 1.01
    np.savez(sample, **arrays)
    manifest = json.loads(listed.read_bytes())
    manifest["files"][sample.name] = sha256_of(sample)
    listed.write_text(json.dumps(manifest))
