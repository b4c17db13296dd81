"""Which engine serves when GPU, TensorRT or model changed, and what is said of it."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from pathlib import Path
from typing import Any

import hypothesis
import pytest
from hypothesis import strategies

from export.runtime.bundle import Bundle, open_bundle
from export.runtime.engine_cache import CachedEngine, EngineRecord, Recipe
from export.runtime.engine_decision import Model, build_command, decide, model_of
from export.runtime.gpu import Machine
from tests.engine_records import GRAPH, ORIN, RECIPE, recipe

WANTED = Model(RECIPE.bundle, {"fp16": GRAPH, "fp32": GRAPH})
OLD = Model("yolo-a-0.9.0+bbbbbbbbbbbb", {"fp16": "b" * 64, "fp32": "b" * 64})
BUILT_OF_OLD: dict[str, Any] = {"bundle": OLD.identity, "graph": "b" * 64}
MODEL_CHANGED = f"the model changed from {OLD.identity} to {WANTED.identity}"


def engine(order: int = 1, damage: str | None = None, **changes: Any) -> CachedEngine:
    built = recipe(**changes)
    sha256 = hashlib.sha256(b"engine").hexdigest()
    record = EngineRecord(recipe=built, file="0.engine", sha256=sha256, size_bytes=6, seconds=60, order=order)
    return CachedEngine(built.key, record, damage)


def used(cached: list[CachedEngine], machine: Machine = ORIN, previous: Model | None = None) -> Recipe | None:
    decision = decide(machine, WANTED, cached, previous)
    return decision.engine.recipe if decision.engine else None


# --- the wanted bundle's engine -------------------------------------------------------------------------------------


@pytest.mark.parametrize("previous", [None, OLD])
def test_an_engine_of_this_machine_and_model_serves(previous: Model | None) -> None:
    fitting = engine()
    decision = decide(ORIN, WANTED, [engine(9, **BUILT_OF_OLD), fitting], previous)
    assert decision.engine == fitting.record
    assert (decision.serves_previous, decision.rebuild) == (False, None)


@pytest.mark.parametrize("changes", [{"workspace_mib": 256}, {"builder": 7}, {"bundle": "copy-1.0.0+aaaaaaaaaaaa"}])
def test_how_it_was_built_and_named_does_not_matter(changes: dict[str, Any]) -> None:
    assert used([engine(**changes)]) is not None


def test_of_two_that_fit_the_one_asked_for_last_serves() -> None:
    half, single = engine(1), engine(2, precision="fp32")
    assert used([half, single]) == used([single, half]) == recipe(precision="fp32")
    assert used([engine(3), single]) == RECIPE


def test_an_int8_engine_serves_only_a_bundle_that_has_its_graph() -> None:
    quantised = engine(2, precision="int8", graph="c" * 64)
    assert used([quantised, engine(1)]) == RECIPE
    with_graph = replace(WANTED, graphs={**WANTED.graphs, "int8": "c" * 64})
    decision = decide(ORIN, with_graph, [quantised, engine(1)])
    assert decision.engine == quantised.record


# --- when it cannot -------------------------------------------------------------------------------------------------

CHANGES = {
    "nothing built": ([], f"no engine is built for {WANTED.identity}"),
    "another GPU": (
        [engine(gpu="Xavier, 6 multiprocessors", compute_capability="7.2")],
        "the GPU changed from Xavier, 6 multiprocessors (7.2) to Orin, 8 multiprocessors (8.7)",
    ),
    "a larger GPU of the same name": (
        [engine(gpu="Orin, 16 multiprocessors")],
        "the GPU changed from Orin, 16 multiprocessors (8.7) to Orin, 8 multiprocessors (8.7)",
    ),
    "another TensorRT": ([engine(tensorrt="8.6.2")], "TensorRT changed from 8.6.2 to 10.3.0"),
    "another model": ([engine(**BUILT_OF_OLD)], MODEL_CHANGED),
    "TensorRT and model": (
        [engine(tensorrt="8.6.2", **BUILT_OF_OLD)],
        f"TensorRT changed from 8.6.2 to 10.3.0; {MODEL_CHANGED}",
    ),
    "the nearest is named": (
        [engine(9, gpu="A", tensorrt="8.6.2"), engine(1, tensorrt="10.2.0"), engine(8, gpu="A", **BUILT_OF_OLD)],
        "TensorRT changed from 10.2.0 to 10.3.0",
    ),
    "the latest of the equally near": (
        [engine(1, tensorrt="8.6.2"), engine(2, tensorrt="10.2.0")],
        "TensorRT changed from 10.2.0 to 10.3.0",
    ),
    "truncated": ([engine(damage="0.engine has 3 of 6 bytes")], "the engine is damaged: 0.engine has 3 of 6 bytes"),
    "a record nobody can read": ([CachedEngine("0", None, "0.json cannot be read")], "no engine is built for"),
}


@pytest.mark.parametrize(("cached", "reason"), CHANGES.values(), ids=CHANGES)
def test_without_an_engine_that_fits_none_serves_and_the_change_is_named(
    cached: list[CachedEngine], reason: str
) -> None:
    decision = decide(ORIN, WANTED, cached)
    assert decision.engine is None
    assert not decision.serves_previous
    assert decision.rebuild is not None
    assert decision.rebuild.startswith(reason)


# --- the previous bundle's engine, meanwhile ------------------------------------------------------------------------


def test_the_previous_models_engine_serves_meanwhile_where_it_may() -> None:
    old = engine(**BUILT_OF_OLD)
    decision = decide(ORIN, WANTED, [old], OLD)
    assert decision.engine == old.record
    assert (decision.serves_previous, decision.rebuild) == (True, MODEL_CHANGED)
    assert used([old]) is None


@pytest.mark.parametrize(
    "changes",
    [{"gpu": "Xavier"}, {"compute_capability": "7.2"}, {"tensorrt": "8.6.2"}, {"graph": "d" * 64}],
    ids=lambda changes: next(iter(changes)),
)
def test_an_old_engine_of_another_machine_or_model_cannot(changes: dict[str, Any]) -> None:
    assert used([engine(**{**BUILT_OF_OLD, **changes})], previous=OLD) is None


def test_a_damaged_old_engine_cannot() -> None:
    assert used([engine(damage="0.engine was altered", **BUILT_OF_OLD)], previous=OLD) is None


# --- whatever is there ----------------------------------------------------------------------------------------------

_GPUS, _VERSIONS = strategies.sampled_from(["A", "B"]), strategies.sampled_from(["10.3.0", "10.7.0"])
_MACHINES = strategies.builds(Machine, _GPUS, strategies.just("8.7"), _VERSIONS)
_ENGINES = strategies.builds(
    engine,
    order=strategies.integers(1, 9),
    damage=strategies.sampled_from([None, "damage"]),
    gpu=_GPUS,
    tensorrt=_VERSIONS,
    graph=strategies.sampled_from([GRAPH, "b" * 64]),
)


@hypothesis.given(_MACHINES, strategies.lists(_ENGINES), strategies.sampled_from([None, OLD]))
def test_what_serves_is_whole_of_this_machine_and_of_the_bundle_it_counts_for(
    machine: Machine, cached: list[CachedEngine], previous: Model | None
) -> None:
    decision = decide(machine, WANTED, cached, previous)
    assert (decision.rebuild is None) == (decision.engine is not None and not decision.serves_previous)
    if decision.engine is not None:
        assert decision.engine in [engine.record for engine in cached if engine.damage is None]
        assert decision.engine.recipe.machine == machine
        model = previous if decision.serves_previous else WANTED
        assert model is not None
        assert decision.engine.recipe.graph == model.graphs["fp16"]


def test_the_model_of_a_bundle_has_the_graphs_its_manifest_lists(disc_bundle: Bundle) -> None:
    files = disc_bundle.manifest.files
    assert model_of(disc_bundle) == Model(
        disc_bundle.identity, {"fp32": files["model.onnx"], "fp16": files["model.onnx"]}
    )
    more = disc_bundle.manifest.model_copy(update={"files": {**files, "model.int8.qdq.onnx": GRAPH}})
    assert model_of(Bundle(Path(), more)).graphs["int8"] == GRAPH


@pytest.mark.parametrize(
    ("folder", "command"),
    [
        (None, "pomona models build"),
        ("/srv/apples", "pomona models build --bundle /srv/apples"),
        ("/srv/my apples", "pomona models build --bundle '/srv/my apples'"),
    ],
)
def test_the_command_that_builds_names_a_bundle_of_ones_own(folder: str | None, command: str) -> None:
    shipped = open_bundle()
    assert build_command(shipped if folder is None else replace(shipped, folder=Path(folder))) == command
