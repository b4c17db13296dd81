"""Building a bundle's TensorRT engine on the device it runs on."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from export.runtime.bundle import Bundle
from export.runtime.child_process import run_child
from export.runtime.engine_cache import EngineCache, EngineRecord, Precision, Recipe, graph_file, graph_of
from export.runtime.errors import EngineError
from export.runtime.gpu import Machine, this_machine

_BUILDER = "export.runtime.tensorrt_builder"


@dataclass(frozen=True)
class BuildSettings:
    """How an engine is built.

    Attributes:
        precision: lowest precision that is allowed; None takes fp16 where TensorRT chooses precisions, else fp32.
        workspace_mib: cap of the memory that layers may work in, in MiB.
        time_limit_min: building is stopped after so many minutes.
    """

    precision: Precision | None = None
    workspace_mib: int = 1024
    time_limit_min: float = 60.0


@dataclass(frozen=True)
class Built:
    """An engine that now serves.

    Attributes:
        record: what it is.
        anew: it was built now; otherwise it was there.
    """

    record: EngineRecord
    anew: bool


def build_engine(bundle: Bundle, folder: Path, settings: BuildSettings) -> Built:
    """Build a bundle's engine in a process of its own and keep it, or take the one that is there.

    Args:
        bundle: the bundle.
        folder: where engines lie.
        settings: how it is built.

    Raises:
        BundleError: the bundle has no graph for this precision.
        EngineError: there is no GPU, or building failed, was killed or took too long.
        MissingPartError: TensorRT or cuda-python is not installed.
        OSError: the folder cannot be written.
    """
    if settings.precision is not None:
        graph_of(bundle, settings.precision)  # what is wrong with the request is said first
    return build_for(this_machine(), bundle, folder, settings)


def build_for(
    machine: Machine, bundle: Bundle, folder: Path, settings: BuildSettings, builder: str = _BUILDER
) -> Built:
    """As :func:`build_engine`, on a machine that is known.

    Args:
        machine: what is here.
        bundle: the bundle.
        folder: where engines lie.
        settings: how it is built.
        builder: module whose process builds.
    """
    precision = settings.precision or ("fp32" if machine.strongly_typed else "fp16")
    if precision == "fp16" and machine.strongly_typed:
        raise EngineError(
            f"TensorRT {machine.tensorrt} takes precisions from the graph, and the bundles' graph computes in fp32; "
            "build with --precision fp32, or int8 where the bundle has such a graph"
        )
    graph = graph_of(bundle, precision)
    recipe = Recipe(
        **vars(machine),
        bundle=bundle.identity,
        graph=bundle.manifest.files[graph_file(precision)],
        precision=precision,
        workspace_mib=settings.workspace_mib,
    )
    cache = EngineCache(folder)
    with cache.alone() as alone:
        if not alone:
            raise EngineError(f"another process builds engines in {folder}; wait until it is done")
        there = _find(cache, recipe)
        if there is not None:
            return Built(cache.prefer(there), anew=False)
        request = {"graph": str(graph), "cache": str(folder), "recipe": recipe.model_dump()}
        try:
            run_child(builder, request, settings.time_limit_min * 60)
        except EngineError as error:
            raise EngineError(f"the engine of {bundle.identity} was not built: {error}") from error
        finally:
            cache.tidy()
        built = _find(cache, recipe)
    if built is None:
        raise EngineError(f"the engine of {bundle.identity} was built and is not whole in {folder}; check the disk")
    return Built(built, anew=True)


def _find(cache: EngineCache, recipe: Recipe) -> EngineRecord | None:
    whole = (engine.record for engine in cache.engines() if engine.record and not engine.damage)
    return next((record for record in whole if record.recipe.key == recipe.key), None)
