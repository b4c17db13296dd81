"""Which TensorRT engine serves, and why not the one that is wanted; a pure function of what is there."""

from __future__ import annotations

import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial

from export.runtime.bundle import BUNDLES, DEFAULT_DETECTOR, Bundle
from export.runtime.engine_cache import PRECISIONS, CachedEngine, EngineRecord, Precision, Recipe, graph_file
from export.runtime.gpu import Machine


@dataclass(frozen=True)
class Model:
    """What an engine must have been built from.

    Attributes:
        identity: of the bundle.
        graphs: SHA-256 of the graph for each precision the bundle can be built in.
    """

    identity: str
    graphs: Mapping[Precision, str]


def model_of(bundle: Bundle) -> Model:
    """What an engine of a bundle must have been built from."""
    files = bundle.manifest.files
    graphs = {precision: files[name] for precision in PRECISIONS if (name := graph_file(precision)) in files}
    return Model(bundle.identity, graphs)


def build_command(bundle: Bundle) -> str:
    """What to type to have the engine of a bundle built."""
    if bundle.folder == BUNDLES / DEFAULT_DETECTOR:
        return "pomona models build"
    return f"pomona models build --bundle {shlex.quote(str(bundle.folder))}"


@dataclass(frozen=True)
class Decision:
    """What serves.

    Attributes:
        engine: the engine; None when none on this device can, and ONNX Runtime has to.
        serves_previous: the engine is the previous bundle's, and counts must name that bundle.
        rebuild: why the wanted bundle's engine has to be built; None when it serves.
    """

    engine: EngineRecord | None
    serves_previous: bool
    rebuild: str | None


def decide(machine: Machine, wanted: Model, cached: Sequence[CachedEngine], previous: Model | None = None) -> Decision:
    """Choose among the engines on this device.

    An engine runs only on the GPU and TensorRT it was built with. When the model changed, the previous model's engine
    can still serve; when GPU or TensorRT changed, no old engine can.

    Args:
        machine: what is here.
        wanted: the bundle that shall count.
        cached: the engines on this device; of several that fit, the one asked for last serves.
        previous: the bundle that counted before, where it may go on until the wanted one's engine is built.
    """
    records = [engine.record for engine in cached if engine.record and not engine.damage]
    records.sort(key=lambda record: -record.order)
    fitting = next((record for record in records if not _differences(record.recipe, machine, wanted)), None)
    if fitting is not None:
        return Decision(fitting, serves_previous=False, rebuild=None)
    rebuild = _why(machine, wanted, cached)
    if previous is not None:
        old = next((record for record in records if not _differences(record.recipe, machine, previous)), None)
        if old is not None:
            return Decision(old, serves_previous=True, rebuild=rebuild)
    return Decision(None, serves_previous=False, rebuild=rebuild)


def _differences(recipe: Recipe, machine: Machine, model: Model) -> list[str]:
    """What keeps an engine from serving a model on a machine, each in words."""
    found = []
    if (recipe.gpu, recipe.compute_capability) != (machine.gpu, machine.compute_capability):
        built = f"{recipe.gpu} ({recipe.compute_capability})"
        found.append(f"the GPU changed from {built} to {machine.gpu} ({machine.compute_capability})")
    if recipe.tensorrt != machine.tensorrt:
        found.append(f"TensorRT changed from {recipe.tensorrt} to {machine.tensorrt}")
    if model.graphs.get(recipe.precision) != recipe.graph:
        found.append(f"the model changed from {recipe.bundle} to {model.identity}")
    return found


def _why(machine: Machine, wanted: Model, cached: Sequence[CachedEngine]) -> str:
    """Why no engine serves: what keeps the one that comes nearest."""
    differences = partial(_differences, machine=machine, model=wanted)
    known = [(engine.record, engine.damage) for engine in cached if engine.record]
    if not known:
        return f"no engine is built for {wanted.identity}"
    record, damage = min(known, key=lambda pair: (len(differences(pair[0].recipe)), -pair[0].order))
    reasons = differences(record.recipe)
    return "; ".join(reasons) if reasons else f"the engine is damaged: {damage}"
