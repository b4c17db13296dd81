"""A bundle is used only when every file in it is the one its manifest names."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

import pytest

from export.runtime.bundle import Bundle, open_bundle
from export.runtime.errors import BundleError
from export.runtime.manifest import Counting
from tests.disc_bundle import make_disc_bundle, write_manifest


@pytest.fixture
def bundle(tmp_path: Path) -> Bundle:
    return make_disc_bundle(tmp_path / "bundle")


def test_the_bundle_that_comes_with_pomona_is_whole() -> None:
    bundle = open_bundle()
    assert bundle.manifest.labels == ("apple", "apple_flower")
    assert bundle.model.is_file()


def test_the_identity_names_version_and_all_that_decides_a_count(bundle: Bundle) -> None:
    def identity(**changes: object) -> str:
        return replace(bundle, manifest=bundle.manifest.model_copy(update=changes)).identity

    assert re.fullmatch(r"discs-1\.0\.0\+[0-9a-f]{12}", bundle.identity)
    assert identity() == identity(metrics=(), attribution=("somebody",)) == bundle.identity
    tiling = bundle.manifest.tiling.model_copy(update={"longest_side_px": 900})
    counting = {label: Counting(threshold=0.9) for label in bundle.manifest.labels}
    others = {identity(tiling=tiling), identity(counting=counting), identity(files={"model.onnx": "0" * 64})}
    assert len(others | {bundle.identity}) == 4


def test_another_graph_is_another_identity(bundle: Bundle, tmp_path: Path) -> None:
    other = make_disc_bundle(tmp_path / "other", "1.0.1")
    assert other.manifest.files["model.onnx"] != bundle.manifest.files["model.onnx"]


def test_a_flipped_byte_is_noticed(bundle: Bundle) -> None:
    content = bytearray(bundle.model.read_bytes())
    content[len(content) // 2] ^= 1
    bundle.model.write_bytes(content)
    with pytest.raises(BundleError, match=r"model\.onnx was altered: its SHA-256 is not the manifest's; install"):
        open_bundle(bundle.folder)


def test_a_missing_file_is_named(bundle: Bundle) -> None:
    bundle.model.unlink()
    with pytest.raises(BundleError, match=r"model\.onnx is listed in the manifest but not there; install"):
        open_bundle(bundle.folder)


def test_a_manifest_that_lists_no_graph_is_refused(bundle: Bundle) -> None:
    write_manifest(bundle.folder, files={})
    with pytest.raises(BundleError, match=r"manifest\.json lists no model\.onnx; install the bundle again"):
        open_bundle(bundle.folder)


def test_a_bundle_names_no_file_outside_its_folder(bundle: Bundle, tmp_path: Path) -> None:
    (tmp_path / "outside.onnx").write_bytes(b"")
    write_manifest(bundle.folder, files={**bundle.manifest.files, "../outside.onnx": "0" * 64})
    with pytest.raises(BundleError, match=r"outside\.onnx is listed in the manifest but not there"):
        open_bundle(bundle.folder)


@pytest.mark.parametrize("name", ["nowhere", "a.onnx"])
def test_what_is_no_folder_is_no_bundle(tmp_path: Path, name: str) -> None:
    (tmp_path / "a.onnx").touch()
    with pytest.raises(BundleError, match=rf"{name} is no folder; name a model bundle \(a folder with manifest\.json"):
        open_bundle(tmp_path / name)
