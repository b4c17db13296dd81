"""Builds a TensorRT engine: the process that :mod:`export.runtime.tensorrt_build` starts; needs TensorRT and a GPU."""

from __future__ import annotations

import hashlib
import time
from pathlib import Path

import tensorrt as trt

from export.runtime.child_process import serve
from export.runtime.engine_cache import EngineCache, Recipe
from export.runtime.errors import BundleError, EngineError
from export.runtime.tensorrt_log import ErrorLog


def build(request: dict[str, object]) -> None:
    """Build the engine that a request describes and put it into its cache.

    Args:
        request: ``graph`` and ``cache``, two paths, and the ``recipe``.

    Raises:
        BundleError: the graph is another than the recipe's, or has dynamic shapes.
        EngineError: TensorRT cannot build it.
        OSError: a file cannot be read or written.
    """
    started = time.monotonic()
    recipe = Recipe.model_validate(request["recipe"])
    cache = EngineCache(Path(str(request["cache"])))
    graph = Path(str(request["graph"])).read_bytes()
    if hashlib.sha256(graph).hexdigest() != recipe.graph:
        raise BundleError(f"{request['graph']} changed while it was read; install the bundle again")
    engine, timings = build_engine(graph, recipe, cache.timings(recipe.machine))
    cache.put_timings(recipe.machine, timings)
    cache.put(recipe, engine, time.monotonic() - started)


def build_engine(graph: bytes, recipe: Recipe, timings: bytes) -> tuple[bytes, bytes]:
    """Build an engine.

    Args:
        graph: an ONNX graph of static shapes.
        recipe: what it is built for.
        timings: what TensorRT measured before on this machine, or nothing.

    Returns:
        The engine, and what TensorRT has measured now.

    Raises:
        BundleError: the graph has dynamic shapes.
        EngineError: TensorRT cannot build it.
    """
    log = ErrorLog()
    try:
        builder = trt.Builder(log)
    except TypeError as error:  # what the bindings make of a failed start
        raise EngineError(f"TensorRT {trt.__version__} cannot start: {log}") from error
    network = builder.create_network()
    parser = trt.OnnxParser(network, log)
    parser.set_flag(trt.OnnxParserFlag.NATIVE_INSTANCENORM)  # or the engine wants a library of plug-ins where it runs
    if not parser.parse(graph):
        raise EngineError(f"TensorRT {trt.__version__} does not take the graph of {recipe.bundle}: {_refused(parser)}")
    _require_static_shapes(network, recipe)
    config = builder.create_builder_config()
    config.set_memory_pool_limit(trt.MemoryPoolType.WORKSPACE, recipe.workspace_mib << 20)
    _set_precision(config, recipe)
    _reuse_timings(config, timings)
    engine = builder.build_serialized_network(network, config)
    if engine is None:
        raise EngineError(
            f"TensorRT {trt.__version__} cannot build {recipe.bundle} in {recipe.precision} with "
            f"{recipe.workspace_mib} MiB: {log}"
        )
    known = config.get_timing_cache()
    return bytes(engine), bytes(known.serialize()) if known is not None else b""


def _refused(parser: trt.OnnxParser) -> str:
    """What the parser did not take, node by node."""
    errors = [parser.get_error(index) for index in range(parser.num_errors)]
    return "; ".join(
        f"node {error.node()} {error.node_name()!r} ({error.node_operator()}): {error.desc()}" for error in errors
    )


def _require_static_shapes(network: trt.INetworkDefinition, recipe: Recipe) -> None:
    """Static shapes need no optimisation profile, and give the one engine that the manifest describes."""
    for index in range(network.num_inputs):
        tensor = network.get_input(index)
        if any(side < 0 for side in tensor.shape):
            raise BundleError(
                f"input {tensor.name} of {recipe.bundle} has the shape {list(tensor.shape)}; "
                "export the graph with static shapes"
            )


def _set_precision(config: trt.IBuilderConfig, recipe: Recipe) -> None:
    """Allow what the recipe names; the graph decides where explicit quantisation or strong typing says so."""
    if recipe.precision == "fp32":
        config.clear_flag(trt.BuilderFlag.TF32)  # its 10 bits of mantissa are those of fp16
    if recipe.machine.strongly_typed:
        return
    if recipe.precision in {"fp16", "int8"}:
        config.set_flag(trt.BuilderFlag.FP16)
    if recipe.precision == "int8":
        config.set_flag(trt.BuilderFlag.INT8)


def _reuse_timings(config: trt.IBuilderConfig, timings: bytes) -> None:
    """Begin with what was measured before; what TensorRT does not take is measured anew."""
    for known in (timings, b""):
        cache = config.create_timing_cache(known)
        if cache is not None and config.set_timing_cache(cache, ignore_mismatch=False):
            return


if __name__ == "__main__":
    serve(build)
