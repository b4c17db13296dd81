"""The manifest of a bundle."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from export.runtime.bundle import Bundle
from export.runtime.errors import BundleError
from export.runtime.manifest import DetectionManifest
from export.runtime.manifest_file import read_manifest

Change = Callable[[dict[str, Any]], object]


@pytest.fixture
def changed(tmp_path: Path, disc_bundle: Bundle) -> Callable[[Change], Path]:
    """Writes the manifest of a good bundle with one change."""

    def write(change: Change) -> Path:
        content = json.loads((disc_bundle.folder / "manifest.json").read_text())
        change(content)
        path = tmp_path / "manifest.json"
        path.write_text(json.dumps(content))
        return path

    return write


def test_a_good_manifest_is_read_and_written_alike(disc_bundle: Bundle) -> None:
    manifest = read_manifest(disc_bundle.folder / "manifest.json")
    assert DetectionManifest.model_validate_json(manifest.model_dump_json()) == manifest


def test_thresholds_come_in_the_order_of_the_labels(changed: Callable[[Change], Path]) -> None:
    counting = {"apple_flower": {"threshold": 0.2}, "apple": {"threshold": 0.4}}
    manifest = read_manifest(changed(lambda m: m.update(counting=counting)))
    assert isinstance(manifest, DetectionManifest)
    assert manifest.thresholds() == (0.4, 0.2)


def test_a_bundle_without_an_8_bit_graph_runs_in_single_precision(changed: Callable[[Change], Path]) -> None:
    manifest = read_manifest(changed(lambda m: m.pop("precision", None)))
    assert isinstance(manifest, DetectionManifest)
    assert manifest.precision == "float32"
    with pytest.raises(BundleError, match=r"precision is int8, but no model\.int8\.onnx is listed"):
        read_manifest(changed(lambda m: m.update(precision="int8")))


def test_what_is_looked_at_more_closely_is_a_label(changed: Callable[[Change], Path]) -> None:
    with pytest.raises(BundleError, match=r"closer_px names no label: pear; install"):
        read_manifest(changed(lambda m: m["tiling"].update(closer_px={"pear": 2000})))


@pytest.mark.parametrize("field", sorted(set(DetectionManifest.model_fields) - {"precision", "self_test"}))
def test_every_other_field_is_needed(changed: Callable[[Change], Path], field: str) -> None:
    with pytest.raises(BundleError, match=rf"manifest\.json: {field}: Field required; install the bundle again"):
        read_manifest(changed(lambda m: m.pop(field)))


@pytest.mark.parametrize(
    ("change", "where"),
    [
        (lambda m: m.update(colour="red"), "colour"),
        (lambda m: m["input"].update(mean=0.5), r"input\.mean"),
        (lambda m: m.update(schema_version=2), "schema_version"),
        (lambda m: m.update(version="1.0"), "version"),
        (lambda m: m.update(task="segmentation"), "task"),
        (lambda m: m.update(labels=[]), "labels"),
        (lambda m: m["input"].update(size_px=16), r"input\.size_px"),
        (lambda m: m["input"].update(colour_order="GRB"), r"input\.colour_order"),
        (lambda m: m["input"].update(scale=0), r"input\.scale"),
        (lambda m: m["input"].update(padding=256), r"input\.padding"),
        (lambda m: m["tiling"].update(match_threshold=1.5), r"tiling\.match_threshold"),
        (lambda m: m["suppression"].update(most_candidates=0), r"suppression\.most_candidates"),
        (lambda m: m["counting"]["apple"].update(threshold=-0.1), r"counting\.apple\.threshold"),
        (lambda m: m["files"].update({"model.onnx": "abc"}), r"files\.model\.onnx"),
        (lambda m: m.update(counting={"apple": {"threshold": 0.5}}), "counting has no threshold for apple_flower"),
        (lambda m: m["tiling"].update(overlap_px=320), r"tiling\.overlap_px is 320, .* tiles of 320 px"),
    ],
)
def test_an_unknown_or_impossible_value_is_named(changed: Callable[[Change], Path], change: Change, where: str) -> None:
    with pytest.raises(BundleError, match=rf"manifest\.json: {where}.*; install the bundle again"):
        read_manifest(changed(change))


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b"\xff\xfe"], ids=["empty", "cut", "list", "not UTF-8"])
def test_what_is_no_json_object_is_refused(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "manifest.json"
    path.write_bytes(content)
    with pytest.raises(BundleError, match=r"manifest\.json: the file: .*; install the bundle again"):
        read_manifest(path)


def test_a_folder_without_manifest_is_no_bundle(tmp_path: Path) -> None:
    with pytest.raises(BundleError, match=r"manifest\.json cannot be read .*; is .* a model bundle\?"):
        read_manifest(tmp_path / "manifest.json")
