"""``pomona models``, and the engine that commands count with."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from device.commands.common import ENGINES, default_engines
from export.runtime.bundle import BUNDLES, Bundle
from export.runtime.engine_cache import EngineCache
from export.runtime.engines import choice
from tests.conftest import Pomona
from tests.drawing import save_photo
from tests.engine_records import ORIN, RECIPE, recipe
from tests.gpus import no_tensorrt, tensorrt_and_gpu
from tests.processes import run_pomona_process, run_python

MISSING = "TensorRT is missing (No module named 'tensorrt'); it needs an NVIDIA GPU. On a Jetson: apt-get install"


@pytest.fixture
def engines(home: Path) -> EngineCache:
    """The engines of the device whose records ``run_pomona`` uses."""
    return EngineCache(home / "engines")


@pytest.fixture
def model(disc_bundle: Bundle) -> tuple[str, str]:
    return ("--bundle", str(disc_bundle.folder))


def test_the_options_name_the_engines_there_are() -> None:
    assert ENGINES == choice.ENGINES


def test_engines_lie_with_the_records_or_in_the_users_cache(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("POMONA_HOME", "/var/lib/pomona")
    assert default_engines() == Path("/var/lib/pomona/engines")
    monkeypatch.delenv("POMONA_HOME")
    monkeypatch.setenv("XDG_CACHE_HOME", "/cache")
    assert default_engines() == Path("/cache/pomona/engines")
    monkeypatch.delenv("XDG_CACHE_HOME")
    monkeypatch.setenv("HOME", "/home/anna")
    assert default_engines() == Path("/home/anna/.cache/pomona/engines")


# --- build -----------------------------------------------------------------------------------------------------------


def test_building_without_tensorrt_says_what_is_missing_and_the_code_is_one(disc_bundle: Bundle, home: Path) -> None:
    done = run_pomona_process("models", "build", "--bundle", disc_bundle.folder, blocked=["tensorrt", "cuda"])
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.startswith(f"Error: {MISSING}")
    assert not home.exists()


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (
            ["--precision", "int8", "--bundle", str(BUNDLES / "yolo-a")],
            "has no model.int8.qdq.onnx, the graph with explicit quantisation",
        ),
        (["--precision", "int4"], "'int4' is not one of 'fp32', 'fp16', 'int8'"),
        (["--workspace-mib", "0"], "0 is not in the range"),
        (["--time-limit", "0"], "0.0 is not in the range x>0"),
        (["--bundle", "nowhere"], "nowhere is no folder; name a model bundle"),
    ],
)
def test_wrong_input_is_named_and_the_code_is_two(run_pomona: Pomona, arguments: list[str], said: str) -> None:
    done = run_pomona("models", "build", *arguments)
    assert (done.exit_code, done.out) == (2, "")
    assert said in done.err


@tensorrt_and_gpu
def test_what_was_built_counts(run_pomona: Pomona, model: tuple[str, str], tmp_path: Path) -> None:
    built = run_pomona("models", "build", "--precision", "fp32", *model)
    assert built.exit_code == 0
    assert "and counts now." in built.out
    listed = json.loads(run_pomona("models", "list", "--json", *model).out)
    assert (listed["counts_with"], listed["reason"]) == ("tensorrt", None)
    done = run_pomona("count", save_photo(tmp_path / "1.jpg", 3), "--json", *model)
    result = json.loads(done.out)
    assert (result["counts"]["apple"], done.err) == (3, "")
    assert result["engine"].startswith("tensorrt-")


# --- list ------------------------------------------------------------------------------------------------------------


def test_an_empty_list_names_the_bundle_and_what_counts(disc_bundle: Bundle) -> None:
    done = run_pomona_process("models", "list", "--bundle", disc_bundle.folder, blocked=["tensorrt", "cuda"])
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith(f"{disc_bundle.identity} counts with ONNX Runtime: {MISSING}")
    assert len(done.stdout.splitlines()) == 1


def test_the_list_shows_engines_and_damage(run_pomona: Pomona, engines: EngineCache, model: tuple[str, str]) -> None:
    engines.put(RECIPE, b"engine", 61)
    damaged = engines.put(recipe(precision="fp32"), b"damaged", 61)
    (engines.folder / damaged.file).write_bytes(b"x")
    (engines.folder / "0123.json").write_text("no record")
    told = json.loads(run_pomona("models", "list", "--json", *model).out)
    assert told["counts_with"] == "onnxruntime"
    by_key = {engine["key"]: engine for engine in told["engines"]}
    assert by_key[RECIPE.key]["state"] == "kept"
    assert by_key[RECIPE.key]["gpu"] == ORIN.gpu
    assert by_key[damaged.recipe.key]["state"] == f"{damaged.file} has 1 of 7 bytes"
    assert by_key["0123"] == {"key": "0123", "state": "0123.json cannot be read"}
    table = run_pomona("models", "list", *model).out
    assert all(text in table for text in ("fp16", "fp32", "10.3.0", "kept"))


# --- counting --------------------------------------------------------------------------------------------------------


def test_counting_with_tensorrt_where_there_is_none_is_an_error(disc_bundle: Bundle, tmp_path: Path) -> None:
    photo = save_photo(tmp_path / "1.jpg", 3)
    arguments = ("count", photo, "--engine", "tensorrt", "--bundle", disc_bundle.folder)
    done = run_pomona_process(*arguments, blocked=["tensorrt", "cuda"])
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.startswith(f"Error: {MISSING}")


@pytest.mark.parametrize(("options", "said"), [((), 0), (("--engine", "onnxruntime"), 0), (("--engine", "auto"), 1)])
def test_without_tensorrt_onnx_runtime_counts_and_says_why_only_to_who_asked(
    disc_bundle: Bundle, tmp_path: Path, options: tuple[str, ...], said: int
) -> None:
    for name in ("1.jpg", "2.jpg"):
        save_photo(tmp_path / name, 3)
    arguments = ("count", tmp_path, "--json", "--bundle", disc_bundle.folder, *options)
    done = run_pomona_process(*arguments, blocked=["tensorrt", "cuda"])
    assert done.returncode == 0
    results = [json.loads(line) for line in done.stdout.splitlines()]
    assert [result["counts"]["apple"] for result in results] == [3, 3]
    assert all(result["engine"].startswith("onnxruntime-") for result in results)
    assert done.stderr.count("\n") == done.stderr.count("Counting with onnxruntime-") == said
    assert done.stderr.count(f": {MISSING}") == said


def test_a_tensorrt_that_does_not_run_is_told_without_being_asked(disc_bundle: Bundle, tmp_path: Path) -> None:
    """Somebody installed it to count with it."""
    photo = save_photo(tmp_path / "1.jpg", 3)
    (tmp_path / "tensorrt.py").write_text("__version__ = '10.3.0'\n")
    code = f"""
import sys
sys.path.insert(0, {str(tmp_path)!r})
import pomona
sys.argv[0] = "pomona"
pomona.main()
"""
    done = run_python(code, "count", photo, "--json", "--bundle", disc_bundle.folder, blocked=["cuda"])
    assert done.returncode == 0
    assert "Counting with onnxruntime-" in done.stderr
    assert done.stderr.endswith(
        ": cuda-python is missing (No module named 'cuda'); pip install '.[cuda]' in Pomona's folder\n"
    )


@pytest.mark.parametrize("command", ["page", "demo", "visit watch inbox", "visit import ."])
def test_every_command_that_counts_takes_an_engine(run_pomona: Pomona, command: str) -> None:
    done = run_pomona(*command.split(), "--engine", "abacus")
    assert done.exit_code == 2
    assert "'abacus' is not one of 'auto', 'onnxruntime', 'openvino', 'tensorrt'" in done.err


@no_tensorrt
def test_watching_with_an_engine_that_does_not_start_ends_at_once(
    run_pomona: Pomona, model: tuple[str, str], tmp_path: Path
) -> None:
    done = run_pomona("visit", "watch", tmp_path / "inbox", "--once", "--engine", "tensorrt", *model)
    assert done.exit_code == 1
    assert "TensorRT is missing" in done.err
