"""Recipes of engines, for tests of what is kept and chosen; the content of an engine does not matter there."""

from __future__ import annotations

from typing import Any

from export.runtime.engine_cache import Recipe
from export.runtime.gpu import Machine

ORIN = Machine("Orin, 8 multiprocessors", "8.7", "10.3.0")
GRAPH = "a" * 64
RECIPE = Recipe(
    gpu=ORIN.gpu,
    compute_capability=ORIN.compute_capability,
    tensorrt=ORIN.tensorrt,
    bundle="yolo-a-1.0.0+aaaaaaaaaaaa",
    graph=GRAPH,
    precision="fp16",
    workspace_mib=1024,
)


def recipe(**changes: Any) -> Recipe:
    """The recipe with other fields."""
    return Recipe(**{**RECIPE.model_dump(), **changes})
