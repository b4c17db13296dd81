"""Engines are kept whole or not at all, and found by what they belong to."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from export.runtime.bundle import Bundle, open_bundle
from export.runtime.engine_cache import EngineCache, graph_of
from export.runtime.errors import BundleError
from tests.disc_bundle import make_disc_bundle
from tests.engine_records import ORIN, RECIPE, recipe
from tests.processes import ROOT, run_python

MIB = 1 << 20


@pytest.fixture
def cache(tmp_path: Path) -> EngineCache:
    return EngineCache(tmp_path / "engines")


# --- what an engine is found by -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "changes",
    [
        {"gpu": "Orin, 16 multiprocessors"},
        {"compute_capability": "8.9"},
        {"tensorrt": "10.7.0"},
        {"graph": "b" * 64},
        {"precision": "fp32"},
        {"workspace_mib": 512},
        {"builder": 2},
    ],
    ids=lambda changes: next(iter(changes)),
)
def test_whatever_changes_an_engine_changes_its_key(changes: dict[str, object]) -> None:
    assert recipe(**changes).key != RECIPE.key


def test_a_key_stays_the_same_and_knows_no_names_of_bundles() -> None:
    assert recipe(bundle="copy-1.0.0+aaaaaaaaaaaa").key == RECIPE.key
    told = run_python("from tests.engine_records import RECIPE; print(RECIPE.key)")
    assert told.stdout.strip() == RECIPE.key


def test_the_graph_of_int8_is_the_one_with_explicit_quantisation(tmp_path: Path) -> None:
    bundle = make_disc_bundle(tmp_path)
    (tmp_path / "model.int8.qdq.onnx").write_bytes(b"a graph")
    hashes = {**bundle.manifest.files, "model.int8.qdq.onnx": RECIPE.graph}
    quantised = Bundle(tmp_path, bundle.manifest.model_copy(update={"files": hashes}))
    assert graph_of(quantised, "fp16").name == graph_of(quantised, "fp32").name == "model.onnx"
    assert graph_of(quantised, "int8").name == "model.int8.qdq.onnx"


def test_a_bundle_without_that_graph_is_named(disc_bundle: Bundle) -> None:
    with pytest.raises(BundleError, match=r"discs-1\.0\.0\+\w+ has no model\.int8\.qdq\.onnx, .* build with"):
        graph_of(disc_bundle, "int8")


# --- keeping --------------------------------------------------------------------------------------------------------


def test_an_engine_comes_back_as_it_was_put(cache: EngineCache) -> None:
    put = cache.put(RECIPE, b"engine", 61.24)
    (found,) = cache.engines()
    assert (found.key, found.record, found.damage) == (RECIPE.key, put, None)
    assert cache.read(put) == b"engine"
    assert (put.recipe, put.seconds, put.size_bytes) == (RECIPE, 61.2, 6)
    assert sorted(path.name for path in cache.folder.iterdir()) == sorted([f"{RECIPE.key}.json", put.file])


def test_a_folder_that_is_not_there_holds_no_engines(cache: EngineCache) -> None:
    assert cache.engines() == []
    assert cache.timings(ORIN) == b""


def test_building_again_replaces_the_engine_and_its_file(cache: EngineCache) -> None:
    first = cache.put(RECIPE, b"first", 1)
    second = cache.put(RECIPE, b"second", 1)
    assert [engine.record for engine in cache.engines()] == [second]
    assert not (cache.folder / first.file).exists()


def test_the_engine_asked_for_last_comes_first(cache: EngineCache) -> None:
    half = cache.put(RECIPE, b"half", 1)
    cache.put(recipe(precision="int8"), b"byte", 1)
    assert [engine.record.recipe.precision for engine in cache.engines() if engine.record] == ["int8", "fp16"]
    cache.prefer(half)
    assert [engine.record.recipe.precision for engine in cache.engines() if engine.record] == ["fp16", "int8"]


def test_only_the_latest_few_are_kept(cache: EngineCache) -> None:
    for number in range(6):
        cache.put(recipe(graph=f"{number}" * 64), b"engine %d" % number, 1)
    kept = [engine.record.recipe.graph[0] for engine in cache.engines() if engine.record]
    assert kept == ["5", "4", "3", "2"]
    assert len(list(cache.folder.iterdir())) == 8


def test_measurements_are_kept_for_each_machine(cache: EngineCache) -> None:
    cache.put_timings(ORIN, b"timings")
    cache.put(RECIPE, b"engine", 1)
    assert cache.timings(ORIN) == b"timings"
    assert cache.timings(recipe(tensorrt="10.7.0").machine) == b""


# --- damage ---------------------------------------------------------------------------------------------------------


def test_a_truncated_engine_is_damaged(cache: EngineCache) -> None:
    record = cache.put(RECIPE, b"engine", 1)
    os.truncate(cache.folder / record.file, 3)
    (found,) = cache.engines()
    assert found.damage == f"{record.file} has 3 of 6 bytes"


def test_a_flipped_bit_is_damage(cache: EngineCache) -> None:
    record = cache.put(RECIPE, b"engine", 1)
    (cache.folder / record.file).write_bytes(b"enginf")
    assert cache.engines()[0].damage == f"{record.file} was altered"


def test_a_missing_engine_is_damage(cache: EngineCache) -> None:
    record = cache.put(RECIPE, b"engine", 1)
    (cache.folder / record.file).unlink()
    assert cache.engines()[0].damage == f"{record.file} cannot be read (No such file or directory)"


@pytest.mark.parametrize("content", [b"", b'{"schema_version": 1', b"\xff\xfe", b"[]"])
def test_a_broken_record_is_damage(cache: EngineCache, content: bytes) -> None:
    cache.put(RECIPE, b"engine", 1)
    (cache.folder / f"{RECIPE.key}.json").write_bytes(content)
    (found,) = cache.engines()
    assert (found.record, found.damage) == (None, f"{RECIPE.key}.json cannot be read")


def test_a_record_names_no_file_outside_the_folder(cache: EngineCache) -> None:
    cache.put(RECIPE, b"engine", 1)
    path = cache.folder / f"{RECIPE.key}.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), "file": "../other.engine"}))
    assert cache.engines()[0].record is None


def test_a_record_under_another_key_is_damage(cache: EngineCache) -> None:
    cache.put(RECIPE, b"engine", 1)
    (cache.folder / f"{RECIPE.key}.json").rename(cache.folder / "0123456789abcdef.json")
    assert cache.engines()[0].damage == "0123456789abcdef.json is not its record"


def test_tidying_drops_damage_and_what_a_dead_writer_left(cache: EngineCache) -> None:
    whole = cache.put(RECIPE, b"whole", 1)
    cache.put_timings(ORIN, b"timings")
    damaged = cache.put(recipe(precision="int8"), b"damaged", 1)
    (cache.folder / damaged.file).write_bytes(b"x")
    (cache.folder / ".0123.json.new").write_bytes(b"half a rec")
    (cache.folder / "0123-4567.engine").write_bytes(b"an engine without a record")
    cache.tidy()
    left = {path.suffix: path.name for path in cache.folder.iterdir()}
    assert left.keys() == {".json", ".engine", ".timings"}
    assert (left[".json"], left[".engine"]) == (f"{RECIPE.key}.json", whole.file)


# --- power cuts and other processes ---------------------------------------------------------------------------------


@pytest.mark.parametrize("delay_ms", [5, 40, 150])
def test_killed_while_it_writes_the_old_engine_or_the_new_one_is_there(cache: EngineCache, delay_ms: int) -> None:
    """Killed at many moments of writing 48 MiB again and again, each time with other content."""
    cache.put(RECIPE, bytes(MIB), 1)
    code = f"""
import itertools
from pathlib import Path
from export.runtime.engine_cache import EngineCache
from tests.engine_records import RECIPE
cache = EngineCache(Path({str(cache.folder)!r}))
print("writing", flush=True)
for number in itertools.count():
    cache.put(RECIPE, bytes([number % 256]) * (48 << 20), 1)
"""
    with subprocess.Popen([sys.executable, "-c", code], cwd=ROOT, stdout=subprocess.PIPE) as writer:
        assert writer.stdout is not None
        assert writer.stdout.readline() == b"writing\n"
        time.sleep(delay_ms / 1000)
        writer.send_signal(signal.SIGKILL)
    (found,) = cache.engines()
    assert found.damage is None
    assert found.record is not None
    assert len(set(cache.read(found.record))) == 1
    cache.tidy()
    assert len(list(cache.folder.iterdir())) == 2


KILLED_BEFORE_EACH_LINE = """
import itertools, os, signal, sys
from pathlib import Path
from export.runtime import engine_cache
from tests.engine_records import RECIPE

def kill_before(line):
    def trace(frame, event, _argument):
        nonlocal line
        if frame.f_code.co_filename != engine_cache.__file__:
            return None
        line -= event == "line"
        if line < 0:
            os.kill(os.getpid(), signal.SIGKILL)
        return trace
    sys.settrace(trace)

cache = engine_cache.EngineCache(Path(sys.argv[1]))
for line in itertools.count():
    cache.put(RECIPE, b"old", 1)
    child = os.fork()
    if child == 0:
        kill_before(line)
        cache.put(RECIPE, b"the new one", 1)
        os._exit(0)
    _, status = os.waitpid(child, 0)
    (found,) = cache.engines()
    print(found.damage, cache.read(found.record).decode(), sep=",")
    if status == 0:
        break
"""


def test_killed_before_any_line_the_old_engine_or_the_new_one_is_there(cache: EngineCache) -> None:
    told = run_python(KILLED_BEFORE_EACH_LINE, cache.folder)
    assert told.stderr == ""
    found = told.stdout.splitlines()
    assert set(found) == {"None,old", "None,the new one"}
    assert found == sorted(found)  # once it is there it stays
    assert len(found) > 30


def test_one_process_builds_at_a_time(cache: EngineCache) -> None:
    code = f"""
from pathlib import Path
from export.runtime.engine_cache import EngineCache
with EngineCache(Path({str(cache.folder)!r})).alone() as alone:
    print(alone)
"""
    with cache.alone() as alone:
        assert alone
        assert run_python(code).stdout == "False\n"
    assert run_python(code).stdout == "True\n"


def test_the_shipped_bundle_can_be_built_in_half_precision() -> None:
    bundle = open_bundle()
    assert graph_of(bundle, "fp16") == bundle.model
