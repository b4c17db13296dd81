"""Building an engine: what is built anew, what is left alone, and what a failure leaves behind."""

from __future__ import annotations

from pathlib import Path

import pytest

from export.runtime.bundle import Bundle, open_bundle, sha256_of
from export.runtime.engine_cache import EngineCache, Precision
from export.runtime.errors import BundleError, EngineError
from export.runtime.gpu import Machine
from export.runtime.tensorrt_build import BuildSettings, Built, build_engine, build_for
from tests.disc_bundle import make_disc_bundle, write_manifest
from tests.engine_builder import ENDLESS_MIB, REFUSED_MIB, SILENT_MIB
from tests.engine_records import ORIN

BUILDER = "tests.engine_builder"
TENSORRT_11 = Machine(ORIN.gpu, "10.0", "11.1.0")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "engines"


def build(
    bundle: Bundle, folder: Path, settings: BuildSettings | None = None, machine: Machine = ORIN, builder: str = BUILDER
) -> Built:
    return build_for(machine, bundle, folder, settings or BuildSettings(), builder)


def precision(built: Built) -> str:
    return built.record.recipe.precision


def names(folder: Path) -> set[str]:
    return {path.suffix or path.name for path in folder.iterdir()}


# --- what is built ---------------------------------------------------------------------------------------------------


def test_an_engine_is_built_of_the_bundles_graph_for_this_machine(disc_bundle: Bundle, folder: Path) -> None:
    built = build(disc_bundle, folder)
    recipe = built.record.recipe
    assert built.anew
    assert (recipe.machine, recipe.bundle, recipe.workspace_mib) == (ORIN, disc_bundle.identity, 1024)
    assert recipe.graph == disc_bundle.manifest.files["model.onnx"]
    assert EngineCache(folder).read(built.record) == disc_bundle.model.read_bytes()[::-1]
    assert names(folder) == {".json", ".engine", "lock"}


def test_an_engine_that_is_there_is_not_built_again_and_serves(disc_bundle: Bundle, folder: Path) -> None:
    half = build(disc_bundle, folder)
    single = build(disc_bundle, folder, BuildSettings("fp32"))
    again = build(disc_bundle, folder, builder="tests.nowhere")
    assert (half.anew, single.anew, again.anew) == (True, True, False)
    assert again.record.order > single.record.order
    assert again.record.sha256 == half.record.sha256


def test_a_damaged_engine_is_built_again(disc_bundle: Bundle, folder: Path) -> None:
    first = build(disc_bundle, folder)
    (folder / first.record.file).write_bytes(b"half an eng")
    second = build(disc_bundle, folder)
    assert second.anew
    assert EngineCache(folder).engines()[0].damage is None


@pytest.mark.parametrize(
    ("machine", "asked", "got"),
    [
        (ORIN, None, "fp16"),
        (ORIN, "fp32", "fp32"),
        (TENSORRT_11, None, "fp32"),
        (TENSORRT_11, "fp32", "fp32"),
    ],
)
def test_the_precision_is_half_where_tensorrt_chooses_precisions(
    disc_bundle: Bundle, folder: Path, machine: Machine, asked: Precision | None, got: str
) -> None:
    assert precision(build(disc_bundle, folder, BuildSettings(asked), machine)) == got


def test_tensorrt_11_takes_no_half_precision_beside_the_graphs(disc_bundle: Bundle, folder: Path) -> None:
    with pytest.raises(EngineError, match=r"TensorRT 11\.1\.0 takes precisions from the graph, .* --precision fp32"):
        build(disc_bundle, folder, BuildSettings("fp16"), TENSORRT_11)


@pytest.mark.parametrize("machine", [ORIN, TENSORRT_11])
def test_int8_is_built_of_the_graph_with_explicit_quantisation(tmp_path: Path, folder: Path, machine: Machine) -> None:
    plain = make_disc_bundle(tmp_path / "bundle")
    graph = plain.folder / "model.int8.qdq.onnx"
    graph.write_bytes(b"quantised")
    write_manifest(plain.folder, files={**plain.manifest.files, graph.name: sha256_of(graph)})
    built = build(open_bundle(plain.folder), folder, BuildSettings("int8"), machine)
    assert precision(built) == "int8"
    assert EngineCache(folder).read(built.record) == b"desitnauq"
    with pytest.raises(BundleError, match=r"has no model\.int8\.qdq\.onnx"):
        build(plain, folder, BuildSettings("int8"), machine)


# --- what goes wrong -------------------------------------------------------------------------------------------------


def test_what_the_builder_refuses_is_told_with_the_node(disc_bundle: Bundle, folder: Path) -> None:
    with pytest.raises(
        EngineError, match=r"^the engine of discs-1\.0\.0\+\w+ was not built: node 7 'conv' \(Conv\): no kernel fits"
    ):
        build(disc_bundle, folder, BuildSettings(workspace_mib=REFUSED_MIB))
    assert names(folder) == {"lock"}


def test_a_builder_that_is_stopped_leaves_nothing_half_and_harms_no_other(disc_bundle: Bundle, folder: Path) -> None:
    kept = build(disc_bundle, folder)
    with pytest.raises(EngineError, match=r"was not built: stopped after 0\.05 minutes; raise --time-limit"):
        build(disc_bundle, folder, BuildSettings(workspace_mib=ENDLESS_MIB, time_limit_min=0.05))
    assert [engine.record for engine in EngineCache(folder).engines()] == [kept.record]
    assert names(folder) == {".json", ".engine", "lock"}


def test_a_builder_that_built_nothing_is_not_believed(disc_bundle: Bundle, folder: Path) -> None:
    with pytest.raises(EngineError, match=r"was built and is not whole in .*engines; check the disk"):
        build(disc_bundle, folder, BuildSettings(workspace_mib=SILENT_MIB))


def test_two_do_not_build_at_once(disc_bundle: Bundle, folder: Path) -> None:
    with EngineCache(folder).alone(), pytest.raises(EngineError, match=r"another process builds engines in .*; wait"):
        build(disc_bundle, folder)


def test_a_folder_that_cannot_be_made_is_the_systems_error(disc_bundle: Bundle, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(NotADirectoryError):
        build(disc_bundle, tmp_path / "file" / "engines")


def test_a_request_for_int8_without_its_graph_is_refused_on_any_machine(disc_bundle: Bundle, folder: Path) -> None:
    with pytest.raises(BundleError, match=r"has no model\.int8\.qdq\.onnx"):
        build_engine(disc_bundle, folder, BuildSettings("int8"))
