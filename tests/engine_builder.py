"""A process that builds "engines" without TensorRT, out of the graph alone, and keeps them as the real one does."""

from __future__ import annotations

import time
from pathlib import Path

from export.runtime.child_process import serve
from export.runtime.engine_cache import EngineCache, Recipe
from export.runtime.errors import EngineError

REFUSED_MIB, ENDLESS_MIB, SILENT_MIB = 16, 17, 18


def work(request: dict[str, object]) -> None:
    """Build; the recipe's memory cap says how it goes."""
    recipe = Recipe.model_validate(request["recipe"])
    cache = EngineCache(Path(str(request["cache"])))
    graph = Path(str(request["graph"])).read_bytes()
    if recipe.workspace_mib == REFUSED_MIB:
        raise EngineError("node 7 'conv' (Conv): no kernel fits 16 MiB")
    if recipe.workspace_mib == SILENT_MIB:
        return
    while recipe.workspace_mib == ENDLESS_MIB:
        (cache.folder / ".half.engine.new").write_bytes(graph)
        time.sleep(0.01)
    cache.put(recipe, graph[::-1], 1.0)


if __name__ == "__main__":
    serve(work)
